import { useSyncExternalStore } from 'react'
import { isRoomId, type RoomId } from '../chat/index.ts'

/** The room that a URL's fragment, such as `#/room/general`, names. */
export const roomIn = (fragment: string): RoomId | undefined => {
  const name = /^#\/room\/(.+)$/.exec(fragment)?.[1]
  if (name === undefined) return undefined
  try {
    const room = decodeURIComponent(name)
    return isRoomId(room) ? room : undefined
  } catch {
    return undefined
  }
}

/** Every character that a room's name may have stands for itself in a fragment. */
export const fragmentOf = (room: RoomId): string => `#/room/${room}`

export const goTo = (room: RoomId | undefined): void => {
  globalThis.location.hash = room === undefined ? '#/' : fragmentOf(room)
}

const subscribe = (watcher: () => void): (() => void) => {
  globalThis.addEventListener('hashchange', watcher)
  return () => globalThis.removeEventListener('hashchange', watcher)
}

/** The room in the URL; undefined: none. */
export const useRoute = (): RoomId | undefined =>
  useSyncExternalStore(subscribe, () => roomIn(globalThis.location.hash))
