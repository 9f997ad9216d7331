import { at, type Tx } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { fail, type HoofbeatError } from '../errors.ts'
import { notify, readPair, withdraw, type Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { addMember, holdUser } from './membership.ts'
import type { Spend } from './quotas.ts'
import { may } from './rights.ts'
import { hold, lockRow, standingOf, type Held, type Room } from './room.ts'
import { invitationNews, settle, type Invitation, type InvitationState } from './settling.ts'

/** How long an invitation holds, ms. */
export const INVITATION_MS = 14 * 86_400_000

export interface InviteOptions {
  readonly spend: Spend
  /** Epoch ms. */
  readonly now: number
}

export interface Sent {
  /** Those that stand now: new ones, and those that were there already. */
  readonly invitations: readonly Invitation[]
  /** How many of them are new. */
  readonly made: number
  /** Whom to tell when it is committed. */
  readonly telling: readonly Telling[]
}

/**
 * Invites `people` to a room. Who is a member is left out; who is invited already stays so. One who has blocked the inviter
 * seems to be invited, and does not see it; whoever else invites them then takes that one's place. Rejects with FORBIDDEN (also for one who is banned, or whom the inviter has
 * blocked), NO_SUCH_USER and QUOTA_REACHED, and then nobody is invited.
 */
export const invite = async (
  tx: Tx,
  id: RoomId,
  actor: string,
  people: readonly string[],
  { spend, now }: InviteOptions,
): Promise<Sent> => {
  const sent = await inviteTo(tx, await hold(tx, id, actor, 'invite'), people, now)
  await spend(actor, 'invitations', sent.made)
  return sent
}

/** The same to a room that is held already, by somebody who may as many as they like. `now`: epoch ms. */
export const inviteTo = async (tx: Tx, held: Held, people: readonly string[], now: number): Promise<Sent> => {
  const invitations: Invitation[] = []
  const telling: Telling[] = []
  let made = 0
  for (const user of new Set(people)) {
    if (user === held.actor) continue
    const sent = await inviteOne(tx, held, user, now)
    invitations.push(...sent.invitations)
    telling.push(...sent.telling)
    made += sent.made
  }
  return { invitations, made, telling }
}

const inviteOne = async (tx: Tx, { room, actor }: Held, user: string, now: number): Promise<Sent> => {
  await holdUser(tx, user)
  const theirs = await standingOf(tx, room.id, user)
  const { blocking, blocked } = await readPair(tx, actor, user)
  if (theirs === 'banned' || blocking) throw fail('FORBIDDEN', `to invite ${user}`)
  if (theirs !== 'outsider') return { invitations: [], made: 0, telling: [] }
  const known = await pendingFor(tx, room.id, user)
  const stands = known !== undefined && stateAt(known, now) === 'pending'
  // One that they are not shown keeps nobody else from inviting them.
  if (stands && (blocked || !(await estranged(tx, user, known.inviter_id)))) {
    return { invitations: [known], made: 0, telling: [] }
  }
  const telling = known && !stands ? await settle(tx, room.id, { id: known.id }, 'expired') : []
  const invitation = await (stands
    ? takeOver(tx, known, actor, now)
    : tx
        .insertInto('invitations')
        .values({ id: newId(), room_id: room.id, invitee_id: user, ...by(actor, now) })
        .returningAll()
        .executeTakeFirstOrThrow())
  const notified = await notify(tx, user, { kind: 'invited', subject: invitation.id, actor, room: room.id })
  if (notified) telling.push(notified, invitationNews(user, invitation))
  return { invitations: [invitation], made: 1, telling }
}

const by = (actor: string, now: number) => ({
  inviter_id: actor,
  created_at: at(now),
  expires_at: at(now + INVITATION_MS),
})

const estranged = async (tx: Tx, user: string, other: string): Promise<boolean> => {
  const { blocking, blocked } = await readPair(tx, user, other)
  return blocking || blocked
}

/** Makes one that they are not shown an invitation by `actor`. Whoever had sent it is told nothing: they are not to know. */
const takeOver = async (tx: Tx, { id, invitee_id }: Invitation, actor: string, now: number): Promise<Invitation> => {
  // From before the block.
  await withdraw(tx, invitee_id, { kind: 'invited', subject: id })
  return tx.updateTable('invitations').set(by(actor, now)).where('id', '=', id).returningAll().executeTakeFirstOrThrow()
}

const pendingFor = (tx: Tx, room: RoomId, user: string): Promise<Invitation | undefined> =>
  tx
    .selectFrom('invitations')
    .selectAll()
    .where('room_id', '=', room)
    .where('invitee_id', '=', user)
    .where('state', '=', 'pending')
    .executeTakeFirst()

/** What an invitation has come to at `now` (epoch ms), whether or not that has been written down. */
export const stateAt = (
  { state, expires_at }: Pick<Invitation, 'state' | 'expires_at'>,
  now: number,
): InvitationState => (state === 'pending' && expires_at <= now ? 'expired' : state)

interface Decided {
  readonly room: Room
  /** Whom to tell when it is committed. */
  readonly telling: readonly Telling[]
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

const over = (state: InvitationState): HoofbeatError => fail('INVITATION_OVER', state)

/** Makes `actor`, whom it is for, a member. Again: nothing, while they are. Rejects with NO_SUCH_INVITATION, INVITATION_OVER, ROOM_FULL. */
export const accept = async (tx: Tx, id: string, actor: string, now: number): Promise<Decided> => {
  const { invitation, room } = await holdInvitation(tx, id)
  if (invitation.invitee_id !== actor) throw fail('NO_SUCH_INVITATION')
  const mine = await standingOf(tx, room.id, actor)
  const state = stateAt(invitation, now)
  if (state === 'accepted' && mine !== 'outsider' && mine !== 'banned') return { room, telling: [] }
  if (state !== 'pending') throw over(state)
  // Which settles this invitation too.
  return { room, telling: await addMember(tx, room, actor) }
}

/** Says no to it. Again: nothing. Rejects with NO_SUCH_INVITATION and INVITATION_OVER. */
export const decline = async (tx: Tx, id: string, actor: string, now: number): Promise<Decided> => {
  const held = await holdInvitation(tx, id)
  if (held.invitation.invitee_id !== actor) throw fail('NO_SUCH_INVITATION')
  return decide(tx, held, 'declined', now)
}

/** Takes it back: whoever sent it may, and who moderates the room. Rejects as `decline` does. */
export const revoke = async (tx: Tx, id: string, actor: string, now: number): Promise<Decided> => {
  const held = await holdInvitation(tx, id)
  const { invitation, room } = held
  const moderates = may('moderate', room.visibility, await standingOf(tx, room.id, actor))
  if (invitation.inviter_id !== actor && !moderates) throw fail('NO_SUCH_INVITATION')
  return decide(tx, held, 'revoked', now)
}

const decide = async (
  tx: Tx,
  { invitation, room }: HeldInvitation,
  to: 'declined' | 'revoked',
  now: number,
): Promise<Decided> => {
  const state = stateAt(invitation, now)
  if (state !== 'pending' && state !== to) throw over(state)
  return { room, telling: state === to ? [] : await settle(tx, room.id, { id: invitation.id }, to) }
}
