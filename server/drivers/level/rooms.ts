import { randomBytes } from 'node:crypto'
import { fail } from '../../errors.ts'
import type { Offset, RoomId } from '../../ports/room-log.ts'
import type { Batch } from './batch.ts'
import type { Removal } from './removals.ts'
import { Room } from './room.ts'
import { everything, NO_END, readRoomValue, removalRow, roomOfRow, roomRow, roomValue } from './rows.ts'
import type { Store } from './store.ts'

const NOTHING = Buffer.alloc(0)

/**
 * All the rooms there are. What is done to them in a batch holds at once, for what is built after it; where the batch then
 * fails, `reload` asks the store how it is.
 */
export class Rooms {
  readonly #store: Store
  readonly #most: number
  #rooms = new Map<RoomId, Room>()

  constructor(store: Store, most: number) {
    this.#store = store
    this.#most = most
  }

  get(id: RoomId): Room | undefined {
    return this.#rooms.get(id)
  }

  /** Throws NO_SUCH_ROOM. */
  require(id: RoomId): Room {
    const room = this.#rooms.get(id)
    if (!room) throw fail('NO_SUCH_ROOM', id)
    return room
  }

  /** Throws NO_SUCH_ROOM where `room` has been removed, though another of its name may be there. */
  requireStill(room: Room): void {
    if (this.#rooms.get(room.id) !== room) throw fail('NO_SUCH_ROOM', room.id)
  }

  /** Makes those of `ids` that do not exist. Throws TOO_MANY_ROOMS. */
  make(batch: Batch, ids: readonly RoomId[]): Room[] {
    const missing = [...new Set(ids)].filter(id => !this.#rooms.has(id))
    if (this.#rooms.size + missing.length > this.#most) throw fail('TOO_MANY_ROOMS')
    return missing.map(id => {
      const room = new Room(this.#store, id, randomBytes(8))
      batch.put(roomRow(id), roomValue(room.life, room.first))
      this.#rooms.set(id, room)
      return room
    })
  }

  remove(batch: Batch, room: Room): Removal {
    this.#rooms.delete(room.id)
    batch.removed.push(room)
    batch.del(roomRow(room.id))
    batch.put(removalRow(room.life, NO_END), NOTHING)
    return { life: room.life, end: NO_END }
  }

  /** Removes the records before an offset; answers undefined where there are none. */
  cut(batch: Batch, room: Room, before: Offset): Removal | undefined {
    const end = before < room.end ? before : room.end
    if (end <= room.first) return undefined
    room.first = end
    batch.put(roomRow(room.id), roomValue(room.life, end))
    batch.put(removalRow(room.life, end), NOTHING)
    return { life: room.life, end }
  }

  /**
   * Finds the rooms that the store has. `removed`: what an earlier batch removed, if it did. A room that is still the same
   * life stays the same object, and so keeps its tails; those of a room that is not there end.
   */
  async load(removed: readonly Room[] = []): Promise<void> {
    const known = new Map<string, Room>()
    for (const room of [...this.#rooms.values(), ...removed]) known.set(room.epoch, room)
    const rooms = new Map<RoomId, Room>()
    for await (const page of this.#store.pages(everything('m'))) {
      for (const [row, value] of page) {
        const { life, first } = readRoomValue(value)
        const room = known.get(life.toString('hex')) ?? new Room(this.#store, roomOfRow(row), life, first)
        await room.findAgain(first)
        rooms.set(room.id, room)
      }
    }
    this.#rooms = rooms
    for (const room of known.values()) if (rooms.get(room.id) !== room) room.leave(fail('NO_SUCH_ROOM', room.id))
  }

  /** Ends every tail. */
  leave(): void {
    for (const room of this.#rooms.values()) room.leave()
  }
}
