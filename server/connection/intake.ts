import type { Frame } from '../stomp/frame.ts'

/** What a frame and a header cost beside their text and body while the frame is under way, bytes. */
const FRAME_OVERHEAD = 512
const HEADER_OVERHEAD = 32

/** The bytes that a frame takes while it is under way, about. */
export const costOf = ({ headers, body }: Frame): number => {
  let bytes = FRAME_OVERHEAD + body.length
  for (const [name, value] of headers) bytes += HEADER_OVERHEAD + name.length + value.length
  return bytes
}

/** The bytes of all frames that a node has taken in and not settled, bounded: past `most` no connection is read from. */
export class Intake {
  readonly #most: number
  #bytes = 0
  #waiting = new Set<() => void>()
  #whenEmpty: (() => void) | undefined

  constructor(most: number) {
    this.#most = most
  }

  get bytes(): number {
    return this.#bytes
  }

  get full(): boolean {
    return this.#bytes >= this.#most
  }

  add(bytes: number): void {
    this.#bytes += bytes
  }

  /** Settles `bytes`; whoever waited is called when there is room. */
  remove(bytes: number): void {
    this.#bytes -= bytes
    if (this.#bytes === 0) this.#whenEmpty?.()
    if (this.full || this.#waiting.size === 0) return
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const listener of waiting) listener()
  }

  /** Calls `listener` once when there is room; the same listener is kept once. */
  whenRoom(listener: () => void): void {
    this.#waiting.add(listener)
  }

  /** Resolves when nothing is under way, also of those who have gone. */
  async empty(): Promise<void> {
    if (this.#bytes > 0) await new Promise<void>(resolve => (this.#whenEmpty = resolve))
  }

  forget(listener: () => void): void {
    this.#waiting.delete(listener)
  }
}
