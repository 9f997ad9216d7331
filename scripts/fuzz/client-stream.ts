import { isUtf8 } from 'node:buffer'
import type { ErrorCode } from '../../server/errors.ts'

export type Version = '1.0' | '1.1' | '1.2'

/** Limits of the node that is tried, as its configuration has them. */
export interface Limits {
  readonly bodyBytes: number
  readonly headers: number
  readonly headerBytes: number
}

export interface SentFrame {
  readonly command: string
  /** Of repeated ones the first. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

/**
 * What the next bytes of a client are: a frame; something wrong, with every code that fits it; or not enough yet.
 * `doubtful`: something in it is wrong already, so that the server may say so now or when the rest has come.
 */
export type Reading =
  | { readonly kind: 'frame'; readonly frame: SentFrame; readonly size: number }
  | { readonly kind: 'wrong'; readonly codes: ReadonlySet<ErrorCode>; readonly receipt?: string }
  | { readonly kind: 'more'; readonly doubtful: boolean }

const COMMANDS = 'CONNECT STOMP SEND SUBSCRIBE UNSUBSCRIBE ACK NACK BEGIN COMMIT ABORT DISCONNECT'.split(' ')
const LONGEST = 'UNSUBSCRIBE'.length
const NUL = 0
const LF = 10
const CR = 13

interface Head {
  readonly command: string
  readonly lines: readonly Buffer[]
  /** The place after the empty line; undefined while that has not come. */
  readonly end: number | undefined
  readonly codes: Set<ErrorCode>
  /** The server cannot but say so now. */
  readonly certain: boolean
}

/**
 * Reads what a client sends as PROTOCOL.md has it ([S-06] to [S-10]), a whole buffer at a time. It shares nothing with the
 * server's parser, so that a mistake of the one is not a mistake of the other.
 */
export const readClient = (bytes: Buffer, version: Version | undefined, limits: Limits): Reading => {
  const start = skipLineEnds(bytes)
  if (start === 'wrong') return wrong('BAD_FRAME')
  if (start === bytes.length || (bytes[start] === CR && start + 1 === bytes.length)) return more(false)
  if (!/^[A-Za-z]$/.test(String.fromCharCode(bytes[start]!))) return wrong('BAD_FRAME', 'UNKNOWN_COMMAND')
  const head = readHead(bytes, start, version, limits)
  if (head.certain || (head.end !== undefined && head.codes.size > 0)) return { kind: 'wrong', codes: head.codes }
  if (head.end === undefined) return more(head.codes.size > 0)
  return readBody(bytes, head.end, head, headersOf(head, version), limits)
}

const wrong = (...codes: ErrorCode[]): Reading => ({ kind: 'wrong', codes: new Set(codes) })
const more = (doubtful: boolean): Reading => ({ kind: 'more', doubtful })

const skipLineEnds = (bytes: Buffer): number | 'wrong' => {
  let at = 0
  while (at < bytes.length) {
    if (bytes[at] === LF) at++
    else if (bytes[at] === CR && bytes[at + 1] === LF) at += 2
    else if (bytes[at] === CR && at + 1 < bytes.length) return 'wrong'
    else break
  }
  return at
}

const readHead = (bytes: Buffer, start: number, version: Version | undefined, limits: Limits): Head => {
  const crLf = version === undefined || version === '1.2'
  const lines: Buffer[] = []
  const codes = new Set<ErrorCode>()
  let certain = false
  let end: number | undefined
  for (let at = start; end === undefined;) {
    const to = bytes.indexOf(LF, at)
    const whole = bytes.subarray(at, to < 0 ? bytes.length : to)
    const line = crLf && whole.at(-1) === CR ? whole.subarray(0, -1) : whole
    const most = lines.length === 0 ? LONGEST : limits.headerBytes
    if (line.length > most) {
      codes.add(lines.length === 0 ? 'UNKNOWN_COMMAND' : 'FRAME_TOO_LARGE')
      certain = true
    }
    if (to < 0) {
      if (whole.includes(NUL)) codes.add(lines.length === 0 ? 'UNKNOWN_COMMAND' : 'BAD_HEADER').add('BAD_HEADER')
      certain ||= codes.has('BAD_HEADER') && bytes.includes(NUL, start)
      break
    }
    at = to + 1
    if (lines.length > 0 && line.length === 0) end = at
    else if (lines.length === 0 && !COMMANDS.includes(line.toString('latin1'))) {
      codes.add('UNKNOWN_COMMAND')
      certain = true
      if (line.includes(NUL)) codes.add('BAD_HEADER')
      if (!isUtf8(line)) codes.add('BAD_ENCODING')
      lines.push(line)
    } else {
      lines.push(line)
      if (lines.length > 1) for (const code of wrongIn(line, lines[0]!.toString(), version)) codes.add(code)
      if (lines.length - 1 > limits.headers) {
        codes.add('TOO_MANY_HEADERS')
        certain = true
      }
    }
  }
  return { command: lines[0]?.toString() ?? '', lines: lines.slice(1), end, codes, certain }
}

/** All that is wrong with a header line. */
const wrongIn = (line: Buffer, command: string, version: Version | undefined): ErrorCode[] => {
  const codes: ErrorCode[] = []
  const colon = line.indexOf(':')
  if (colon <= 0 || line.includes(NUL)) codes.push('BAD_HEADER')
  if (version === '1.2' && line.includes(CR)) codes.push('BAD_HEADER')
  if (!isUtf8(line)) codes.push('BAD_ENCODING')
  if (escapes(command, version)) {
    const known = version === '1.2' ? /\\[nrc\\]/g : /\\[nc\\]/g
    for (const part of [line.subarray(0, Math.max(colon, 0)), line.subarray(colon + 1)]) {
      if (part.toString('latin1').replaceAll(known, '').includes('\\')) codes.push('BAD_ESCAPE')
    }
  }
  return codes
}

const escapes = (command: string, version: Version | undefined): boolean =>
  (version === '1.1' || version === '1.2') && command !== 'CONNECT' && command !== 'STOMP'

/** What a header says once its escapes are resolved: one character after the other, as the specification reads. */
export const resolve = (text: string): string => {
  let resolved = ''
  for (let at = 0; at < text.length; at++) {
    if (text[at] !== '\\') {
      resolved += text[at]
      continue
    }
    at++
    resolved += text[at] === 'n' ? '\n' : text[at] === 'r' ? '\r' : text[at] === 'c' ? ':' : '\\'
  }
  return resolved
}

const headersOf = ({ command, lines }: Head, version: Version | undefined): Map<string, string> => {
  const headers = new Map<string, string>()
  const read = (text: string): string => (escapes(command, version) && text.includes('\\') ? resolve(text) : text)
  for (const line of lines) {
    const text = line.toString()
    const colon = text.indexOf(':')
    const name = read(text.slice(0, colon))
    if (!headers.has(name)) headers.set(name, read(text.slice(colon + 1)))
  }
  return headers
}

const readBody = (
  bytes: Buffer,
  from: number,
  { command }: Head,
  headers: ReadonlyMap<string, string>,
  { bodyBytes }: Limits,
): Reading => {
  const receipt = headers.get('receipt')
  const refuse = (...codes: ErrorCode[]): Reading => ({
    kind: 'wrong',
    codes: new Set(codes),
    ...(receipt === undefined ? {} : { receipt }),
  })
  const done = (to: number): Reading => ({
    kind: 'frame',
    frame: { command, headers, body: bytes.subarray(from, to) },
    size: to + 1,
  })
  const length = headers.get('content-length')
  if (length === undefined) {
    if (command !== 'SEND')
      return from === bytes.length ? more(false) : bytes[from] === NUL ? done(from) : refuse('BAD_FRAME')
    const to = bytes.indexOf(NUL, from)
    if ((to < 0 ? bytes.length : to) - from > bodyBytes) return refuse('FRAME_TOO_LARGE')
    return to < 0 ? more(false) : done(to)
  }
  if (!/^\d+$/.test(length)) return refuse('BAD_HEADER')
  // A number of so many digits may count as none.
  if (length.length > 15)
    return refuse('BAD_HEADER', 'FRAME_TOO_LARGE', ...(command === 'SEND' ? [] : (['BAD_FRAME'] as const)))
  const octets = Number(length)
  if (command !== 'SEND' && octets > 0)
    return refuse('BAD_FRAME', ...(octets > bodyBytes ? (['FRAME_TOO_LARGE'] as const) : []))
  if (octets > bodyBytes) return refuse('FRAME_TOO_LARGE')
  const to = from + octets
  if (to >= bytes.length) return more(false)
  return bytes[to] === NUL ? done(to) : refuse('BAD_FRAME')
}
