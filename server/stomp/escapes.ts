import { fail } from '../errors.ts'
import type { Version } from './frame.ts'

const MEANING: Readonly<Record<string, string>> = { '\\n': '\n', '\\c': ':', '\\\\': '\\', '\\r': '\r' }
const ESCAPE: Readonly<Record<string, string>> = { '\n': '\\n', ':': '\\c', '\\': '\\\\', '\r': '\\r' }

/** `text` of a header with its escapes resolved, as `version` (1.1 or 1.2) has them. Throws BAD_ESCAPE. */
export const unescape = (text: string, version: Version): string =>
  text.replace(/\\[^]?/gu, escape => {
    const meaning = MEANING[escape]
    if (meaning === undefined || (meaning === '\r' && version !== '1.2')) throw fail('BAD_ESCAPE')
    return meaning
  })

/** `text` with everything escaped that STOMP 1.2 escapes. */
export const escape = (text: string): string => text.replace(/[\\\n\r:]/g, special => ESCAPE[special] ?? special)
