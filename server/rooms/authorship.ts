import { HoofbeatError } from '../errors.ts'
import type { RoomId, RoomLog } from '../ports/room-log.ts'

/**
 * Whether the message that `ref` (a message-id) names is in the room's log and was written by `user`. What retention has
 * taken cannot be judged by the log: nobody's. Rejects with LOG_UNAVAILABLE.
 */
export const wrote = async (log: RoomLog, user: string, room: RoomId, ref: string): Promise<boolean> => {
  const offset = /-(\d{1,18})$/.exec(ref)?.[1]
  if (offset === undefined) return false
  try {
    const [record] = await log.read(room, BigInt(offset), 1)
    if (record === undefined || record.sender !== user) return false
    const { epoch } = await log.bounds(room)
    const { headers } = record
    return ref === `${epoch}-${record.offset}` && (headers.get('type') ?? 'message') === 'message'
  } catch (error) {
    if (error instanceof HoofbeatError && error.code === 'NO_SUCH_ROOM') return false
    throw error
  }
}
