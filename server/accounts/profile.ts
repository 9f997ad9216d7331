import type { Updateable } from 'kysely'
import type { Db, Tx } from '../database/database.ts'
import type { Users } from '../database/schema.ts'
import { fail } from '../errors.ts'
import { LAST, nameKey } from './names.ts'

/** What anybody who is signed in may know of somebody. */
export interface Person {
  id: string
  name: string
  displayName: string
  statusText: string
}
/** What somebody knows of themselves. */
export interface Account extends Person {
  isAdmin: boolean
  /** Epoch ms. */
  createdAt: number
}

const columns = ['id', 'name', 'name_key', 'display_name', 'status_text', 'is_admin', 'created_at'] as const

interface Row {
  readonly id: string
  readonly name: string | null
  readonly display_name: string
  readonly status_text: string
}
/** Of the row of somebody who holds an account. */
export const personOf = ({ id, name, display_name, status_text }: Row): Person => ({
  id,
  name: name!,
  displayName: display_name,
  statusText: status_text,
})

/** Those who hold an account. */
const holders = (db: Db | Tx) => db.selectFrom('users').select(columns).where('deleted_at', 'is', null)

/** Rejects with NO_SUCH_USER. */
export const readPerson = async (db: Db, id: string): Promise<Person> => {
  const row = await holders(db).where('id', '=', id).executeTakeFirst()
  if (!row) throw fail('NO_SUCH_USER')
  return personOf(row)
}

/** Those of `ids` who hold an account, by their ids. */
export const readPeople = async (db: Db | Tx, ids: readonly string[]): Promise<Map<string, Person>> => {
  if (ids.length === 0) return new Map()
  const rows = await holders(db)
    .where('id', 'in', [...new Set(ids)])
    .execute()
  return new Map(rows.map(row => [row.id, personOf(row)]))
}

/** Rejects with SESSION_ENDED where the account was deleted. */
export const readAccount = async (db: Db | Tx, id: string): Promise<Account> => {
  const row = await holders(db).where('id', '=', id).executeTakeFirst()
  if (!row) throw fail('SESSION_ENDED')
  return { ...personOf(row), isAdmin: row.is_admin, createdAt: row.created_at }
}

/** Those whose name begins so, in order of their keys; one more than `limit`. `after`: a key. */
export const searchPeople = async (
  db: Db,
  prefix: string,
  { after, limit }: { readonly after: string | undefined; readonly limit: number },
): Promise<{ readonly key: string; readonly person: Person }[]> => {
  const key = nameKey(prefix)
  const rows = await holders(db)
    .where('name_key', '>=', key)
    .where('name_key', '<', key + LAST)
    .where('name_key', '>', after ?? '')
    .orderBy('name_key')
    .limit(limit + 1)
    .execute()
  return rows.map(row => ({ key: row.name_key!, person: personOf(row) }))
}

export interface ProfileChange {
  readonly displayName?: string
  readonly statusText?: string
}

/** White space at the ends and line breaks make one text look like another. */
const tidy = (text: string): string =>
  text
    .normalize('NFC')
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim()

/** A display name as it is kept: in its place the name where nothing is left of it. */
export const tidyDisplayName = (text: string | undefined, name: string): string => tidy(text ?? '') || name

export const updateProfile = async (db: Db, id: string, change: ProfileChange): Promise<Account> => {
  const { displayName, statusText } = change
  const { name } = await readAccount(db, id)
  const set: Updateable<Users> = {
    ...(displayName !== undefined && { display_name: tidyDisplayName(displayName, name) }),
    ...(statusText !== undefined && { status_text: tidy(statusText) }),
  }
  if (Object.keys(set).length > 0) {
    await db.updateTable('users').set(set).where('id', '=', id).where('deleted_at', 'is', null).execute()
  }
  return readAccount(db, id)
}
