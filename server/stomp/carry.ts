import { EMPTY } from './frame.ts'

/** Bytes that are not worth thinking about. */
const SMALL = 512

/** Small copies lie together in stores of this size, bytes: memory of its own is dear. */
const SHELF = 4 * SMALL
let shelf = EMPTY
let shelved = 0

/** What `length` bytes that somebody keeps may keep in memory, with all that lies beside them. */
const worth = (length: number): number => Math.max(SHELF, 4 * length)

/** Memory for a copy, not from Node's pool: a few bytes would keep all of the pool's slab alive. */
const placeFor = (length: number): Buffer => {
  if (length > SHELF / 2) return Buffer.allocUnsafeSlow(length)
  if (shelved + length > shelf.length) {
    shelf = Buffer.allocUnsafeSlow(SHELF)
    shelved = 0
  }
  shelved += length
  return shelf.subarray(shelved - length, shelved)
}

/**
 * The bytes that were received and not yet consumed, always in one piece: `bytes` from `start` on.
 *
 * A chunk that arrives when nothing is left over is taken as it is, without a copy. What is cut over chunks is gathered
 * in a store that doubles as it grows, so that any cutting costs linear time; it holds at most about twice what was
 * received, and no more than `most` until that much has come. A store is only written behind what was received:
 * whoever took a part of `bytes` may keep it.
 */
export class Carry {
  bytes: Buffer = EMPTY
  start = 0
  /** What `bytes` is the beginning of, where that is ours to write to. */
  #store: Buffer = EMPTY
  readonly #most: number

  /** `most`: how many bytes can be needed in one piece. */
  constructor(most: number) {
    this.#most = most
  }

  /** How many bytes there are. */
  get length(): number {
    return this.bytes.length - this.start
  }

  /** How many bytes of memory it keeps alive for them. */
  get capacity(): number {
    return this.bytes.buffer.byteLength
  }

  /** Adds `chunk`, which nobody may write to afterwards. */
  push(chunk: Buffer): void {
    if (this.start === this.bytes.length) {
      this.bytes = chunk
      this.start = 0
      this.#store = EMPTY
      return
    }
    if (this.bytes.length + chunk.length > this.#store.length) this.#move(this.#room(this.length + chunk.length, chunk))
    const end = this.bytes.length + chunk.copy(this.#store, this.bytes.length)
    this.bytes = this.#store.subarray(0, end)
  }

  /** The bytes from `from` to before `to`, for whoever keeps them: a copy, where they are a small part of what came. */
  take(from: number, to: number): Buffer {
    if (this.capacity <= worth(to - from)) return this.bytes.subarray(from, to)
    const copy = placeFor(to - from)
    this.bytes.copy(copy, 0, from, to)
    return copy
  }

  /** Lets go of what a small rest would keep in memory for as long as the other side likes. */
  settle(): void {
    if (this.start === this.bytes.length) this.clear()
    else if (this.capacity > worth(this.length)) this.#move(this.length)
  }

  clear(): void {
    this.bytes = this.#store = EMPTY
    this.start = 0
  }

  /** How large a store to make for `needed` bytes, the last of which are `chunk`. */
  #room(needed: number, chunk: Buffer): number {
    // After a chunk that is larger than all before it, that much more is not likely to be needed.
    if (2 * chunk.length > needed) return needed
    return needed < this.#most ? Math.min(2 * needed, this.#most) : 2 * needed
  }

  #move(capacity: number): void {
    // Not from Node's pool either.
    this.#store = Buffer.allocUnsafeSlow(Math.max(capacity, SMALL))
    const length = this.bytes.copy(this.#store, 0, this.start)
    this.bytes = this.#store.subarray(0, length)
    this.start = 0
  }
}
