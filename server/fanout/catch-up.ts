import { toHoofbeatError } from '../errors.ts'
import type { LogRecord } from '../ports/room-log.ts'
import { Batch } from './batch.ts'
import type { Subscription } from './subscription.ts'

/** What one subscription gets at a time, so that all of those who catch up share a turn and memory stays small. */
const PAGE_BYTES = 64 * 1024
/** What all of them together get in one event-loop turn: live subscribers must not wait for them. */
const TURN_BYTES = 1024 * 1024
/** How many pages are read from the log at the same time. */
const READERS = 16
const LEAST_PAGE = 4
const MOST_PAGE = 1000

/**
 * Brings subscriptions that are behind to where live is: those that come back with `after`, that ask for the `last` n,
 * that were slow, or whose acknowledgement window was full. Each takes a page at a time, paced by its own socket, from
 * the recent records in memory or, further back, from the log; when it has had everything in memory it joins live in
 * the same turn, and so neither misses nor repeats a record. Nothing live is parked while history is read.
 */
export class CatchUp {
  #queue: Subscription[] = []
  #scheduled = false
  #reading = 0
  readonly #waitingToRead: (() => void)[] = []

  /** Takes `subscription` in hand until it is live again. In hand already, or ended: nothing. */
  add(subscription: Subscription): void {
    if (subscription.catchingUp || subscription.ended) return
    subscription.catchingUp = true
    this.#enqueue(subscription)
  }

  #enqueue(subscription: Subscription): void {
    this.#queue.push(subscription)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    this.#scheduled = false
    const queue = this.#queue
    this.#queue = []
    let left = TURN_BYTES
    for (const subscription of queue) {
      if (left <= 0) this.#enqueue(subscription)
      else left -= this.#step(subscription)
    }
  }

  /** One page; returns its bytes, about. Whoever is not finished is queued again, when it can go on. */
  #step(subscription: Subscription): number {
    const { room, options } = subscription
    if (subscription.ended || subscription.credit <= 0) {
      // An acknowledgement that opens the window hands it in again.
      subscription.catchingUp = false
      return 0
    }
    if (!options.outlet.open) {
      options.outlet.whenOpen(() => this.#enqueue(subscription))
      return 0
    }
    if (subscription.next < room.recent.first) {
      void this.#fromLog(subscription)
      return 0
    }
    const bytes = this.#fromRecent(subscription)
    if (room.recent.batchFrom(subscription.next)) this.#enqueue(subscription)
    else {
      subscription.catchingUp = false
      room.join(subscription)
    }
    return bytes
  }

  #fromRecent(subscription: Subscription): number {
    const { recent } = subscription.room
    let bytes = 0
    for (let batch = recent.batchFrom(subscription.next); batch && bytes < PAGE_BYTES;) {
      const from = batch.indexOf(subscription.next)
      const to = subscription.take(batch, from)
      bytes += sizeOf(batch.records, from, to)
      if (to < batch.records.length) break
      batch = recent.batchFrom(subscription.next)
    }
    return bytes
  }

  async #fromLog(subscription: Subscription): Promise<void> {
    const { room } = subscription
    try {
      if (room.isNear(subscription.next) && !subscription.extended) {
        subscription.extended = true
        await room.extend()
      } else await this.#readPage(subscription)
      this.#enqueue(subscription)
    } catch (error) {
      subscription.catchingUp = false
      if (!subscription.ended) subscription.options.onEnd(toHoofbeatError(error))
    }
  }

  async #readPage(subscription: Subscription): Promise<void> {
    const { room, epoch, next } = subscription
    // Whatever lies before this edge was in the log before the read began: an empty answer means that nothing does.
    const edge = room.recent.first
    const records = await this.#limited(() => room.read(next, subscription.pageRecords))
    // The room may have been left, or made anew, while the log was read.
    if (subscription.ended || subscription.epoch !== epoch || subscription.next !== next) return
    if (records.length === 0) {
      subscription.next = edge
      return
    }
    const batch = new Batch(room.id, epoch, records)
    subscription.pageRecords = pageRecords(records)
    subscription.take(batch, 0)
  }

  async #limited<T>(read: () => Promise<T>): Promise<T> {
    if (this.#reading >= READERS) await new Promise<void>(resolve => this.#waitingToRead.push(resolve))
    else this.#reading++
    try {
      return await read()
    } finally {
      const next = this.#waitingToRead.shift()
      if (next) next()
      else this.#reading--
    }
  }
}

const sizeOf = (records: readonly LogRecord[], from: number, to: number): number => {
  let bytes = 0
  for (let i = from; i < to; i++) bytes += 200 + records[i]!.body.length
  return bytes
}

/** How many records of the size of these make a page. */
const pageRecords = (records: readonly LogRecord[]): number => {
  const each = sizeOf(records, 0, records.length) / records.length
  return Math.max(LEAST_PAGE, Math.min(MOST_PAGE, Math.floor(PAGE_BYTES / each)))
}
