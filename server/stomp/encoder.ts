import { escape } from './escapes.ts'
import type { Version } from './frame.ts'

/** Whatever some version cannot say as it is. */
const SPECIAL = /[\\\n\r:\0]/

/**
 * `name:value\n`, escaped as `version` asks; '' where it cannot be said in that version without the frame being read
 * otherwise by someone: nothing of a NUL, in 1.0 no LF and no colon in the name, in 1.0 and 1.1 no CR. (1.1 allows a raw
 * CR as data, but there are clients that take CR LF, or CR alone, as the end of the line, and some that die of it.)
 */
export const encodeHeader = (name: string, value: string, version: Version): string => {
  if (SPECIAL.test(value) || SPECIAL.test(name) || name === '') return encodeSpecial(name, value, version)
  return `${name}:${value}\n`
}

const encodeSpecial = (name: string, value: string, version: Version): string => {
  const unsayable = version === '1.0' ? /[\n\r\0]/ : version === '1.1' ? /[\r\0]/ : /\0/
  if (name === '' || unsayable.test(value) || unsayable.test(name)) return ''
  if (version !== '1.0') return `${escape(name)}:${escape(value)}\n`
  return name.includes(':') ? '' : `${name}:${value}\n`
}

/**
 * The bytes of a frame. `content-length` is added whenever there is a body and never taken from `headers`, where it could
 * lie. CONNECT and CONNECTED are not escaped, so they can say what 1.0 can say.
 */
export const encodeFrame = (
  command: string,
  headers: Iterable<readonly [string, string]>,
  body: Buffer,
  version: Version,
): Buffer => {
  const language = command === 'CONNECTED' || command === 'CONNECT' || command === 'STOMP' ? '1.0' : version
  let head = `${command}\n`
  for (const [name, value] of headers) if (name !== 'content-length') head += encodeHeader(name, value, language)
  if (body.length === 0) return Buffer.from(`${head}\n\0`)
  head += `content-length:${body.length}\n\n`
  const size = Buffer.byteLength(head)
  const frame = Buffer.allocUnsafe(size + body.length + 1)
  frame.write(head)
  body.copy(frame, size)
  frame[frame.length - 1] = 0
  return frame
}
