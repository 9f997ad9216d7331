import { createContext, useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import type { RoomInfo } from '../api-types.ts'
import type { Chat, RoomId } from '../chat/index.ts'
import { isMessage } from '../components/rows.ts'
import { useKnown } from './use-known.ts'
import { type List, useList } from './use-load.ts'
import { useProduct } from './use-product.ts'

/** What useMyRooms has found, for whoever asks below. */
export const RoomsContext = createContext<readonly RoomInfo[]>([])

/** So many rooms are joined: nearly as many as a connection may subscribe to. */
const MOST_JOINED = 900

/**
 * The rooms that one is a member of, the one with the newest message first. All of them are joined, up to MOST_JOINED, and so
 * is the one that is being visited.
 */
export const useMyRooms = (visiting: RoomId | undefined): List<RoomInfo> => {
  const { chat } = useProduct()
  const list = useList<RoomInfo>('/rooms', ['rooms'], MOST_JOINED)
  const { items } = list
  useKnown(useMemo(() => items?.flatMap(({ other }) => other ?? []), [items]))

  const joined = useRef<readonly RoomId[]>([])
  useEffect(() => {
    if (!items) return
    const mine = items.slice(0, MOST_JOINED).map(({ id }) => id)
    const wanted = visiting === undefined || mine.includes(visiting) ? mine : [...mine, visiting]
    for (const id of joined.current) if (!wanted.includes(id)) chat.leave(id)
    for (const id of wanted) if (!chat.room(id)) chat.join(id)
    // Who was removed and is a member again begins again.
    for (const id of mine) if (chat.room(id)?.problem?.code === 'REMOVED') chat.join(id)
    joined.current = wanted
  }, [chat, items, visiting])
  return { ...list, items: useNewestFirst(chat, items) }
}

/** Messages that have come since the list was read move their rooms up. */
const useNewestFirst = (chat: Chat, items: readonly RoomInfo[] | undefined): readonly RoomInfo[] | undefined => {
  const order = useSyncExternalStore(chat.subscribe, () =>
    (items ?? [])
      .map(({ id, lastMessageAt }) => ({ id, at: Math.max(lastMessageAt, newestIn(chat, id)) }))
      .sort((one, other) => other.at - one.at)
      .map(({ id }) => id)
      .join(' '),
  )
  return useMemo(() => {
    const places = new Map(order.split(' ').map((id, place) => [id, place]))
    return items?.toSorted((one, other) => (places.get(one.id) ?? 0) - (places.get(other.id) ?? 0))
  }, [items, order])
}

const newestIn = (chat: Chat, id: RoomId): number => chat.room(id)?.messages.findLast(isMessage)?.time ?? 0
