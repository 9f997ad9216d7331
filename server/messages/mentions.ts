import { sql } from 'kysely'
import { nameKey } from '../accounts/index.ts'
import { rowsOf, type Tx } from '../database/database.ts'
import { notifyAll, type News, type Telling } from '../people/index.ts'

/** How many people one message can mention: of more the first ones. */
export const MENTIONS_MOST = 20

/** A name, as far as it can reach, after a sign that belongs to nothing before it. What ends a sentence is no part of it. */
const MENTION = /(?<![\p{L}\p{M}\p{N}._-])[@＠]([\p{L}\p{N}][\p{L}\p{M}\p{N}._-]{1,199})/gu
const TAIL = /[._-]+$/u

/** The keys of the names that a text mentions, each once. */
export const mentionedIn = (text: string): string[] => {
  const keys = new Set<string>()
  for (const [, name] of text.matchAll(MENTION)) {
    keys.add(nameKey(name!.replace(TAIL, '')))
    if (keys.size === MENTIONS_MOST) break
  }
  return [...keys]
}

/** A message that is in the archive, and the key of a name in it. */
export interface Mention {
  readonly room_id: string
  readonly generation: number
  readonly at_offset: string
  readonly message: string
  readonly sender: string
  readonly to_user: string | null
  readonly name_key: string
}

const COLUMNS = `room_id text, generation integer, at_offset bigint, message text, sender text, to_user text,
  name_key text`

/**
 * Notifies the members of the room whom messages mention, each once a message, where they may see it. Resolves with what to
 * tell when the transaction is committed.
 */
export const notifyMentioned = async (tx: Tx, mentions: readonly Mention[]): Promise<Telling[]> => {
  if (mentions.length === 0) return []
  const { rows } = await sql<Omit<News, 'kind'> & { readonly user: string }>`
    select mb.user_id as "user", said.message as subject, said.sender as actor, said.room_id as room
    from ${rowsOf(mentions, COLUMNS)} as said
    join members mb on mb.room_id = said.room_id and mb.name_key = said.name_key
    where mb.user_id <> said.sender and (said.to_user is null or said.to_user = mb.user_id)
      and (
        select m.deleted_at is null from messages m
        where m.room_id = said.room_id and m.generation = said.generation and m.at_offset = said.at_offset
      )
    order by said.room_id, said.generation, said.at_offset, mb.user_id`.execute(tx)
  return notifyAll(
    tx,
    rows.map(row => ({ kind: 'mentioned', ...row })),
  )
}
