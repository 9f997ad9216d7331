import type { Rooms } from '../fanout/rooms.ts'
import type { Meter } from '../ports/meter.ts'
import type { NewRecord, Position, RoomId, RoomLog } from '../ports/room-log.ts'

export type Append = (room: RoomId, records: readonly NewRecord[]) => Promise<Position[]>

/** Appends to the log as `RoomLog.append` does, times it, and has a room looked for again that may be gone. */
export const timedAppend =
  ({ log, meter, rooms }: { readonly log: RoomLog; readonly meter: Meter; readonly rooms: Rooms }): Append =>
  (room, records) => {
    const started = performance.now()
    const appended = log.append(room, records)
    const observe = (): void => meter.observe('append', (performance.now() - started) / 1000)
    appended.then(observe, () => {
      observe()
      rooms.forget(room)
    })
    return appended
  }
