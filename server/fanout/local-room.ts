import { fail, type HoofbeatError } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { Meter } from '../ports/meter.ts'
import type { Bounds, Epoch, LogRecord, Offset, RoomId, RoomLog, Tail } from '../ports/room-log.ts'
import { batchesOf } from './batch.ts'
import type { CatchUp } from './catch-up.ts'
import { reshown, shown, type IsErased, type Shown } from './erasure.ts'
import { extend, EXTEND_RECORDS } from './extend.ts'
import { Following, type Follower } from './following.ts'
import type { Readers } from './readers.ts'
import { Recent, type RecentMemory } from './recent.ts'
import type { Subscription } from './subscription.ts'

export interface RoomSurroundings {
  readonly log: RoomLog
  readonly meter: Meter
  readonly logger: Logger
  readonly memory: RecentMemory
  readonly readers: Readers
  readonly catchUp: CatchUp
  readonly retryMs: number
  readonly isErased?: IsErased
}

/** A room that has subscribers on this node: its tail, its newest records, and who gets them. */
export class LocalRoom implements Follower {
  readonly id: RoomId
  readonly recent: Recent
  /** Everyone who has joined and not left, live or behind. */
  readonly subscriptions = new Set<Subscription>()
  readonly #around: RoomSurroundings
  readonly #following: Following
  readonly #onGone: () => void
  readonly #live = new Set<Subscription>()
  #epoch: Epoch = ''
  #extending: Promise<void> | undefined
  /** Why it is over, once it is: nothing comes any more. */
  over: HoofbeatError | undefined

  /** `onGone` is called when it is over by itself. */
  constructor(id: RoomId, around: RoomSurroundings, onGone: () => void) {
    this.id = id
    this.#around = around
    this.#onGone = onGone
    this.recent = new Recent(around.memory)
    this.#following = new Following(id, this, around)
  }

  get epoch(): Epoch {
    return this.#epoch
  }

  get next(): Offset {
    return this.recent.next
  }

  /** See `Following.tail`. */
  get tail(): Tail | undefined {
    return this.#following.tail
  }

  /** Starts the tail. When it resolves, whatever is appended from then on is delivered, unless it is `over`. */
  open(): Promise<void> {
    return this.#following.start()
  }

  /** Stops the tail and frees what is kept. */
  close(): void {
    this.#following.stop()
    this.recent.restart(this.recent.next)
  }

  /** Closes it and ends the subscriptions that there still are. */
  end(error: HoofbeatError): void {
    this.over = error
    this.close()
    for (const subscription of this.subscriptions) subscription.fail(error)
  }

  begun(epoch: Epoch, next: Offset): void {
    if (epoch !== this.#epoch || next !== this.recent.next) {
      // Made anew, or shorter than it was: what anyone has had says nothing any more.
      const afresh = epoch !== this.#epoch || next < this.recent.next
      this.#epoch = epoch
      this.recent.restart(next)
      for (const subscription of this.subscriptions) {
        if (afresh || subscription.next < next) subscription.resume(epoch, next)
      }
    }
    for (const subscription of this.subscriptions) if (!subscription.live) this.catchUp(subscription)
  }

  records(records: readonly LogRecord[]): void {
    this.#around.meter.observe('logLag', (Date.now() - records[0]!.time) / 1000)
    for (const batch of batchesOf(this.id, this.#epoch, this.shown(records))) {
      for (const subscription of this.#live) subscription.deliver(batch)
      batch.settle()
      this.recent.append(batch)
    }
  }

  /** `records` as they may be shown now: right before a batch is made of them, as that may change at any time. */
  shown(records: readonly LogRecord[]): readonly Shown[] {
    return shown(records, this.#around.isErased)
  }

  /** More was erased: what is kept of it here goes. */
  erase(): void {
    this.recent.remake(batch => reshown(batch, this.#around.isErased))
  }

  gone(error: HoofbeatError): void {
    this.#onGone()
    this.end(error.code === 'NO_SUCH_ROOM' ? fail('NO_SUCH_ROOM', this.id) : error)
  }

  /** Makes `subscription` live. Only when it has had everything that is in `recent`, in the same turn. */
  join(subscription: Subscription): void {
    subscription.live = true
    this.#live.add(subscription)
  }

  /** Takes `subscription` out of the live set; it reads on from where it is, when it can. */
  fallBehind(subscription: Subscription): void {
    subscription.live = false
    this.#live.delete(subscription)
    this.catchUp(subscription)
  }

  catchUp(subscription: Subscription): void {
    this.#around.catchUp.add(subscription)
  }

  leave(subscription: Subscription): void {
    this.subscriptions.delete(subscription)
    this.#live.delete(subscription)
    subscription.live = false
    this.#around.catchUp.forget(subscription)
  }

  /** Reads the log as `RoomLog.read` does, when one of the node's readers is free. */
  read(from: Offset, limit: number): Promise<LogRecord[]> {
    return this.#around.readers.run(() => this.#around.log.read(this.id, from, limit))
  }

  bounds(): Promise<Bounds> {
    return this.#around.log.bounds(this.id)
  }

  /** Whether filling `recent` backwards would reach `offset`. */
  isNear(offset: Offset): boolean {
    return this.recent.first - offset <= EXTEND_RECORDS
  }

  /** Fills `recent` backwards, once for all who ask at the same time. */
  extend(): Promise<void> {
    this.#extending ??= extend(this).finally(() => (this.#extending = undefined))
    return this.#extending
  }
}
