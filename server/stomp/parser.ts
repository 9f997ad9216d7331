import { fail, type HoofbeatError } from '../errors.ts'
import { Carry } from './carry.ts'
import { EMPTY, type Frame, refuse, type Version } from './frame.ts'
import { type Head, LONGEST_COMMAND, parseCommand, parseHead, takesCrLf } from './head.ts'

/** `bodyBytes`: of a body; `headers`: header lines of a frame; `headerBytes`: of a header line, without its end. */
export interface ParserLimits {
  readonly bodyBytes: number
  readonly headers: number
  readonly headerBytes: number
}

const NUL = 0
const LF = 10
const CR = 13

/** The bytes of the longest frame within `limits`, with its line ends. */
export const longestFrame = ({ bodyBytes, headers, headerBytes }: ParserLimits): number =>
  LONGEST_COMMAND + 2 + headers * (headerBytes + 2) + 2 + bodyBytes + 1

/**
 * Reads client frames from a stream of bytes, however it is cut.
 *
 *     stream := *EOL *( frame *EOL )
 *     frame  := command EOL *( name ":" value EOL ) EOL body NUL
 *     EOL    := LF, in 1.2 and before CONNECTED also CR LF; between frames always both
 *
 * Pull-based: `push` only keeps bytes, `read` parses one frame. So `version` can be set between two frames of one chunk,
 * and a reader that stops reading costs no more than the bytes that it let in.
 */
export class Parser {
  /** Undefined until CONNECTED was sent; there are no escapes before. */
  version: Version | undefined
  readonly #limits: ParserLimits
  readonly #carry: Carry
  #failure: HoofbeatError | undefined

  // Of the frame that is not complete. Places are counted from its first byte.
  #head: Head | undefined
  #bodyStart = 0
  /** Undefined: up to the first NUL. */
  #bodyLength: number | undefined
  #searched = 0
  /** Where the line starts that is not complete, and how many lines are. */
  #lineStart = 0
  #lines = 0

  constructor(limits: ParserLimits) {
    this.#limits = limits
    this.#carry = new Carry(longestFrame(limits))
  }

  /** Adds bytes, which nobody may write to afterwards. After an error they are dropped. */
  push(chunk: Buffer): void {
    if (this.#failure === undefined) this.#carry.push(chunk)
  }

  /**
   * The next whole frame, or undefined until more bytes come. Throws a HoofbeatError where the stream is not STOMP or
   * beyond a limit; there is no way on from there, so every later call throws the same one. Where the frame asked for a
   * receipt and that is known, the error has `receipt-id` among its headers.
   */
  read(): Frame | undefined {
    if (this.#failure !== undefined) throw this.#failure
    try {
      const frame = this.#readFrame()
      if (frame === undefined) this.#carry.settle()
      return frame
    } catch (error) {
      this.#failure = error as HoofbeatError
      this.#head = undefined
      this.#carry.clear()
      throw error
    }
  }

  #readFrame(): Frame | undefined {
    const head = this.#head ?? this.#readHead()
    if (head === undefined) return undefined
    this.#head = head
    const body = this.#readBody(head)
    if (body === undefined) return undefined
    this.#head = undefined
    this.#searched = this.#lineStart = this.#lines = 0
    return { command: head.command, headers: head.headers, body }
  }

  #readHead(): Head | undefined {
    if (!this.#skipLineEnds()) return undefined
    const size = this.#headSize()
    if (size === undefined) return undefined
    const { bytes, start } = this.#carry
    const head = parseHead(bytes, start, start + size, this.version)
    this.#bodyStart = size
    this.#bodyLength = this.#lengthOfBody(head)
    return head
  }

  /** Skips what may be between frames. False: nothing else has come. */
  #skipLineEnds(): boolean {
    const carry = this.#carry
    const { bytes } = carry
    for (; carry.start < bytes.length; carry.start++) {
      const byte = bytes[carry.start] as number
      if (isLetter(byte)) return true
      if (byte === LF) continue
      if (byte !== CR) throw fail('BAD_FRAME', 'a frame starts with its command')
      if (carry.start + 1 === bytes.length) return false
      if (bytes[carry.start + 1] !== LF) throw fail('BAD_FRAME', 'a CR without LF between frames')
    }
    return false
  }

  /** Bytes of the head, its empty line included, once it is complete. */
  #headSize(): number | undefined {
    const { bytes, start } = this.#carry
    const [searched, lines] = [this.#searched, this.#lines]
    for (;;) {
      const line = start + this.#lineStart
      const lineEnd = bytes.indexOf(LF, start + this.#searched)
      this.#checkLine(line, lineEnd === -1 ? bytes.length : lineEnd)
      if (lineEnd === -1) break
      this.#lineStart = this.#searched = lineEnd + 1 - start
      if (lineEnd === line || (lineEnd === line + 1 && bytes[line] === CR && takesCrLf(this.version))) {
        return this.#lineStart
      }
      this.#lines++
      if (this.#lines > this.#limits.headers + 1) {
        this.#checkNul(lineEnd)
        throw fail('TOO_MANY_HEADERS', `over ${this.#limits.headers}`)
      }
    }
    // Whoever forgot the empty line gets an answer now and not when something else ends the head.
    if (lines === 0 && this.#lines > 0)
      parseCommand(bytes.toString('latin1', start, bytes.indexOf(LF, start)), this.version)
    this.#checkNul(bytes.length, start + searched)
    this.#searched = bytes.length - start
    return undefined
  }

  /** A NUL that comes before another fault is what is wrong, as it is where no more has come. */
  #checkNul(to: number, from: number = this.#carry.start): void {
    const nul = this.#carry.bytes.indexOf(NUL, from)
    if (nul !== -1 && nul < to) throw fail('BAD_HEADER', 'a NUL before the empty line')
  }

  /** Checks the length of a line, or of as much of it as has come. */
  #checkLine(from: number, to: number): void {
    const most = this.#lines === 0 ? LONGEST_COMMAND : this.#limits.headerBytes
    if (to - from <= most) return
    if (to - from === most + 1 && this.#carry.bytes[to - 1] === CR && takesCrLf(this.version)) return
    if (this.#lines === 0) throw fail('UNKNOWN_COMMAND')
    this.#checkNul(from + most)
    throw fail('FRAME_TOO_LARGE', `a header line over ${most} bytes`)
  }

  #lengthOfBody(head: Head): number | undefined {
    const text = head.headers.get('content-length')
    if (text === undefined) return head.command === 'SEND' ? undefined : 0
    if (!/^\d{1,15}$/.test(text)) throw refuse(head, 'BAD_HEADER', 'content-length takes a whole number')
    const length = Number(text)
    if (head.command !== 'SEND' && length > 0) throw refuse(head, 'BAD_FRAME', `${head.command} has no body`)
    this.#checkBody(head, length)
    return length
  }

  #checkBody(head: Head, length: number): void {
    const { bodyBytes } = this.#limits
    if (length > bodyBytes) throw refuse(head, 'FRAME_TOO_LARGE', `a body over ${bodyBytes} bytes`)
  }

  #readBody(head: Head): Buffer | undefined {
    const carry = this.#carry
    const { bytes } = carry
    const from = carry.start + this.#bodyStart
    const to = this.#bodyLength === undefined ? this.#endOfBody(head, from) : from + this.#bodyLength
    if (to === undefined || to >= bytes.length) return undefined
    if (bytes[to] !== NUL) {
      const octets = head.headers.get('content-length')
      const wrong = octets === undefined ? `${head.command} has no body` : `no NUL after ${octets} octets of body`
      throw refuse(head, 'BAD_FRAME', wrong)
    }
    carry.start = to + 1
    return from === to ? EMPTY : carry.take(from, to)
  }

  /** Where the NUL is that ends a body without content-length. */
  #endOfBody(head: Head, from: number): number | undefined {
    const { bytes, start } = this.#carry
    const to = bytes.indexOf(NUL, start + this.#searched)
    this.#checkBody(head, (to === -1 ? bytes.length : to) - from)
    this.#searched = bytes.length - start
    return to === -1 ? undefined : to
  }
}

const isLetter = (byte: number): boolean => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a
