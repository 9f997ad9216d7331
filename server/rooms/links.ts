import { createHash, randomBytes } from 'node:crypto'
import { at, type Tx } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import type { Row } from '../database/schema.ts'
import { fail } from '../errors.ts'
import type { Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { addMember } from './membership.ts'
import { hold, lockRow, standingOf, type Room } from './room.ts'

export type Link = Row<'invitation_links'>

export interface NewLink {
  /** Epoch ms; absent: until it is revoked. */
  readonly expires?: number | undefined
  /** How many may join by it; absent: any number. */
  readonly maxUses?: number | undefined
}

const BITS = 128

/** Links that a room has at most; those by which nobody can join any more are forgotten when their place is needed. */
export const LINKS_MOST = 100

/** Only this is kept: whoever reads the database cannot join by what is in it. */
const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')

/** Makes a link. `token` is what joins; it is not shown again. Rejects with NO_SUCH_ROOM, FORBIDDEN and TOO_MANY_LINKS. */
export const makeLink = async (
  tx: Tx,
  id: RoomId,
  actor: string,
  { expires, maxUses }: NewLink,
  now = Date.now(),
): Promise<{ readonly link: Link; readonly token: string }> => {
  await hold(tx, id, actor, 'link')
  await findPlace(tx, id, now)
  const token = randomBytes(BITS / 8).toString('base64url')
  const link = await tx
    .insertInto('invitation_links')
    .values({
      id: newId(),
      room_id: id,
      token_hash: hashOf(token),
      created_by: actor,
      expires_at: expires === undefined ? null : at(expires),
      max_uses: maxUses ?? null,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return { link, token }
}

const findPlace = async (tx: Tx, id: RoomId, now: number): Promise<void> => {
  const links = await tx.selectFrom('invitation_links').selectAll().where('room_id', '=', id).execute()
  if (links.length < LINKS_MOST) return
  const over = links.filter(link => linkStateAt(link, now) !== 'open').map(link => link.id)
  if (over.length === 0) throw fail('TOO_MANY_LINKS', `${LINKS_MOST} to a room`)
  await tx.deleteFrom('invitation_links').where('id', 'in', over).execute()
}

/** Nobody joins by it any more. Again: nothing. Rejects with NO_SUCH_ROOM, FORBIDDEN and NO_SUCH_INVITATION. */
export const revokeLink = async (tx: Tx, id: RoomId, actor: string, link: string, now: number): Promise<void> => {
  await hold(tx, id, actor, 'link')
  const revoked = await tx
    .updateTable('invitation_links')
    .set(eb => ({ revoked_at: eb.fn.coalesce('revoked_at', at(now)) }))
    .where('id', '=', link)
    .where('room_id', '=', id)
    .returning('id')
    .executeTakeFirst()
  if (!revoked) throw fail('NO_SUCH_INVITATION')
}

/**
 * Makes `actor` a member by a link, which counts as one use; of a room that they are in already nothing changes. Rejects with
 * NO_SUCH_INVITATION, also for who is banned, with INVITATION_OVER and with ROOM_FULL.
 */
export const joinByLink = async (
  tx: Tx,
  token: string,
  actor: string,
  now: number,
): Promise<{ readonly room: Room; readonly telling: readonly Telling[] }> => {
  const read = () =>
    tx.selectFrom('invitation_links').selectAll().where('token_hash', '=', hashOf(token)).executeTakeFirst()
  const found = await read()
  const room = found && (await lockRow(tx, found.room_id))
  // Until the lock was there others may have used it up.
  const link = room && (await read())
  const mine = room && (await standingOf(tx, room.id, actor))
  if (!room || !link || mine === 'banned') throw fail('NO_SUCH_INVITATION')
  if (mine !== 'outsider') return { room, telling: [] }
  const state = linkStateAt(link, now)
  if (state !== 'open') throw fail('INVITATION_OVER', state)
  const telling = await addMember(tx, room, actor)
  await tx
    .updateTable('invitation_links')
    .set({ uses: link.uses + 1 })
    .where('id', '=', link.id)
    .execute()
  return { room, telling }
}

/** Whether anyone can join by it at `now` (epoch ms), and why not. */
export const linkStateAt = (
  { revoked_at, expires_at, max_uses, uses }: Link,
  now: number,
): 'open' | 'revoked' | 'expired' | 'used up' => {
  if (revoked_at !== null) return 'revoked'
  if (expires_at !== null && expires_at <= now) return 'expired'
  return max_uses !== null && uses >= max_uses ? 'used up' : 'open'
}
