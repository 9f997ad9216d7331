import { isUniqueViolation, type Tx } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { fail } from '../errors.ts'
import type { Name } from './names.ts'
import { tidyDisplayName } from './profile.ts'

export interface NewAccount {
  readonly name: Name
  readonly displayName?: string | undefined
  /** Of the password. */
  readonly hash: string
  readonly isAdmin?: boolean
}

/** Makes an account and resolves with its id. Rejects with NAME_TAKEN; then the transaction can do nothing more. */
export const signUp = async (tx: Tx, { name, displayName, hash, isAdmin = false }: NewAccount): Promise<string> => {
  const id = newId()
  try {
    await tx
      .insertInto('users')
      .values({
        id,
        name: name.name,
        name_key: name.key,
        display_name: tidyDisplayName(displayName, name.name),
        password_hash: hash,
        is_admin: isAdmin,
      })
      .execute()
  } catch (error) {
    throw isUniqueViolation(error, 'users_name_key_key') ? fail('NAME_TAKEN') : error
  }
  return id
}
