import type { HoofbeatError } from '../errors.ts'
import type { Meter } from '../ports/meter.ts'
import type { Epoch, Offset, Position } from '../ports/room-log.ts'
import type { Batch } from './batch.ts'
import { messageId, parseMessageId } from './destination.ts'
import type { LocalRoom } from './local-room.ts'
import type { Style } from './style.ts'

/** What the fan-out sees of a connection: a place for finished frames that says when it has had enough. */
export interface Outlet {
  /** Whether it takes more now. */
  readonly open: boolean
  /** Takes MESSAGE frames, finished and laid out. Never refuses; look at `open` first. */
  push(bytes: Buffer, frames: number): void
  /** Calls `listener` once, in a later turn, when little enough waits in it. */
  whenOpen(listener: () => void): void
}

/** In ack mode auto nothing waits for an acknowledgement: one empty set for all. */
const NONE: Set<string> = new Set()

export interface SubscriptionOptions {
  readonly style: Style
  readonly outlet: Outlet
  readonly meter: Meter
  /** Most unacknowledged messages in flight; absent in ack mode auto. */
  readonly window?: number
  /** In mode client an acknowledgement counts for all messages before it too. */
  readonly cumulative?: boolean
  /** Asked before each page of history. Absent: it may always be read. */
  readonly mayRead?: () => boolean | Promise<boolean>
  /** The room is gone, its log cannot be read, or it may not be (FORBIDDEN): the subscription has ended by itself. */
  readonly onEnd: (error: HoofbeatError) => void
}

/**
 * One client's subscription to a room. It is either live, when the hub hands it every batch as it comes, or it is
 * behind, when `catch-up.ts` brings it from `next` to where live is. `next` is the only place it keeps: it moves with
 * every frame pushed and never back, so nothing is delivered twice and nothing left out, however often it changes over.
 */
export class Subscription {
  readonly options: SubscriptionOptions
  readonly room: LocalRoom
  epoch: Epoch
  next: Offset
  live = false
  ended = false
  /** Whether the catch-up has it in hand; then it must not be given to it again. */
  catchingUp = false
  /** Whether it has had the room's recent records filled backwards for it; that is tried once. */
  extended = false
  /** How many records of this room make a page; learnt from the pages read. */
  pageRecords = 100
  /** Header lines that the next MESSAGE must carry: something was missed. */
  #notice = ''
  /** Ids of messages in flight, oldest first. */
  readonly #unacked: Set<string>
  #lastAcked: Position | undefined

  readonly #onLeave: () => void

  constructor(room: LocalRoom, next: Offset, options: SubscriptionOptions, onLeave: () => void) {
    this.room = room
    this.epoch = room.epoch
    this.next = next
    this.options = options
    this.#unacked = options.window === undefined ? NONE : new Set()
    this.#onLeave = onLeave
  }

  /** How many more messages may be in flight. */
  get credit(): number {
    const { window } = this.options
    return window === undefined ? Infinity : window - this.#unacked.size
  }

  /** Called for a live subscription with the batch that follows what the room had before. */
  deliver(batch: Batch): void {
    // What it has read from the log may be ahead of the tail.
    const from = batch.indexOf(this.next)
    if (this.options.outlet.open && this.take(batch, from) === batch.records.length) return
    this.options.meter.add(this.credit > 0 ? 'slowSubscribers' : 'windowFull')
    this.room.fallBehind(this)
  }

  /** Pushes the records of `batch` from index `from` on as far as the window lets it; returns the index it got to. */
  take(batch: Batch, from: number): number {
    const { outlet, style, window } = this.options
    const all = batch.records.length
    const to = window === undefined ? all : Math.min(all, from + this.credit)
    if (to <= from) return from
    const whole = from === 0 && to === all && this.#notice === ''
    outlet.push(whole ? batch.bytes(style) : batch.slice(style, from, to, this.#notice), to - from)
    this.#notice = ''
    this.next = to === all ? batch.next : batch.records[to]!.offset
    if (window !== undefined) {
      for (const { offset } of batch.records.slice(from, to)) this.#unacked.add(messageId(this.epoch, offset))
    }
    return to
  }

  /** The log broke off between what this had and `next`: go on there and say so. */
  resume(epoch: Epoch, next: Offset): void {
    this.epoch = epoch
    this.next = next
    this.#notice = noticeOf(false, messageId(epoch, next))
  }

  /** Puts whether everything was there onto the next MESSAGE, for who asked for no RECEIPT. A break says more. */
  announce(recovered: boolean): void {
    this.#notice ||= noticeOf(recovered, messageId(this.epoch, this.next))
  }

  /** Takes a message off the window. False: no such message waits for an acknowledgement here. */
  acknowledge(id: string): boolean {
    if (!this.#unacked.has(id)) return this.holds(id)
    if (this.options.cumulative) {
      for (const earlier of this.#unacked) {
        this.#unacked.delete(earlier)
        if (earlier === id) break
      }
      this.#lastAcked = parseMessageId(id)
    } else this.#unacked.delete(id)
    if (!this.live) this.room.catchUp(this)
    return true
  }

  holds(id: string): boolean {
    return this.#unacked.has(id) || (this.options.cumulative === true && this.#isBehindAcked(id))
  }

  /** Cumulative acknowledgements may arrive out of order: what an earlier one has covered is no error. */
  #isBehindAcked(id: string): boolean {
    const acked = parseMessageId(id)
    const last = this.#lastAcked
    return acked !== undefined && last !== undefined && acked.epoch === last.epoch && acked.offset <= last.offset
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    this.room.leave(this)
    this.#onLeave()
  }

  /** Ends it and says why. */
  fail(error: HoofbeatError): void {
    if (this.ended) return
    this.end()
    this.options.onEnd(error)
  }
}

const noticeOf = (recovered: boolean, first: string): string =>
  recovered ? 'recovered:true\n' : `recovered:false\nfirst:${first}\n`
