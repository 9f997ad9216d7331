import { useSyncExternalStore } from 'react'
import { isRoomId, type RoomId } from '../chat/index.ts'

/** Where one can be that needs no more said. */
const PLAIN = ['sign-in', 'sign-up', 'friends', 'notifications', 'account', 'devices', 'rooms', 'new'] as const
const OF_ROOM = ['room', 'members', 'settings', 'invite'] as const

/** What the page shows. */
export type Place =
  | { readonly is: 'home' | 'lost' | (typeof PLAIN)[number] }
  | { readonly is: (typeof OF_ROOM)[number]; readonly room: RoomId }
  | { readonly is: 'person'; readonly user: string }
  | { readonly is: 'join'; readonly token: string }

/** The place that a URL's fragment, such as `#/room/0c8v2m`, names. A token in one reaches no server with the URL. */
export const placeIn = (fragment: string): Place => {
  if (fragment === '' || fragment === '#' || fragment === '#/') return { is: 'home' }
  const [, name, rest] = /^#\/([a-z-]+)(?:\/(.+))?$/.exec(fragment) ?? []
  const plain = PLAIN.find(each => each === name)
  if (plain !== undefined && rest === undefined) return { is: plain }
  const ofRoom = OF_ROOM.find(each => each === name)
  if (ofRoom !== undefined && rest !== undefined && isRoomId(rest)) return { is: ofRoom, room: rest }
  if (name === 'person' && rest !== undefined && /^\w{1,64}$/.test(rest)) return { is: 'person', user: rest }
  if (name === 'join' && rest !== undefined && /^[\w-]{1,64}$/.test(rest)) return { is: 'join', token: rest }
  return { is: 'lost' }
}

const subscribe = (watcher: () => void): (() => void) => {
  globalThis.addEventListener('hashchange', watcher)
  return () => globalThis.removeEventListener('hashchange', watcher)
}

export const useFragment = (): string => useSyncExternalStore(subscribe, () => globalThis.location.hash)

/** Goes to a fragment, such as `#/friends`. */
export const go = (fragment: string): void => {
  globalThis.location.hash = fragment
}
