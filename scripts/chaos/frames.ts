/** A frame as it was written: header values are not unescaped, since nothing that is sent here needs it. */
export interface Frame {
  readonly command: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

const LF = 10
const NUL = 0

/** A frame in bytes. */
export const frameBytes = (command: string, headers: Readonly<Record<string, string>>, body = ''): Buffer => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
  return Buffer.from(`${command}\n${lines.join('')}\n${body}\0`)
}

/** Reads frames from bytes in any pieces. Its reading is its own, so that no mistake of the server's codec hides itself. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)

  /** The frames that are complete with `chunk`. */
  read(chunk: Buffer): Frame[] {
    const frames: Frame[] = []
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    for (;;) {
      let start = 0
      while (this.#rest[start] === LF) start++
      const end = this.#rest.indexOf('\n\n', start)
      if (end < 0) break
      const [command = '', ...lines] = this.#rest.toString('utf8', start, end).split('\n')
      const headers = new Map<string, string>()
      for (const line of lines) {
        const colon = line.indexOf(':')
        if (!headers.has(line.slice(0, colon))) headers.set(line.slice(0, colon), line.slice(colon + 1))
      }
      const length = headers.get('content-length')
      const stop = length === undefined ? this.#rest.indexOf(NUL, end + 2) : end + 2 + Number(length)
      if (stop < 0 || stop >= this.#rest.length) break
      if (this.#rest[stop] !== NUL) throw new Error(`a ${command} frame does not end with NUL`)
      const body = this.#rest.subarray(end + 2, stop)
      this.#rest = this.#rest.subarray(stop + 1)
      frames.push({ command, headers, body })
    }
    return frames
  }
}
