import { isUtf8 } from 'node:buffer'
import { fail } from '../errors.ts'
import { unescape } from './escapes.ts'
import type { Version } from './frame.ts'

const LF = 10
const COMMANDS: ReadonlySet<string> = new Set([
  ...['CONNECT', 'STOMP', 'SEND', 'SUBSCRIBE', 'UNSUBSCRIBE', 'ACK', 'NACK'],
  ...['BEGIN', 'COMMIT', 'ABORT', 'DISCONNECT'],
])
export const LONGEST_COMMAND: number = Math.max(...Array.from(COMMANDS, command => command.length))

/** What is in a larger head does not keep it in memory: see `detach`. */
const SMALL_HEAD = 2048

/** All of a frame before its body. */
export interface Head {
  readonly command: string
  readonly headers: ReadonlyMap<string, string>
}

/** Whether CR LF ends a line; otherwise the CR is part of it. `version` is undefined until CONNECTED was sent. */
export const takesCrLf = (version: Version | undefined): boolean => version === undefined || version === '1.2'

/** The command on `line`, which is without its LF. Throws UNKNOWN_COMMAND. */
export const parseCommand = (line: string, version: Version | undefined): string => {
  const command = line.endsWith('\r') && takesCrLf(version) ? line.slice(0, -1) : line
  if (!COMMANDS.has(command)) throw fail('UNKNOWN_COMMAND', /^\w{1,20}$/.test(command) ? command : undefined)
  return command
}

/** The head that lies in `bytes` from `start` to `end`, its empty line included. Throws what is wrong with it. */
export const parseHead = (bytes: Buffer, start: number, end: number, version: Version | undefined): Head => {
  const decoded = decode(bytes, start, end)
  const text = decoded === undefined ? undefined : withoutCr(decoded, version)
  if (text === undefined) {
    // The command is judged first, as it is where no more than its line has come.
    parseCommand(bytes.toString('latin1', start, bytes.indexOf(LF, start)), version)
    // So is a NUL, where the head has not come to its end.
    if (bytes.subarray(start, end).includes(0)) throw fail('BAD_HEADER', 'a NUL within a header')
    throw decoded === undefined ? fail('BAD_ENCODING') : fail('BAD_HEADER', 'a CR within a line')
  }
  const commandEnd = text.indexOf('\n')
  const command = parseCommand(text.slice(0, commandEnd), version)
  if (text.includes('\0')) throw fail('BAD_HEADER', 'a NUL within a header')
  const escaped = text.includes('\\') && command !== 'CONNECT' && command !== 'STOMP'
  return { command, headers: parseHeaders(text, commandEnd + 1, escaped ? version : undefined) }
}

/** Undefined where it is not UTF-8. */
const decode = (bytes: Buffer, start: number, end: number): string | undefined => {
  const text = bytes.toString('utf8', start, end)
  // Invalid bytes come out as U+FFFD, which is legal too. Neither is there where each byte made one other character.
  const plain = text.length === end - start && !text.includes('\ufffd')
  return plain || isUtf8(bytes.subarray(start, end)) ? text : undefined
}

/** Undefined where a CR is within a line. */
const withoutCr = (text: string, version: Version | undefined): string | undefined => {
  if (!text.includes('\r') || !takesCrLf(version)) return text
  const lines = text.replaceAll('\r\n', '\n')
  return version === '1.2' && lines.includes('\r') ? undefined : lines
}

/** `version`: undefined where there are no escapes to resolve. */
const parseHeaders = (text: string, from: number, version: Version | undefined): Map<string, string> => {
  const headers = new Map<string, string>()
  for (let at = from; text[at] !== '\n';) {
    const end = text.indexOf('\n', at)
    const colon = text.indexOf(':', at)
    if (colon === -1 || colon > end) throw fail('BAD_HEADER', 'a header line without a colon')
    if (colon === at) throw fail('BAD_HEADER', 'a header without a name')
    let name = text.slice(at, colon)
    let value = text.slice(colon + 1, end)
    if (version !== undefined && version !== '1.0') {
      name = unescape(name, version)
      value = unescape(value, version)
    }
    if (!headers.has(name)) {
      if (text.length <= SMALL_HEAD) headers.set(name, value)
      else headers.set(detach(name), detach(value))
    }
    at = end + 1
  }
  return headers
}

/** A copy. A part of a string keeps the whole string in memory, here up to half a megabyte for a subscription's id. */
const detach = (text: string): string => Buffer.from(text).toString()
