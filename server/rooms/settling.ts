import { sql } from 'kysely'
import type { Tx } from '../database/database.ts'
import type { Row } from '../database/schema.ts'
import { withdraw, type Telling } from '../people/index.ts'
import type { RoomId } from '../ports/room-log.ts'
import { may, type Standing } from './rights.ts'
import type { Room } from './room.ts'

export type Invitation = Row<'invitations'>
export type InvitationState = Invitation['state']

/** What those whom an invitation concerns are told of it. */
export const invitationNews = (user: string, { id, room_id: room, state }: Invitation): Telling => ({
  user,
  event: { type: 'invitation', body: { id, room, state } },
})

/** Which of the pending invitations to a room. */
type Which = Partial<Pick<Invitation, 'id' | 'inviter_id' | 'invitee_id'>>

/**
 * Decides pending invitations to a room whose row is locked. Resolves with whom to tell: who sent it, and who got it, unless
 * they never saw it.
 */
export const settle = async (
  tx: Tx,
  room: RoomId,
  which: Which,
  state: Exclude<InvitationState, 'pending'>,
): Promise<Telling[]> => {
  const settled = await tx
    .updateTable('invitations')
    .set({ state, decided_at: sql<number>`now()` })
    .where('room_id', '=', room)
    .where('state', '=', 'pending')
    .where(eb => eb.and(which))
    .returningAll()
    .execute()
  const telling: Telling[] = []
  for (const invitation of settled) {
    const { id, inviter_id: inviter, invitee_id: invitee } = invitation
    telling.push(invitationNews(inviter, invitation))
    const seen = await withdraw(tx, invitee, { kind: 'invited', subject: id })
    if (seen) telling.push(seen, invitationNews(invitee, invitation))
  }
  return telling
}

/**
 * Takes back what `user`, who has come to stand so to a room whose row is locked, may not let others in by any more: invitations
 * that they have sent, links that they have made. Resolves with whom to tell.
 */
export const takeBack = async (tx: Tx, room: Room, user: string, standing: Standing): Promise<Telling[]> => {
  if (!may('link', room.visibility, standing)) {
    await tx
      .updateTable('invitation_links')
      .set({ revoked_at: sql<number>`now()` })
      .where('room_id', '=', room.id)
      .where('created_by', '=', user)
      .where('revoked_at', 'is', null)
      .execute()
  }
  return may('invite', room.visibility, standing) ? [] : settle(tx, room.id, { inviter_id: user }, 'revoked')
}
