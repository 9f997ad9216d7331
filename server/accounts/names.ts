import { fail } from '../errors.ts'

const LEAST = 2
const MOST = 32
/** Longer texts are not even looked at. */
const LONGEST = 200
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu
const FORM = /^[\p{L}\p{M}\p{N}._-]+$/u
const ENDS = /^[\p{L}\p{N}].*[\p{L}\p{M}\p{N}]$/u

export interface Name {
  /** As it is shown. */
  readonly name: string
  /** The same for all names that look like it: nobody else can have one with this key. */
  readonly key: string
}

const plain = (text: string): string => text.normalize('NFKC').replaceAll(IGNORABLE, '').normalize('NFKC')

/** There and back: letters such as the two small sigmas have one capital, sharp s has two, which are written as two letters. */
export const nameKey = (text: string): string => plain(plain(text).toLowerCase().toUpperCase().toLowerCase())

/** After all that a key can go on with: no code point is greater. */
export const LAST = '\u{10ffff}'

/** Throws BAD_NAME. */
export const readName = (text: string): Name => {
  if (text.length > LONGEST) throw fail('BAD_NAME')
  const [name, key] = [plain(text), nameKey(text)]
  for (const form of [name, key]) {
    const { length } = Array.from(form)
    if (length < LEAST || length > MOST || !FORM.test(form) || !ENDS.test(form)) throw fail('BAD_NAME')
  }
  return { name, key }
}
