import { isUtf8 } from 'node:buffer'
import { fail, type HoofbeatError } from '../errors.ts'
import { Carry } from './carry.ts'
import { unescape } from './escapes.ts'
import { EMPTY, type Frame, type Version } from './frame.ts'

/** `bodyBytes`: of a body; `headers`: header lines of a frame; `headerBytes`: of a header line, its end not counted. */
export interface ParserLimits {
  readonly bodyBytes: number
  readonly headers: number
  readonly headerBytes: number
}

const COMMANDS: ReadonlySet<string> = new Set([
  ...['CONNECT', 'STOMP', 'SEND', 'SUBSCRIBE', 'UNSUBSCRIBE', 'ACK', 'NACK'],
  ...['BEGIN', 'COMMIT', 'ABORT', 'DISCONNECT'],
])
const LONGEST_COMMAND = Math.max(...Array.from(COMMANDS, command => command.length))
const NUL = 0
const LF = 10
const CR = 13
/** Heads up to this many bytes may be kept alive by a header value that was cut from them. */
const SMALL_HEAD = 2048

/** A head that has been read. `start`: where the body starts, from the frame's start; `length`: of the body, if known. */
interface Head {
  readonly command: string
  readonly headers: ReadonlyMap<string, string>
  readonly start: number
  readonly length: number | undefined
}

/**
 * Reads client frames from a stream of bytes, however it is cut.
 *
 *     stream := *EOL *( frame *EOL )
 *     frame  := command EOL *( name ":" value EOL ) EOL body NUL
 *     EOL    := LF, in 1.2 and before CONNECTED also CR LF; between frames always both
 *
 * Pull-based: `push` only keeps bytes, `read` parses one frame. So `version` can be set between two frames of one chunk,
 * and a reader that does not read costs no more than the bytes that it let in.
 */
export class Parser {
  /** Undefined until CONNECTED was sent; there are no escapes before. */
  version: Version | undefined
  readonly #limits: ParserLimits
  readonly #most: number
  readonly #carry = new Carry()
  #failure: HoofbeatError | undefined
  /** Of the frame that is not complete, once known. */
  #head: Head | undefined
  /** How far the incomplete frame was searched, where the line begins that is not complete, which line that is: from `start`. */
  #searched = 0
  #line = 0
  #lines = 0

  constructor(limits: ParserLimits) {
    this.#limits = limits
    this.#most = LONGEST_COMMAND + 3 + limits.headers * (limits.headerBytes + 2) + limits.bodyBytes + 1
  }

  /** Bytes pushed and not yet consumed. 0 after an error. */
  get pending(): number {
    return this.#carry.length
  }

  /** Adds bytes, which nobody may write to afterwards. They are dropped after an error. */
  push(chunk: Buffer): void {
    if (this.#failure === undefined) this.#carry.push(chunk, this.#most)
  }

  /**
   * The next whole frame, or undefined until more bytes come. Throws a HoofbeatError where the stream is not STOMP or
   * beyond a limit; there is no way on from there, so every later call throws the same one.
   */
  read(): Frame | undefined {
    if (this.#failure !== undefined) throw this.#failure
    try {
      const frame = this.#frame()
      if (frame === undefined) this.#carry.settle()
      return frame
    } catch (error) {
      this.#failure = error as HoofbeatError
      this.#carry.clear()
      throw error
    }
  }

  #frame(): Frame | undefined {
    this.#head ??= this.#readHead()
    if (this.#head === undefined) return undefined
    const { command, headers } = this.#head
    const body = this.#readBody(this.#head)
    if (body === undefined) return undefined
    this.#head = undefined
    this.#searched = this.#line = this.#lines = 0
    return { command, headers, body }
  }

  #readHead(): Head | undefined {
    if (this.#lines === 0 && !this.#skipLineEnds()) return undefined
    const size = this.#headSize()
    if (size === undefined) return undefined
    const { bytes, start } = this.#carry
    const text = bytes.toString('utf8', start, start + size)
    if ((text.length !== size || text.includes('\ufffd')) && !isUtf8(bytes.subarray(start, start + size))) {
      throw fail('BAD_ENCODING')
    }
    return this.#parseHead(text, size)
  }

  /** Skips what may be between frames. False: nothing else has come. */
  #skipLineEnds(): boolean {
    const carry = this.#carry
    const { bytes, end } = carry
    while (carry.start < end) {
      const byte = bytes[carry.start] as number
      if (byte === LF) carry.start++
      else if (byte === CR) {
        if (carry.start + 1 === end) return false
        if (bytes[carry.start + 1] !== LF) throw fail('BAD_FRAME', 'a CR without LF between frames')
        carry.start += 2
      } else if (isLetter(byte)) return true
      else throw fail('BAD_FRAME', 'a frame starts with its command')
    }
    return false
  }

  /** Bytes of the head, the empty line included, once it is complete. */
  #headSize(): number | undefined {
    const { bytes, start, end } = this.#carry
    for (;;) {
      const lineEnd = bytes.indexOf(LF, start + this.#searched)
      const complete = lineEnd !== -1 && lineEnd < end
      const from = start + this.#line
      this.#checkLine((complete ? lineEnd : end) - from)
      if (!complete) {
        this.#searched = end - start
        return undefined
      }
      this.#line = this.#searched = lineEnd + 1 - start
      if (lineEnd === from || (lineEnd === from + 1 && bytes[from] === CR && this.#takesCrLf())) return this.#line
      if (++this.#lines > this.#limits.headers + 1) throw fail('TOO_MANY_HEADERS')
    }
  }

  #checkLine(length: number): void {
    const cr = this.#takesCrLf() ? 1 : 0
    if (this.#lines === 0) {
      if (length > LONGEST_COMMAND + cr) throw fail('UNKNOWN_COMMAND')
    } else if (length > this.#limits.headerBytes + cr) throw fail('FRAME_TOO_LARGE', 'header line')
  }

  #takesCrLf(): boolean {
    return this.version === undefined || this.version === '1.2'
  }

  #parseHead(text: string, size: number): Head {
    const lines = text.includes('\r') && this.#takesCrLf() ? this.#withoutCr(text) : text
    const commandEnd = lines.indexOf('\n')
    const command = lines.slice(0, commandEnd)
    if (!COMMANDS.has(command)) throw fail('UNKNOWN_COMMAND', /^\w+$/.test(command) ? command : undefined)
    const headers = this.#parseHeaders(lines, commandEnd + 1, command)
    return { command, headers, start: size, length: this.#bodyLength(command, headers) }
  }

  #withoutCr(text: string): string {
    const lines = text.replaceAll('\r\n', '\n')
    if (this.version === '1.2' && lines.includes('\r')) throw fail('BAD_HEADER', 'a CR within a line')
    return lines
  }

  #parseHeaders(text: string, from: number, command: string): Map<string, string> {
    if (text.includes('\0')) throw fail('BAD_HEADER', 'a NUL within a header')
    const version = command === 'CONNECT' || command === 'STOMP' ? undefined : this.version
    const escapes = version !== undefined && version !== '1.0' && text.includes('\\')
    const headers = new Map<string, string>()
    for (let at = from; text[at] !== '\n';) {
      const end = text.indexOf('\n', at)
      const colon = text.indexOf(':', at)
      if (colon === -1 || colon > end) throw fail('BAD_HEADER', 'a header line without a colon')
      if (colon === at) throw fail('BAD_HEADER', 'a header without a name')
      let name = text.slice(at, colon)
      let value = text.slice(colon + 1, end)
      if (escapes) {
        name = unescape(name, version)
        value = unescape(value, version)
      }
      if (text.length > SMALL_HEAD) value = detach(value)
      if (!headers.has(name)) headers.set(name, value)
      at = end + 1
    }
    return headers
  }

  #bodyLength(command: string, headers: ReadonlyMap<string, string>): number | undefined {
    const text = headers.get('content-length')
    if (text === undefined) return command === 'SEND' ? undefined : 0
    if (!/^\d{1,15}$/.test(text)) throw fail('BAD_HEADER', 'content-length takes a whole number')
    const length = Number(text)
    if (command !== 'SEND' && length > 0) throw fail('BAD_FRAME', `${command} has no body`)
    if (length > this.#limits.bodyBytes) throw fail('FRAME_TOO_LARGE', 'body')
    return length
  }

  #readBody({ command, start, length }: Head): Buffer | undefined {
    const carry = this.#carry
    const { bytes, end } = carry
    const from = carry.start + start
    let to = from + (length ?? 0)
    if (length === undefined) {
      to = bytes.indexOf(NUL, carry.start + this.#searched)
      if (to >= end) to = -1
      if ((to === -1 ? end : to) - from > this.#limits.bodyBytes) throw fail('FRAME_TOO_LARGE', 'body')
      this.#searched = end - carry.start
    }
    if (to === -1 || to >= end) return undefined
    if (bytes[to] !== NUL) {
      throw fail('BAD_FRAME', command === 'SEND' ? 'no NUL after content-length octets' : `${command} has no body`)
    }
    carry.start = to + 1
    return from === to ? EMPTY : bytes.subarray(from, to)
  }
}

const isLetter = (byte: number): boolean => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a

/** A copy of `text` that does not keep the text in memory which it was cut from. */
const detach = (text: string): string => Buffer.from(text).toString()
