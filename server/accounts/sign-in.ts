import type { Db } from '../database/database.ts'
import { fail } from '../errors.ts'
import { nameKey } from './names.ts'
import type { Passwords } from './passwords.ts'
import type { Tries } from './tries.ts'

export interface SignInParts {
  readonly db: Db
  readonly passwords: Passwords
  readonly tries: Tries
}

export interface Holder {
  readonly user: string
  /** As they signed up with it. */
  readonly name: string
  /** What the password was compared with. */
  readonly hash: string
}

/** A name is at most so long, and so is what is looked for. */
const LONGEST = 200

/**
 * Whose name and password these are. Rejects with BAD_CREDENTIALS, after the same time whether there is such a name or not;
 * with TOO_MANY_LOGINS and TOO_BUSY.
 */
export const holderOf = async (
  { db, passwords, tries }: SignInParts,
  { name, password, address }: { readonly name: string; readonly password: string; readonly address: string },
): Promise<Holder> => {
  const key = nameKey(name.slice(0, LONGEST))
  await tries.signIn(key, address)
  const row = await db
    .selectFrom('users')
    .select(['id', 'name', 'password_hash'])
    .where('name_key', '=', key)
    .executeTakeFirst()
  const hash = row?.password_hash ?? undefined
  const right = await passwords.matches(hash, password)
  if (!right || !row || hash === undefined) throw fail('BAD_CREDENTIALS', 'name or password')
  await tries.signedIn(key, address)
  return { user: row.id, name: row.name!, hash }
}
