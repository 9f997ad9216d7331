import { randomBytes } from 'node:crypto'

/**
 * 128 bits as 25 of `0-9 a-z`: letters of one case, and none that a room's name or a file's would have to escape. Equal in
 * length, so that they sort as numbers do.
 */
const written = (bytes: Buffer): string =>
  BigInt(`0x${bytes.toString('hex')}`)
    .toString(36)
    .padStart(25, '0')

/** An id that nobody has had or can guess. */
export const newId = (): string => written(randomBytes(16))

/** The ids that stand as values in a text of JSON, each once. */
export const idsIn = (json: string): string[] => [
  ...new Set(Array.from(json.matchAll(/"([0-9a-z]{25})"/g), ([, id]) => id!)),
]
