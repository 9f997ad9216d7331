import { escape } from './escapes.ts'
import type { Version } from './frame.ts'

/** What at least one version cannot say as it is. */
const SPECIAL = /[\\\n\r:\0]/

/** Headers whose values the receiver wrote itself: whatever is in them, it knows how to read. */
const ECHOES: ReadonlySet<string> = new Set(['subscription', 'ack', 'receipt-id'])

/**
 * `name:value\n`, escaped as `version` asks, or '' where that version cannot say it.
 *
 * Nothing says a NUL or a header without a name. 1.0 has no escapes, so no LF and no colon in the name. 1.0 and 1.1 cannot
 * escape a CR; they allow it as it is, but there are clients that take it for the end of the line, which would let one
 * user forge a header for another, and some that die of it: so only a receiver's own words come back with it.
 */
export const encodeHeader = (name: string, value: string, version: Version): string =>
  SPECIAL.test(value) || SPECIAL.test(name) || name === '' ? encodeSpecial(name, value, version) : `${name}:${value}\n`

const encodeSpecial = (name: string, value: string, version: Version): string => {
  const has = (character: string): boolean => name.includes(character) || value.includes(character)
  if (name === '' || has('\0')) return ''
  if (version !== '1.2' && has('\r') && !ECHOES.has(name)) return ''
  if (version !== '1.0') return `${escape(name, version)}:${escape(value, version)}\n`
  return has('\n') || name.includes(':') ? '' : `${name}:${value}\n`
}

/**
 * The bytes of a frame. `content-length` is added whenever there is a body, and never taken from `headers`, where it
 * could lie. CONNECT and CONNECTED are never escaped, so they can say what 1.0 can say.
 */
export const encodeFrame = (
  command: string,
  headers: Iterable<readonly [string, string]>,
  body: Buffer,
  version: Version,
): Buffer => {
  const spoken = command === 'CONNECTED' || command === 'CONNECT' || command === 'STOMP' ? '1.0' : version
  let head = `${command}\n`
  for (const [name, value] of headers) if (name !== 'content-length') head += encodeHeader(name, value, spoken)
  if (body.length === 0) return Buffer.from(`${head}\n\0`)
  head += `content-length:${body.length}\n\n`
  const length = Buffer.byteLength(head)
  const frame = Buffer.allocUnsafe(length + body.length + 1)
  frame.write(head)
  body.copy(frame, length)
  frame[frame.length - 1] = 0
  return frame
}
