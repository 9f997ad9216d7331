import { fail, toHoofbeatError } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { LogRecord } from '../ports/room-log.ts'
import { Batch, sizeOf } from './batch.ts'
import type { Outlet, Subscription } from './subscription.ts'

/** What one subscription gets at a time, so that all of those who catch up share a turn and memory stays small. */
const PAGE_BYTES = 64 * 1024
/** What all of them together get in one event-loop turn: live subscribers must not wait for them. */
const TURN_BYTES = 1024 * 1024
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
  /** Those whose outlet is shut: one listener an outlet, however many come and go meanwhile. */
  readonly #shut = new WeakMap<Outlet, Set<Subscription>>()
  /** Those that may have their next page, as was asked for it. */
  readonly #allowed = new WeakSet<Subscription>()
  readonly #logger: Logger
  readonly #retryMs: number

  constructor({ logger, retryMs }: { logger: Logger; retryMs: number }) {
    this.#logger = logger
    this.#retryMs = retryMs
  }

  /** Takes `subscription` in hand until it is live again. In hand already, or ended: nothing. */
  add(subscription: Subscription): void {
    if (subscription.catchingUp || subscription.ended) return
    subscription.catchingUp = true
    this.#enqueue(subscription)
  }

  /** It has ended. */
  forget(subscription: Subscription): void {
    this.#shut.get(subscription.options.outlet)?.delete(subscription)
  }

  #enqueue(subscription: Subscription): void {
    this.#queue.push(subscription)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#turn())
  }

  /** A page for each in the order in which they came; who is not finished comes again after all others. */
  #turn(): void {
    this.#scheduled = false
    const queue = this.#queue
    this.#queue = []
    let at = 0
    for (let left = TURN_BYTES; at < queue.length && left > 0; at++) left -= this.#step(queue[at]!)
    if (at < queue.length) this.#queue = [...queue.slice(at), ...this.#queue]
    if (this.#queue.length > 0) this.#schedule()
  }

  /**
   * One page; returns its bytes, about. Whoever is not finished is queued again, when it can go on. Each page is asked for
   * anew: rights may have ended since the last.
   */
  #step(subscription: Subscription): number {
    const { room, options } = subscription
    const allowed = this.#allowed.delete(subscription)
    const behind = subscription.next < room.recent.first
    if (subscription.ended || subscription.credit <= 0 || (behind && !room.tail)) {
      // An acknowledgement that opens the window, or the tail when it goes on, hands it in again.
      subscription.catchingUp = false
      return 0
    }
    if (!options.outlet.open) {
      this.#awaitOpen(subscription)
      return 0
    }
    const answer = allowed || mayRead(subscription)
    if (answer !== true) void this.#ask(subscription, answer)
    else if (behind) void this.#fromLog(subscription)
    else return this.#fromRecent(subscription)
    return 0
  }

  async #ask(subscription: Subscription, answer: boolean | Promise<boolean>): Promise<void> {
    try {
      if (!(await answer)) throw fail('FORBIDDEN', `to read ${subscription.room.id}`)
      // Many are answered in one turn: of their pages too it takes only so much.
      this.#allowed.add(subscription)
      this.#enqueue(subscription)
    } catch (cause) {
      subscription.fail(toHoofbeatError(cause))
    }
  }

  #awaitOpen(subscription: Subscription): void {
    const { outlet } = subscription.options
    const known = this.#shut.get(outlet)
    if (known) return void known.add(subscription)
    const waiting = new Set([subscription])
    this.#shut.set(outlet, waiting)
    outlet.whenOpen(() => {
      this.#shut.delete(outlet)
      for (const each of waiting) this.#enqueue(each)
    })
  }

  #fromRecent(subscription: Subscription): number {
    const { recent } = subscription.room
    let bytes = 0
    let batch = recent.batchFrom(subscription.next)
    while (batch && bytes < PAGE_BYTES) {
      const from = batch.indexOf(subscription.next)
      const to = subscription.take(batch, from)
      bytes += sizeOf(batch.records, from, to)
      if (to < batch.records.length) break
      batch = recent.batchFrom(subscription.next)
    }
    if (batch) this.#enqueue(subscription)
    else {
      subscription.catchingUp = false
      subscription.room.join(subscription)
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
    } catch (cause) {
      const error = toHoofbeatError(cause)
      // Like the tail, it goes on when the log is there again.
      if (error.code === 'LOG_UNAVAILABLE') this.#tryLater(subscription, error)
      else subscription.fail(error)
    }
  }

  #tryLater(subscription: Subscription, error: Error): void {
    this.#logger.debug({ room: subscription.room.id, err: error }, 'the room cannot be read now; trying again')
    setTimeout(() => this.#enqueue(subscription), this.#retryMs).unref()
  }

  async #readPage(subscription: Subscription): Promise<void> {
    const { room, next } = subscription
    const { tail } = room
    // Whatever lies before this edge was in the log before the read began: an empty answer means that nothing does.
    const edge = room.recent.first
    const records = await room.read(next, subscription.pageRecords)
    const start = records[0]?.offset ?? edge
    // What is not there is either one of the gaps that offsets have, or retention has taken it.
    const lost = start > next && (await room.bounds()).first > next
    // It may have ended, or the tail broken off, while the log was read: then this may be of another life of the room.
    if (subscription.ended || room.tail !== tail) return
    if (lost) subscription.resume(room.epoch, start)
    if (records.length === 0) {
      subscription.next = edge
      return
    }
    subscription.pageRecords = pageRecords(records)
    subscription.take(new Batch(room.id, room.epoch, room.shown(records)), 0)
  }
}

const mayRead = ({ options }: Subscription): boolean | Promise<boolean> => {
  try {
    return options.mayRead?.() ?? true
  } catch (error) {
    return Promise.reject(error)
  }
}

/** How many records of the size of these make a page. */
const pageRecords = (records: readonly LogRecord[]): number => {
  const each = sizeOf(records, 0, records.length) / records.length
  return Math.max(LEAST_PAGE, Math.min(MOST_PAGE, Math.floor(PAGE_BYTES / each)))
}
