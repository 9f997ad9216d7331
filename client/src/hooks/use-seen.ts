import { createContext, useCallback, useContext, useEffect, useState } from 'react'
import type { Chat, Message, RoomId } from '../chat/index.ts'
import type { Remembered } from '../remembered.ts'
import { useVisible } from './use-visible.ts'

/** The newest message seen in each room. */
export const useMarks = (remembered: Remembered, rooms: readonly RoomId[]) => {
  const [fresh, setFresh] = useState<ReadonlyMap<RoomId, string>>(new Map())
  const mark = useCallback(
    (id: RoomId, messages: readonly Message[]) => {
      const message = messages.at(-1)?.id
      if (message === undefined) return
      remembered.setMark(id, message)
      setFresh(known => (known.get(id) === message ? known : new Map(known).set(id, message)))
    },
    [remembered],
  )
  const marks = new Map(rooms.map(id => [id, fresh.get(id) ?? remembered.mark(id)]))
  return { marks, mark }
}

/** A reader who comes back does not wait for the next try. */
export const useWake = (chat: Chat): void => {
  const visible = useVisible()
  useEffect(() => {
    if (visible) chat.retryNow()
  }, [chat, visible])
}

/** How much is unread, in all rooms together. */
export const UnreadContext = createContext(0)

/** Has the browser's tab say where one is, and how much is unread. */
export const useTitle = (where: string | undefined, unread: number): void => {
  useEffect(() => {
    document.title = [unread > 0 ? `(${unread})` : '', where === undefined ? '' : `${where} ·`, 'Hoofbeat']
      .filter(part => part !== '')
      .join(' ')
  }, [unread, where])
}

/** The same with what is unread around it. */
export const useTitleHere = (where: string): void => useTitle(where, useContext(UnreadContext))
