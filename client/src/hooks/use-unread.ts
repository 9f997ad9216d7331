import { useCallback, useSyncExternalStore } from 'react'
import type { RoomInfo } from '../api-types.ts'
import { useProduct } from './use-product.ts'

/** How many messages are unread in these rooms together. */
export const useUnread = (rooms: readonly RoomInfo[]): number => {
  const { chat, reading, user } = useProduct()
  const subscribe = useCallback(
    (watcher: () => void) => {
      const ends = [chat.subscribe(watcher), reading.subscribe(watcher)]
      return () => {
        for (const end of ends) end()
      }
    },
    [chat, reading],
  )
  return useSyncExternalStore(subscribe, () =>
    rooms.reduce((sum, room) => sum + reading.unread(room, chat.room(room.id)?.messages ?? [], user), 0),
  )
}
