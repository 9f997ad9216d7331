import { sql } from 'kysely'
import { rowsOf, type Db, type Tx } from '../database/database.ts'
import type { Bounds, Epoch, Offset, RoomId } from '../ports/room-log.ts'

const LIFE = 'room_id text, epoch text'

/** Gives lives of rooms' logs that nobody has seen yet the next generation. Rooms that are gone, or about to be, are passed over. */
export const registerEpochs = async (
  db: Db | Tx,
  lives: readonly { readonly room: RoomId; readonly epoch: Epoch; readonly from?: Offset }[],
): Promise<void> => {
  const unseen = lives.filter(({ from = 0n }) => from === 0n).map(({ room, epoch }) => ({ room_id: room, epoch }))
  if (unseen.length === 0) return
  await sql`
    insert into room_epochs (room_id, generation, epoch)
    select rooms.id, coalesce((select max(e.generation) from room_epochs e where e.room_id = rooms.id), 0) + 1, life.epoch
    from ${rowsOf(unseen, LIFE)} as life
    join rooms on rooms.id = life.room_id
    order by rooms.id
    for key share of rooms skip locked
    on conflict do nothing`.execute(db)
}

/** Up to where rooms have been copied, in the lives of their logs that `bounds` tell of. Rooms that are gone are left out. */
export const copiedOf = async (
  db: Db,
  bounds: ReadonlyMap<RoomId, Pick<Bounds, 'epoch'>>,
): Promise<Map<RoomId, Offset>> => {
  const lives = [...bounds].map(([room_id, { epoch }]) => ({ room_id, epoch }))
  const { rows } = await sql<{ id: RoomId; next_offset: Offset | null }>`
    select rooms.id, e.next_offset
    from ${rowsOf(lives, LIFE)} as life
    join rooms on rooms.id = life.room_id
    left join room_epochs e on e.room_id = life.room_id and e.epoch = life.epoch`.execute(db)
  return new Map(rows.map(({ id, next_offset }) => [id, next_offset ?? 0n]))
}
