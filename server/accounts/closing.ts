/** What ends sessions because the account changes: a new password, and its deletion. */

import { sql } from 'kysely'
import { recordChange } from '../database/access-changes.ts'
import { transaction, type Db, type Tx } from '../database/database.ts'
import { fail } from '../errors.ts'
import type { Telling } from '../people/index.ts'
import { nameKey } from './names.ts'
import { checkPassword } from './passwords.ts'
import { readAccount } from './profile.ts'
import { endSessions } from './sessions.ts'
import { holderOf, type SignInParts } from './sign-in.ts'

interface Asker {
  readonly user: string
  readonly session: string
  readonly address: string
}

/** Whether it is really they who ask: whoever sits at somebody's device has no password. */
const confirm = async (
  parts: SignInParts,
  { user, address }: Asker,
  password: string,
): Promise<{ key: string; hash: string }> => {
  const { name } = await readAccount(parts.db, user)
  const { hash } = await holderOf(parts, { name, password, address })
  return { key: nameKey(name), hash }
}

/** Sets another password and ends all sessions but the one that asks; resolves with those. Rejects with BAD_PASSWORD. */
export const changePassword = async (
  parts: SignInParts,
  asker: Asker,
  { old, password }: { readonly old: string; readonly password: string },
): Promise<string[]> => {
  const { key, hash } = await confirm(parts, asker, old)
  checkPassword(password, key)
  const next = await parts.passwords.hash(password)
  return transaction(parts.db, async tx => {
    const changed = await tx
      .updateTable('users')
      .set({ password_hash: next })
      .where('id', '=', asker.user)
      .where('password_hash', '=', hash)
      .executeTakeFirst()
    // Somebody else has changed it meanwhile.
    if (changed.numUpdatedRows === 0n) throw fail('BAD_CREDENTIALS')
    return endSessions(tx, asker.user, asker.session)
  })
}

/** What another capability does, in the same transaction, when an account is deleted. Resolves with whom to tell, if anybody. */
export type Forget = (tx: Tx, user: string) => Promise<readonly Telling[] | void>

export interface Deleted {
  /** Those that ended by it. */
  readonly sessions: readonly string[]
  /** Whom to tell now that it is committed. */
  readonly telling: readonly Telling[]
}

/** Deletes the account of who asks for it with their password. */
export const closeAccount = async (
  parts: SignInParts,
  asker: Asker,
  { password, forget }: { readonly password: string; readonly forget: readonly Forget[] },
): Promise<Deleted> => {
  await confirm(parts, asker, password)
  return deleteAccount(parts.db, asker.user, forget)
}

/**
 * Deletes an account: its name is free again, its id is never used for anybody else. Rejects with LAST_ADMIN, and with
 * NO_SUCH_USER where it is deleted already.
 */
export const deleteAccount = (db: Db, user: string, forget: readonly Forget[]): Promise<Deleted> =>
  transaction(db, async tx => {
    // All of them in one order: of two admins who go at once the second one sees that the first has gone.
    const admins = await tx
      .selectFrom('users')
      .select('id')
      .where('is_admin', '=', true)
      .orderBy('id')
      .forNoKeyUpdate()
      .execute()
    if (admins.length === 1 && admins[0]!.id === user) throw fail('LAST_ADMIN')
    const cleared = await tx
      .updateTable('users')
      .set({
        name: null,
        name_key: null,
        password_hash: null,
        display_name: '',
        status_text: '',
        is_admin: false,
        last_seen_at: null,
        deleted_at: sql<number>`now()`,
      })
      .where('id', '=', user)
      .where('deleted_at', 'is', null)
      .executeTakeFirst()
    if (cleared.numUpdatedRows === 0n) throw fail('NO_SUCH_USER')
    const telling: Telling[] = []
    for (const one of forget) telling.push(...((await one(tx, user)) ?? []))
    const sessions = await endSessions(tx, user)
    await recordChange(tx, { kind: 'user', user })
    return { sessions, telling }
  })
