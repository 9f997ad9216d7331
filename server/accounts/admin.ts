import { transaction, type Db } from '../database/database.ts'
import { readName } from './names.ts'
import { checkPassword, Passwords } from './passwords.ts'
import { signUp } from './sign-up.ts'

/** Whether anybody is an admin. */
export const hasAdmin = async (db: Db): Promise<boolean> =>
  (await db.selectFrom('users').select('id').where('is_admin', '=', true).limit(1).executeTakeFirst()) !== undefined

/**
 * Makes whoever has this name an admin; where nobody has, makes the account too, with a password that is asked for then.
 * Rejects with BAD_NAME and BAD_PASSWORD.
 */
export const makeAdmin = async (
  db: Db,
  text: string,
  password: () => Promise<string>,
): Promise<'created' | 'promoted'> => {
  const name = readName(text)
  const promoted = await db
    .updateTable('users')
    .set({ is_admin: true })
    .where('name_key', '=', name.key)
    .executeTakeFirst()
  if (promoted.numUpdatedRows > 0n) return 'promoted'
  const given = await password()
  checkPassword(given, name.key)
  const hash = await new Passwords().hash(given)
  await transaction(db, tx => signUp(tx, { name, hash, isAdmin: true }))
  return 'created'
}
