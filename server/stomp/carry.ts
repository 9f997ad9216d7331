import { EMPTY } from './frame.ts'

/** Where small buffers stop being worth a copy: Node cuts them from slabs of half this size anyway. */
const SMALL = 16_384

/**
 * The bytes that were received and not yet consumed, always in one piece: `bytes` from `start` to `end`.
 *
 * A chunk that arrives when nothing is left over is taken as it is, without a copy. What is cut over chunks is gathered
 * in a buffer of its own that doubles as it grows, so that any cutting costs linear time, and never holds more than about
 * twice what was received. Bytes are only ever written behind `end`: whoever took a part of `bytes` may keep it.
 */
export class Carry {
  bytes: Buffer = EMPTY
  start = 0
  end = 0
  /** Whether `bytes` is ours to write to, behind `end`. */
  #own = false

  get length(): number {
    return this.end - this.start
  }

  /** Adds `chunk`, which nobody may write to afterwards. `most`: bytes that can still be needed in one piece. */
  push(chunk: Buffer, most: number): void {
    if (this.start === this.end) {
      this.bytes = chunk
      this.start = 0
      this.end = chunk.length
      this.#own = false
      return
    }
    const needed = this.length + chunk.length
    if (!this.#own || this.end + chunk.length > this.bytes.length) {
      this.#move(Math.max(needed, Math.min(2 * needed, most)))
    }
    chunk.copy(this.bytes, this.end)
    this.end += chunk.length
  }

  /** Lets go of what a small rest would keep in memory for as long as the other side likes. */
  settle(): void {
    if (this.start === this.end) this.clear()
    else if (this.bytes.buffer.byteLength > Math.max(SMALL, 4 * this.length)) this.#move(this.length)
  }

  clear(): void {
    this.bytes = EMPTY
    this.start = this.end = 0
    this.#own = false
  }

  #move(capacity: number): void {
    const bytes = Buffer.allocUnsafe(capacity)
    this.bytes.copy(bytes, 0, this.start, this.end)
    this.end -= this.start
    this.start = 0
    this.bytes = bytes
    this.#own = true
  }
}
