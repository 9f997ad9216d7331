import { nameKey } from '../accounts/index.ts'
import { fail } from '../errors.ts'

/** Code points of a room's name, and of what it says of itself. */
const NAME_MOST = 80
const ABOUT_MOST = 500

const ILL = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u

/**
 * A room's name as it is shown, white space at its ends dropped, and as it is looked for: rooms may share a name, so this
 * makes one of what people write differently and mean alike. Throws BAD_NAME.
 */
export const nameOf = (wanted: string): { readonly name: string; readonly key: string } => {
  const name = wanted.trim()
  const key = searchKey(name)
  const long = Array.from(name).length > NAME_MOST
  if (key === '' || long || ILL.test(name)) {
    throw fail('BAD_NAME', `a room's name has 1 to ${NAME_MOST} characters that can be seen, on one line`)
  }
  return { name, key }
}

/** What the name keys begin with of the rooms that somebody looks for. */
export const searchKey = (text: string): string => nameKey(text).trim()

/** What a room says of itself, white space at its ends dropped. Throws BAD_REQUEST. */
export const aboutOf = (wanted: string): string => {
  const about = wanted.trim()
  // PostgreSQL keeps no NUL, and nobody half a character.
  if (Array.from(about).length > ABOUT_MOST || /[\0\p{Cs}]/u.test(about)) {
    throw fail('BAD_REQUEST', `about takes up to ${ABOUT_MOST} characters`)
  }
  return about
}
