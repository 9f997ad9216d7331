import { isUtf8 } from 'node:buffer'
import { encode, sayable } from './wire.ts'
import type { Version } from './client-stream.ts'
import type { Room, Sent } from './room.ts'
import { valueOf, type ServerFrame } from './server-stream.ts'

export type From = { readonly now: true } | { readonly last: number } | { readonly after: string }
export type Mode = 'auto' | 'client' | 'client-individual'

export interface SubscriptionOptions {
  readonly id: string | undefined
  readonly version: Version
  readonly room: Room
  readonly mode: Mode
  readonly window: number
  readonly from: From
  /** A RECEIPT was asked for: it says whether `after` was found. */
  readonly receipt: boolean
}

/** What one subscription has to get: a run of its room's messages without a gap or a repeat, from a start that is allowed. */
export class ExpectedSubscription {
  readonly options: SubscriptionOptions
  /** How many messages the room had for certain when it was asked for. */
  readonly #atLeast: number
  /** The connection's next own message to the room: delivered at the latest. */
  ownNext: Sent | undefined
  next: number | undefined
  /** Where it began, until that has been checked. */
  #start: number | undefined
  /** UNSUBSCRIBE was sent. */
  ending = false
  /** Its RECEIPT has come. */
  ended = false
  readonly unacked = new Set<number>()
  lastAcked = -1
  #first = true

  constructor(options: SubscriptionOptions) {
    this.options = options
    this.#atLeast = options.room.entries.length
  }

  /** Whether it can have no more than it has, of the first `count` messages of its room. */
  hasAll(count: number): boolean {
    const { mode, window } = this.options
    return (this.next !== undefined && this.next >= count) || (mode !== 'auto' && this.unacked.size >= window)
  }

  /** Takes a message; `text`: whether it came as WebSocket text. Throws where it is not the one to come. */
  take(frame: ServerFrame): void {
    const { room, mode, window } = this.options
    const index = room.indexOf.get(valueOf(frame, 'message-id')!)!
    const where = `subscription ${this.options.id} of ${room.name}`
    if (this.ended) throw new Error(`${where} goes on after the RECEIPT of UNSUBSCRIBE`)
    if (this.next === undefined) this.#start = index
    else if (index !== this.next) throw new Error(`${where} got message ${index} in place of ${this.next}`)
    this.#checkFrame(frame, index, where)
    this.next = index + 1
    this.#first = false
    if (mode === 'auto') return
    this.unacked.add(index)
    if (this.unacked.size > window) throw new Error(`${where} has ${this.unacked.size} in flight, over ${window}`)
  }

  /** [S-38] to [S-41]: throws where it began in the wrong place. To be asked once the witness has seen all of the round. */
  checkStart(): void {
    if (this.#start === undefined) return
    const { from, room } = this.options
    let least = this.#atLeast
    let most = this.ownNext?.index ?? room.entries.length
    if ('last' in from) [least, most] = [Math.max(0, least - from.last), Math.max(0, most - from.last)]
    if ('after' in from) least = most = (room.indexOf.get(from.after) ?? -1) + 1
    if (this.#start < least || this.#start > most) {
      throw new Error(`${this.options.id} of ${room.name} starts at ${this.#start}, not within ${least} to ${most}`)
    }
    this.#start = undefined
  }

  #checkFrame(frame: ServerFrame, index: number, where: string): void {
    const lines = this.#linesOf(index)
    const { body } = this.options.room.entries[index]!.sent
    const wrong =
      frame.lines.find(line => !lines.includes(line)) ??
      lines.find(line => !frame.lines.includes(line)) ??
      frame.lines[lines.length]
    if (wrong !== undefined) throw new Error(`${where}, message ${index}: not right is ${JSON.stringify(wrong)}`)
    if (!frame.body.equals(body)) throw new Error(`${where}, message ${index}: another body`)
    if (frame.text === false && isUtf8(body)) throw new Error(`${where}, message ${index}: binary`)
  }

  #linesOf(index: number): string[] {
    const { id, version, room, mode, from, receipt } = this.options
    const { id: messageId, timestamp, sent } = room.entries[index]!
    const line = (name: string, value: string): string => `${encode(name, version)}:${encode(value, version)}`
    const lines = [
      ...(id === undefined ? [] : [line('subscription', id)]),
      line('destination', room.destination),
      `message-id:${messageId}`,
      `timestamp:${timestamp}`,
      ...(sent.sender === '' ? [] : [line('sender', sent.sender)]),
      ...sent.headers.filter(header => sayable(header, version)).map(([name, value]) => line(name, value)),
      `content-length:${sent.body.length}`,
    ]
    if (mode !== 'auto') lines.push(line('ack', `${messageId}@${id ?? ''}`))
    if (this.#first && 'after' in from && !receipt) lines.push(...recoveredLines(room, from.after))
    return lines
  }

  /** [S-52], [S-54]: whether it was waiting; undefined: the protocol leaves that open. */
  holds(index: number): boolean | undefined {
    if (this.unacked.has(index)) return true
    return this.options.mode === 'client' && index <= this.lastAcked ? undefined : false
  }

  acknowledge(index: number): void {
    if (this.options.mode === 'client') {
      this.lastAcked = Math.max(index, this.lastAcked)
      for (const each of this.unacked) if (each <= index) this.unacked.delete(each)
    } else this.unacked.delete(index)
  }
}

/** [S-41] */
export const recoveredLines = (room: Room, after: string): string[] =>
  room.indexOf.has(after) ? ['recovered:true'] : ['recovered:false', `first:${room.entries[0]!.id}`]
