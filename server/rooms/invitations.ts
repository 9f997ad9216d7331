import { sql } from 'kysely'
import { at, type Tx } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import type { Row } from '../database/schema.ts'
import { fail } from '../errors.ts'
import type { RoomId } from '../ports/room-log.ts'
import { addMember, holdUser } from './membership.ts'
import { areBlocked } from './people.ts'
import { may } from './rights.ts'
import { demand, hold, lockRow, standingOf, type Held, type Room } from './room.ts'

export type Invitation = Row<'invitations'>
export type InvitationState = Invitation['state']

/** How long an invitation holds, ms. */
export const INVITATION_MS = 14 * 86_400_000
const HOUR = 3_600_000

export interface InviteOptions {
  /** Invitations that somebody may send within an hour. */
  readonly perHour: number
  /** Epoch ms. */
  readonly now: number
}

export interface Sent {
  readonly invitation: Invitation
  /** Whether the invitee is to be told: not where one of the two has blocked the other, and not twice. */
  readonly news: boolean
}

/**
 * Invites `people` to a room. Who is a member is left out; who is invited already stays so. One who has blocked the inviter
 * seems to be invited, and does not see it. Rejects with FORBIDDEN (also for one who is banned, or whom the inviter has
 * blocked), NO_SUCH_USER and QUOTA_REACHED, and then nobody is invited.
 */
export const invite = async (
  tx: Tx,
  id: RoomId,
  actor: string,
  people: readonly string[],
  options: InviteOptions,
): Promise<Sent[]> => inviteTo(tx, await hold(tx, id, actor, 'invite'), people, options)

/** The same to a room that is held already. */
export const inviteTo = async (
  tx: Tx,
  held: Held,
  people: readonly string[],
  { perHour, now }: InviteOptions,
): Promise<Sent[]> => {
  demand(held, 'invite')
  const sent: Sent[] = []
  for (const user of new Set(people)) {
    const one = user === held.actor ? undefined : await inviteOne(tx, held, user, now)
    if (one) sent.push(one)
  }
  if (sent.length > 0 && (await sentSince(tx, held.actor, now - HOUR)) > perHour) {
    throw fail('QUOTA_REACHED', `${perHour} invitations`)
  }
  return sent
}

const inviteOne = async (tx: Tx, { room, actor }: Held, user: string, now: number): Promise<Sent | undefined> => {
  await holdUser(tx, user)
  const theirs = await standingOf(tx, room.id, user)
  if (theirs === 'banned' || (await hasBlocked(tx, actor, user))) throw fail('FORBIDDEN', `to invite ${user}`)
  if (theirs !== 'outsider') return undefined
  const known = await pendingFor(tx, room.id, user)
  if (known && stateAt(known, now) === 'pending') return { invitation: known, news: false }
  if (known) await decide(tx, known, 'expired', now)
  const invitation = await tx
    .insertInto('invitations')
    .values({
      id: newId(),
      room_id: room.id,
      inviter_id: actor,
      invitee_id: user,
      created_at: at(now),
      expires_at: at(now + INVITATION_MS),
    })
    .returningAll()
    .executeTakeFirstOrThrow()
  return { invitation, news: !(await areBlocked(tx, actor, user)) }
}

const hasBlocked = async (tx: Tx, user: string, other: string): Promise<boolean> =>
  (await tx
    .selectFrom('blocks')
    .select('user_id')
    .where('user_id', '=', user)
    .where('blocked_id', '=', other)
    .executeTakeFirst()) !== undefined

const pendingFor = (tx: Tx, room: RoomId, user: string): Promise<Invitation | undefined> =>
  tx
    .selectFrom('invitations')
    .selectAll()
    .where('room_id', '=', room)
    .where('invitee_id', '=', user)
    .where('state', '=', 'pending')
    .executeTakeFirst()

const sentSince = async (tx: Tx, user: string, since: number): Promise<number> => {
  const { sent } = await tx
    .selectFrom('invitations')
    .select(sql<number>`count(*)::int`.as('sent'))
    .where('inviter_id', '=', user)
    .where('created_at', '>', at(since))
    .executeTakeFirstOrThrow()
  return sent
}

/** What an invitation has come to at `now` (epoch ms), whether or not that has been written down. */
export const stateAt = ({ state, expires_at }: Pick<Invitation, 'state' | 'expires_at'>, now: number): InvitationState =>
  state === 'pending' && expires_at <= now ? 'expired' : state

const decide = async (tx: Tx, { id }: Invitation, state: InvitationState, now: number): Promise<void> => {
  await tx
    .updateTable('invitations')
    .set({ state, decided_at: at(now) })
    .where('id', '=', id)
    .execute()
}

interface HeldInvitation {
  readonly invitation: Invitation
  readonly room: Room
}

/** Locks the room of an invitation, and so the invitation. Rejects with NO_SUCH_INVITATION. */
const holdInvitation = async (tx: Tx, id: string): Promise<HeldInvitation> => {
  const read = () => tx.selectFrom('invitations').selectAll().where('id', '=', id).executeTakeFirst()
  const found = await read()
  const room = found && (await lockRow(tx, found.room_id))
  // Until the lock was there it may have been decided.
  const invitation = room && (await read())
  if (!room || !invitation) throw fail('NO_SUCH_INVITATION')
  return { invitation, room }
}

const over = (state: InvitationState): Error => fail('INVITATION_OVER', state)

/**
 * Makes `actor`, whom it is for, a member. Again: nothing, while they are. Resolves with the room and the inviter. Rejects
 * with NO_SUCH_INVITATION, INVITATION_OVER and ROOM_FULL.
 */
export const accept = async (tx: Tx, id: string, actor: string, now: number): Promise<HeldInvitation> => {
  const held = await holdInvitation(tx, id)
  const { invitation, room } = held
  if (invitation.invitee_id !== actor) throw fail('NO_SUCH_INVITATION')
  const mine = await standingOf(tx, room.id, actor)
  const state = stateAt(invitation, now)
  if (state === 'accepted' && mine !== 'outsider' && mine !== 'banned') return held
  if (state !== 'pending') throw over(state)
  // Which settles this invitation too.
  await addMember(tx, room, actor)
  return held
}

/** Says no to it. Again: nothing. Rejects with NO_SUCH_INVITATION and INVITATION_OVER. */
export const decline = async (tx: Tx, id: string, actor: string, now: number): Promise<HeldInvitation> => {
  const held = await holdInvitation(tx, id)
  if (held.invitation.invitee_id !== actor) throw fail('NO_SUCH_INVITATION')
  await settle(tx, held.invitation, 'declined', now)
  return held
}

/** Takes it back: whoever sent it may, and who moderates the room. Rejects as `decline` does. */
export const revoke = async (tx: Tx, id: string, actor: string, now: number): Promise<HeldInvitation> => {
  const held = await holdInvitation(tx, id)
  const { invitation, room } = held
  const moderates = may('moderate', room.visibility, await standingOf(tx, room.id, actor))
  if (invitation.inviter_id !== actor && !moderates) throw fail('NO_SUCH_INVITATION')
  await settle(tx, invitation, 'revoked', now)
  return held
}

const settle = async (tx: Tx, invitation: Invitation, to: 'declined' | 'revoked', now: number): Promise<void> => {
  const state = stateAt(invitation, now)
  if (state === to) return
  if (state !== 'pending') throw over(state)
  await decide(tx, invitation, to, now)
}
