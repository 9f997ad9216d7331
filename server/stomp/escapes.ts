import { fail } from '../errors.ts'
import type { Version } from './frame.ts'

const MEANING: ReadonlyMap<string, string> = new Map([
  ['\\n', '\n'],
  ['\\c', ':'],
  ['\\\\', '\\'],
])
const ESCAPE: Readonly<Record<string, string>> = { '\n': '\\n', ':': '\\c', '\\': '\\\\', '\r': '\\r' }

/** `text` of a header with its escapes resolved, as `version` (1.1 or 1.2) has them. Throws BAD_ESCAPE. */
export const unescape = (text: string, version: Version): string =>
  text.replace(/\\[^]?/g, escape => {
    const meaning = escape === '\\r' && version === '1.2' ? '\r' : MEANING.get(escape)
    if (meaning === undefined) throw fail('BAD_ESCAPE', JSON.stringify(escape))
    return meaning
  })

/** `text` with escapes for what `version` (1.1 or 1.2) escapes: 1.1 has none for CR. */
export const escape = (text: string, version: Version): string =>
  text.replace(version === '1.2' ? /[\\\n\r:]/g : /[\\\n:]/g, special => ESCAPE[special] as string)
