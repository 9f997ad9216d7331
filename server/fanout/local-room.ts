import { errors, fail, HoofbeatError, toHoofbeatError } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { Meter } from '../ports/meter.ts'
import type { Epoch, LogRecord, Offset, RoomId, RoomLog, Sink, Tail } from '../ports/room-log.ts'
import { Batch } from './batch.ts'
import type { CatchUp } from './catch-up.ts'
import { Recent, type RecentMemory } from './recent.ts'
import type { Subscription } from './subscription.ts'

/** A batch is a part that an outbox drops or writes whole: small enough that neither costs much. */
const BATCH_RECORDS = 128
const BATCH_BYTES = 64 * 1024
/** How far back the recent records are filled from the log for those who come back, once for all of them. */
const EXTEND_RECORDS = 1000n
const EXTEND_BYTES = 4 * 1024 * 1024
const RETRY_MS = 500

export interface RoomSurroundings {
  readonly log: RoomLog
  readonly meter: Meter
  readonly logger: Logger
  readonly memory: RecentMemory
  readonly catchUp: CatchUp
}

/** A room that has subscribers on this node: its tail, its newest records, and who gets them. */
export class LocalRoom implements Sink {
  readonly id: RoomId
  readonly recent: Recent
  /** Everyone who has joined and not left, live or behind. */
  readonly subscriptions = new Set<Subscription>()
  readonly #around: RoomSurroundings
  readonly #live = new Set<Subscription>()
  #epoch: Epoch = ''
  #tail: Tail | undefined
  /** Records that came before `tail` had answered. */
  #early: LogRecord[] = []
  #extending: Promise<void> | undefined
  /** Whether it is over: stopped, or the room is gone. */
  closed = false

  constructor(id: RoomId, around: RoomSurroundings) {
    this.id = id
    this.#around = around
    this.recent = new Recent(around.memory, 0n)
  }

  get epoch(): Epoch {
    return this.#epoch
  }

  /** Starts the tail. When it resolves, whatever is appended from then on is delivered. */
  async open(): Promise<void> {
    await this.#startTail('end')
  }

  /** Stops the tail and frees what is kept. */
  close(): void {
    this.closed = true
    this.#tail?.stop()
    this.recent.clear()
  }

  async #startTail(from: Offset | 'end'): Promise<void> {
    const tail = await this.#around.log.tail(this.id, from, this)
    if (this.closed) return tail.stop()
    const broken = this.#epoch !== tail.epoch || this.recent.next !== tail.next
    this.#tail = tail
    this.#epoch = tail.epoch
    if (broken) {
      this.recent.clear()
      this.recent.first = this.recent.next = tail.next
      for (const subscription of this.subscriptions) subscription.resume(tail.epoch, tail.next)
    }
    const early = this.#early
    this.#early = []
    if (early.length > 0) this.records(early)
  }

  records(batch: readonly LogRecord[]): void {
    if (!this.#tail) {
      this.#early.push(...batch)
      return
    }
    this.#around.meter.observe('logLag', (Date.now() - batch[0]!.time) / 1000)
    for (const part of split(this.id, this.#epoch, batch)) {
      for (const subscription of this.#live) subscription.deliver(part)
      this.recent.append(part)
    }
  }

  /** The log broke the tail off. Gone for good: so are the subscriptions. Otherwise go on where it stopped. */
  end(error?: Error): void {
    this.#tail = undefined
    if (this.closed || !error) return
    if (error instanceof HoofbeatError && error.code === 'NO_SUCH_ROOM') this.#fail(error)
    else void this.#reopen()
  }

  async #reopen(): Promise<void> {
    while (!this.closed) {
      try {
        return await this.#startTail(this.recent.next)
      } catch (cause) {
        const error = toHoofbeatError(cause)
        if (!errors[error.code].retry) return this.#fail(error)
        this.#around.logger.warn({ room: this.id, err: error }, 'the room cannot be tailed now; trying again')
        await new Promise(resolve => setTimeout(resolve, RETRY_MS))
      }
    }
  }

  #fail(error: HoofbeatError): void {
    this.closed = true
    for (const subscription of this.subscriptions) {
      subscription.options.onEnd(error.code === 'NO_SUCH_ROOM' ? fail('NO_SUCH_ROOM', this.id) : error)
    }
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
  }

  read(from: Offset, limit: number): Promise<LogRecord[]> {
    return this.#around.log.read(this.id, from, limit)
  }

  /** Whether filling `recent` backwards would reach `offset`. */
  isNear(offset: Offset): boolean {
    return this.recent.first - offset <= EXTEND_RECORDS
  }

  /**
   * Fills `recent` backwards from the log: once for everyone who comes back at the same time, so that ten thousand
   * clients of a node that died do not each read the log.
   */
  extend(): Promise<void> {
    this.#extending ??= this.#extend().finally(() => (this.#extending = undefined))
    return this.#extending
  }

  async #extend(): Promise<void> {
    const edge = this.recent.first
    const epoch = this.#epoch
    let first = edge > EXTEND_RECORDS ? edge - EXTEND_RECORDS : 0n
    let found: LogRecord[] = []
    for (let next = first; next < edge;) {
      const page = (await this.read(next, Number(EXTEND_RECORDS))).filter(record => record.offset < edge)
      if (page.length === 0) break
      found = found.concat(page)
      next = page[page.length - 1]!.offset + 1n
      for (let bytes = sizeOf(found); bytes > EXTEND_BYTES;) {
        const dropped = found.shift()!
        bytes -= dropped.body.length
        first = dropped.offset + 1n
      }
    }
    // Someone dropped records or made the room anew meanwhile: there would be a hole.
    if (this.recent.first !== edge || this.#epoch !== epoch) return
    this.recent.prepend([...split(this.id, epoch, found)], first)
  }
}

const sizeOf = (records: LogRecord[]): number => records.reduce((sum, record) => sum + record.body.length, 0)

function* split(room: RoomId, epoch: Epoch, records: readonly LogRecord[]): Generator<Batch> {
  let from = 0
  let bytes = 0
  for (let i = 0; i < records.length; i++) {
    const size = records[i]!.body.length
    if (i > from && (i - from >= BATCH_RECORDS || bytes + size > BATCH_BYTES)) {
      yield new Batch(room, epoch, records.slice(from, i))
      from = i
      bytes = 0
    }
    bytes += size
  }
  if (from < records.length) yield new Batch(room, epoch, from === 0 ? records : records.slice(from))
}
