import { errors, HoofbeatError, toHoofbeatError } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { Epoch, LogRecord, Offset, RoomId, RoomLog, Tail } from '../ports/room-log.ts'

export interface Follower {
  readonly epoch: Epoch
  /** The offset after the newest record that it has had. */
  readonly next: Offset
  /** The tail begins, or goes on after a break. Where it is not at `epoch` and `next`, records may be missing between. */
  begun(epoch: Epoch, next: Offset): void
  records(batch: readonly LogRecord[]): void
  /** Nothing comes any more. */
  gone(error: HoofbeatError): void
}

export interface FollowingOptions {
  readonly log: RoomLog
  readonly logger: Logger
  /** How long to wait before the log is asked again, ms. */
  readonly retryMs: number
}

/** Keeps a room's tail going for its follower, however often the log breaks it off, until it is stopped. */
export class Following {
  readonly #room: RoomId
  readonly #follower: Follower
  readonly #options: FollowingOptions
  #tail: Tail | undefined
  #over = false
  #asked = 0
  #retry: NodeJS.Timeout | undefined

  constructor(room: RoomId, follower: Follower, options: FollowingOptions) {
    this.#room = room
    this.#follower = follower
    this.#options = options
  }

  /**
   * The log's present tail: what is read while it lasts is of the life of the room that it is in. Undefined while it is
   * broken off, when nobody knows.
   */
  get tail(): Tail | undefined {
    return this.#tail
  }

  /** Starts at the end. When it resolves, whatever is appended from then on comes. Rejects as `RoomLog.tail` does. */
  start(): Promise<void> {
    return this.#begin('end')
  }

  stop(): void {
    this.#over = true
    clearTimeout(this.#retry)
    this.#tail?.stop()
    this.#tail = undefined
  }

  async #begin(from: Offset | 'end'): Promise<void> {
    this.#asked = performance.now()
    // What the log says before it has answered waits for the answer.
    const early: (() => void)[] = []
    let answered = false
    const now = (work: () => void): void => void (answered ? work() : early.push(work))
    const tail = await this.#options.log.tail(this.#room, from, {
      records: batch => now(() => this.#follower.records(batch)),
      end: error => now(() => this.#broken(error)),
    })
    if (this.#over) return tail.stop()
    if (typeof from === 'bigint' && from > 0n && tail.epoch !== this.#follower.epoch) {
      // Made anew, and perhaps already longer than it was: all of it is new.
      tail.stop()
      return this.#begin(0n)
    }
    answered = true
    this.#tail = tail
    this.#follower.begun(tail.epoch, tail.next)
    for (const work of early) work()
  }

  /** Without an error the log is being closed. */
  #broken(error?: Error): void {
    this.#tail = undefined
    if (error instanceof HoofbeatError && error.code === 'NO_SUCH_ROOM') this.#follower.gone(error)
    else if (error) this.#beginAgain()
  }

  /** At once, unless that is what has just been tried. */
  #beginAgain(): void {
    const { retryMs } = this.#options
    const wait = performance.now() - this.#asked < retryMs ? retryMs : 0
    this.#retry = setTimeout(() => void this.#retryNow(), wait)
  }

  async #retryNow(): Promise<void> {
    try {
      await this.#begin(this.#follower.next)
    } catch (cause) {
      if (this.#over) return
      const error = toHoofbeatError(cause)
      if (!errors[error.code].retry) return this.#follower.gone(error)
      this.#options.logger.warn({ room: this.#room, err: error }, 'the room cannot be tailed now; trying again')
      this.#beginAgain()
    }
  }
}
