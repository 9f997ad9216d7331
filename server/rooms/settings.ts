import { recordChange } from '../database/access-changes.ts'
import type { Tx } from '../database/database.ts'
import type { Visibility } from '../database/schema.ts'
import { fail } from '../errors.ts'
import type { RoomId } from '../ports/room-log.ts'
import { announce } from './announce.ts'
import { aboutOf, nameOf } from './names.ts'
import { demand, hold, type Held, type Room } from './room.ts'

/** What is to be different of a room; what is absent stays. */
export interface RoomChanges {
  readonly name?: string
  readonly about?: string
  readonly visibility?: Exclude<Visibility, 'direct'>
  /** At most `mostMembers`, and no fewer than there are. */
  readonly maxMembers?: number
}

/**
 * Changes a room, all of it or nothing. Each part needs its own right: FORBIDDEN. Rejects with BAD_NAME and BAD_REQUEST for
 * values that it cannot have. Members of a room that becomes private stay; others stop seeing it.
 */
export const changeRoom = async (
  tx: Tx,
  id: RoomId,
  actor: string,
  changes: RoomChanges,
  mostMembers: number,
): Promise<void> => {
  const held = await hold(tx, id, actor, 'read')
  const { name, about, visibility, maxMembers } = changes
  if (name !== undefined) await rename(tx, held, name)
  if (about !== undefined) await describe(tx, held, about)
  if (maxMembers !== undefined) await setCap(tx, held, maxMembers, mostMembers)
  if (visibility !== undefined) await setVisibility(tx, held, visibility)
}

const set = async (tx: Tx, { room }: Held, values: Partial<Pick<Room, ChangeableColumn>>): Promise<void> => {
  await tx.updateTable('rooms').set(values).where('id', '=', room.id).execute()
}
type ChangeableColumn = 'name' | 'name_key' | 'about' | 'max_members' | 'visibility'

const rename = async (tx: Tx, held: Held, wanted: string): Promise<void> => {
  demand(held, 'rename')
  const { name, key } = nameOf(wanted)
  if (name === held.room.name) return
  await set(tx, held, { name, name_key: key })
  await announce(tx, held.room.id, held.actor, { event: 'renamed', name })
}

const describe = async (tx: Tx, held: Held, wanted: string): Promise<void> => {
  demand(held, 'describe')
  const about = aboutOf(wanted)
  if (about === held.room.about) return
  await set(tx, held, { about })
  await announce(tx, held.room.id, held.actor, { event: 'described', about })
}

const setCap = async (tx: Tx, held: Held, wanted: number, most: number): Promise<void> => {
  demand(held, 'set-cap')
  const { member_count: least } = held.room
  if (wanted < least || wanted > most) throw fail('BAD_REQUEST', `maxMembers takes ${least} to ${most} here`)
  await set(tx, held, { max_members: wanted })
}

const setVisibility = async (tx: Tx, held: Held, visibility: 'public' | 'private'): Promise<void> => {
  demand(held, 'set-visibility')
  const { id, visibility: before } = held.room
  if (visibility === before) return
  await set(tx, held, { visibility })
  await announce(tx, id, held.actor, { event: 'visibility', visibility })
  if (visibility === 'private') await recordChange(tx, { kind: 'visibility', room: id })
}
