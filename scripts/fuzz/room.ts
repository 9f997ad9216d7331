import { resolve } from './client-stream.ts'
import { valueOf, type ServerFrame } from './server-stream.ts'

type Headers = readonly (readonly [string, string])[]

/** A SEND that the model took for good: what every subscriber of the room has to see of it. */
export class Sent {
  readonly room: Room
  readonly sender: string
  readonly headers: Headers
  readonly body: Buffer
  readonly key: string | undefined
  readonly #text: string
  /** Its place in the room's order, once that is known. */
  index: number | undefined

  constructor(room: Room, sender: string, headers: Headers, body: Buffer, key: string | undefined) {
    this.room = room
    this.sender = sender
    this.headers = headers
    this.body = body
    this.key = key
    this.#text = textOf(sender, headers, body)
  }

  is(text: string): boolean {
    return this.#text === text
  }

  toString(): string {
    return this.#text
  }
}

const textOf = (sender: string, headers: Headers, body: Buffer): string =>
  `${sender}\0${headers.map(([name, value]) => `${name}\0${value}`).join('\0')}\0\0${body.toString('latin1')}`

/** SENDs that come one right after the other in a room or not at all: one alone, or those of a transaction. */
interface Group {
  readonly sends: Sent[]
  started: boolean
}

/** A message as the room's witness saw it. */
export interface Entry {
  readonly id: string
  readonly timestamp: string
  readonly sent: Sent
}

const OURS = new Set(['subscription', 'destination', 'message-id', 'timestamp', 'sender', 'content-length'])

/**
 * One room's order, as the witness saw it, and who sent what of it. Every message must be what some connection sent next
 * ([S-33]), those of a transaction in one piece ([S-56]), and of a key only the first ([S-32]).
 */
export class Room {
  readonly name: string
  readonly entries: Entry[] = []
  readonly indexOf = new Map<string, number>()
  /** What each connection has sent and nobody has seen yet, in order. */
  readonly #pending = new Map<object, Group[]>()
  readonly #keys = new Map<string, number>()
  /** The transaction of which a part has been seen. */
  #open: [object, Group] | undefined

  /** Whether a witness sees its messages; otherwise nothing is known of their order. */
  readonly watched: boolean

  constructor(name: string, watched: boolean) {
    this.name = name
    this.watched = watched
  }

  get destination(): string {
    return `/topic/${this.name}`
  }

  add(owner: object, sends: Sent[]): void {
    const groups = this.#pending.get(owner) ?? []
    groups.push({ sends: [...sends], started: false })
    this.#pending.set(owner, groups)
  }

  /** Takes what the witness got. Throws where nobody sent it, or not now. */
  see(frame: ServerFrame): void {
    const id = valueOf(frame, 'message-id')!
    const sender = resolve(valueOf(frame, 'sender') ?? '')
    const headers: [string, string][] = []
    for (const line of frame.lines) {
      const colon = line.indexOf(':')
      const name = resolve(line.slice(0, colon))
      if (!OURS.has(name)) headers.push([name, resolve(line.slice(colon + 1))])
    }
    const text = textOf(sender, headers, frame.body)
    const sent = this.#match(text)
    if (!sent) throw new Error(`in ${this.name} nobody sent, or not now: ${JSON.stringify(text.slice(0, 400))}`)
    const last = this.entries.at(-1)
    if (last && BigInt(id.split('-')[1]!) <= BigInt(last.id.split('-')[1]!))
      throw new Error(`${id} is not after ${last.id}`)
    sent.index = this.entries.length
    this.indexOf.set(id, sent.index)
    this.entries.push({ id, timestamp: valueOf(frame, 'timestamp')!, sent })
    if (sent.key !== undefined) this.#keys.set(`${sent.sender}\0${sent.key}`, sent.index)
  }

  #match(text: string): Sent | undefined {
    this.#skipRepeats()
    if (this.#open) {
      const [owner, group] = this.#open
      return group.sends[0]!.is(text) ? this.#shift(owner, group) : undefined
    }
    for (const [owner, [group]] of this.#pending) if (group?.sends[0]!.is(text)) return this.#shift(owner, group)
    return undefined
  }

  #shift(owner: object, group: Group): Sent {
    group.started = true
    this.#open = [owner, group]
    const sent = group.sends.shift()!
    if (group.sends.length === 0) this.#done(owner)
    return sent
  }

  #done(owner: object): void {
    const groups = this.#pending.get(owner)!
    groups.shift()
    if (groups.length === 0) this.#pending.delete(owner)
    this.#open = undefined
  }

  /** Repeats of a key that has been seen are no messages: they have the place of the first. */
  #skipRepeats(): void {
    for (const [owner, groups] of this.#pending) {
      while (groups.length > 0) {
        const group = groups[0]!
        while (group.sends.length > 0 && this.#isRepeat(group.sends[0]!)) group.sends.shift()
        if (group.sends.length > 0) break
        groups.shift()
        if (this.#open?.[1] === group) this.#open = undefined
      }
      if (groups.length === 0) this.#pending.delete(owner)
    }
  }

  #isRepeat(sent: Sent): boolean {
    if (sent.key === undefined) return false
    const index = this.#keys.get(`${sent.sender}\0${sent.key}`)
    if (index === undefined) return false
    sent.index = index
    return true
  }

  /** What `owner` sent and nobody has seen. */
  missing(owner: object): Sent[] {
    this.#skipRepeats()
    return (this.#pending.get(owner) ?? []).flatMap(group => group.sends)
  }

  /** Throws where of a transaction only a part has come. */
  checkWhole(): void {
    this.#skipRepeats()
    if (this.#open) throw new Error(`a part of a transaction in ${this.name}`)
  }
}
