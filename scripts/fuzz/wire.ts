import type { Version } from './client-stream.ts'

const ESCAPES: Readonly<Record<Version, readonly (readonly [string, string])[]>> = {
  '1.0': [],
  '1.1': [
    ['\\', '\\\\'],
    ['\n', '\\n'],
    [':', '\\c'],
  ],
  '1.2': [
    ['\\', '\\\\'],
    ['\n', '\\n'],
    [':', '\\c'],
    ['\r', '\\r'],
  ],
}

/** `text` of a header as `version` writes it ([S-07]). */
export const encode = (text: string, version: Version): string =>
  ESCAPES[version].reduce((encoded, [plain, escape]) => encoded.replaceAll(plain, escape), text)

/** [S-10]: whether `version` can say it to somebody else. */
export const sayable = ([name, value]: readonly [string, string], version: Version): boolean => {
  const text = name + value
  if (version === '1.0') return !/[\r\n]/.test(text) && !name.includes(':')
  return version === '1.2' || !text.includes('\r')
}
