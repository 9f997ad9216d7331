import { enqueue } from '../database/outbox.ts'
import type { Tx } from '../database/database.ts'
import type { Role, Visibility } from '../database/schema.ts'
import type { RoomId } from '../ports/room-log.ts'

/** What a room's log says of the room itself; `user` is whom it happened to. Ids alone: names change, and the log stays. */
export type RoomEvent =
  | { readonly event: 'renamed'; readonly name: string }
  | { readonly event: 'described'; readonly about: string }
  | { readonly event: 'visibility'; readonly visibility: Visibility }
  | { readonly event: 'role'; readonly user: string; readonly role: Role }
  | { readonly event: 'joined' | 'left'; readonly user: string }

/**
 * Writes down that the room's log is to say `event`, as a record of type `system` by whoever did it. The room's row is
 * locked, so that what happens to it stands in its log in that order.
 */
export const announce = (tx: Tx, room: RoomId, actor: string, event: RoomEvent): Promise<void> =>
  enqueue(tx, room, {
    sender: actor,
    headers: new Map([
      ['type', 'system'],
      ['content-type', 'application/json'],
    ]),
    body: Buffer.from(JSON.stringify(event)),
  })
