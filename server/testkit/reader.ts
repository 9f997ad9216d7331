import type { Outlet } from '../fanout/subscription.ts'

/** A frame as it was written: header values are not unescaped. */
export interface ReadFrame {
  readonly command: string
  readonly headers: ReadonlyMap<string, string>
  /** All header lines, repeated ones too. */
  readonly lines: readonly string[]
  readonly body: Buffer
}

/**
 * An outlet that a test opens and shuts. It reads frames that are not framed for any transport, in its own way, so that a
 * mistake of the encoder does not hide itself.
 */
export class Reader implements Outlet {
  readonly pushed: Buffer[] = []
  readonly frames: ReadFrame[] = []
  #open = true
  #listeners: (() => void)[] = []

  get open(): boolean {
    return this.#open
  }

  set open(open: boolean) {
    this.#open = open
    if (open && this.#listeners.length > 0) setImmediate(() => this.#call())
  }

  /** How many wait for it to open. */
  get listeners(): number {
    return this.#listeners.length
  }

  get bodies(): string[] {
    return this.frames.map(frame => frame.body.toString())
  }

  push(bytes: Buffer, frames: number): void {
    this.pushed.push(bytes)
    const read = readFrames(bytes)
    if (read.length !== frames) throw new Error(`${frames} frames were announced, ${read.length} came`)
    this.frames.push(...read)
  }

  whenOpen(listener: () => void): void {
    this.#listeners.push(listener)
    if (this.#open) setImmediate(() => this.#call())
  }

  #call(): void {
    if (!this.#open) return
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) listener()
  }
}

/** Whole frames with `content-length`, one after the other. */
export const readFrames = (bytes: Buffer): ReadFrame[] => {
  const frames: ReadFrame[] = []
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf('\n\n', at)
    const [command = '', ...lines] = bytes.toString('utf8', at, end).split('\n')
    const headers = new Map<string, string>()
    for (const line of lines) {
      const [name = ''] = line.split(':', 1)
      if (!headers.has(name)) headers.set(name, line.slice(name.length + 1))
    }
    const start = end + 2
    at = start + Number(headers.get('content-length'))
    frames.push({ command, headers, lines, body: bytes.subarray(start, at) })
    if (bytes[at++] !== 0) throw new Error('a frame does not end with NUL')
  }
  return frames
}
