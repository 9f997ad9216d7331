import { useEffect, useRef } from 'react'
import type { RoomInfo } from '../api-types.ts'
import type { RoomId } from '../chat/index.ts'
import { type List, useList } from './use-load.ts'
import { useProduct } from './use-product.ts'
import { useVisible } from './use-visible.ts'

/** How often the list is read again while the reader sees the page, ms: of some new rooms nobody is told. */
const LOOK_EVERY = 20_000

/** The rooms that one is a member of. All of them are joined, and so is the one that is being visited. */
export const useMyRooms = (visiting: RoomId | undefined): List<RoomInfo> => {
  const { chat, changes, people } = useProduct()
  const list = useList<RoomInfo>('/rooms', ['rooms'])
  const { items } = list
  useEffect(() => {
    if (items) people.put(items.flatMap(({ other }) => other ?? []))
  }, [people, items])

  const joined = useRef<readonly RoomId[]>([])
  useEffect(() => {
    if (!items) return
    const mine = items.map(({ id }) => id)
    const wanted = visiting === undefined || mine.includes(visiting) ? mine : [...mine, visiting]
    for (const id of joined.current) if (!wanted.includes(id)) chat.leave(id)
    for (const id of wanted) if (!chat.room(id)) chat.join(id)
    // Who was removed and is a member again begins again.
    for (const id of mine) if (chat.room(id)?.problem?.code === 'REMOVED') chat.join(id)
    joined.current = wanted
  }, [chat, items, visiting])

  const visible = useVisible()
  useEffect(() => {
    if (!visible) return undefined
    changes.happened('rooms')
    const timer = setInterval(() => changes.happened('rooms'), LOOK_EVERY)
    return () => clearInterval(timer)
  }, [changes, visible])
  return list
}
