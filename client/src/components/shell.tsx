import { type ReactNode, useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { Account } from '../account.ts'
import type { Chat, RoomId } from '../chat/index.ts'
import { goTo, useRoute } from '../hooks/use-route.ts'
import { useMarks, useTitle, useWake } from '../hooks/use-seen.ts'
import { type Remembered, withRoom } from '../remembered.ts'
import { text } from '../text/text.ts'
import { Frame } from './frame.tsx'
import { Logo } from './icons.tsx'
import { RenewBar } from './renew-bar.tsx'
import { RoomPane } from './room-pane.tsx'
import { unreadOf } from './rows.ts'
import { Sidebar } from './sidebar.tsx'

interface ShellProps {
  readonly chat: Chat
  readonly remembered: Remembered
  readonly onSignOut: () => void
  readonly renewal: { readonly user: string; readonly onRenew: (account: Account) => void } | undefined
}

/** Everything a person sees once they are in: the rooms on one side, the room they are in on the other. */
export const Shell = ({ chat, remembered, onSignOut, renewal }: ShellProps) => {
  const room = useRoute()
  const { rooms, leave } = useRooms(chat, remembered, room)
  const { marks, mark } = useMarks(remembered, rooms)
  useWake(chat)
  const unread = useSyncExternalStore(chat.subscribe, () =>
    rooms.reduce((sum, id) => sum + unreadOf(chat.room(id)?.messages ?? [], marks.get(id), chat.user), 0),
  )
  useTitle(room, unread)
  const side = <Sidebar chat={chat} rooms={rooms} current={room} marks={marks} onLeave={leave} onSignOut={onSignOut} />
  const render = (menu: ReactNode) => (
    <>
      {renewal && <RenewBar user={renewal.user} onRenew={renewal.onRenew} />}
      {room === undefined ? (
        <NoRoom menu={menu} />
      ) : (
        <RoomPane key={room} chat={chat} room={room} remembered={remembered} onSeen={mark} menu={menu} />
      )}
    </>
  )
  return <Frame side={side} label={text.rooms} where={room} render={render} />
}

const NoRoom = ({ menu }: { readonly menu: ReactNode }) => (
  <>
    <header className="bar">{menu}</header>
    <div className="blank">
      <Logo />
      <h2>{text.noRoomTitle}</h2>
      <p>{text.noRoomBody}</p>
    </div>
  </>
)

/** The rooms that are open: those visited, with the one in the URL. */
const useRooms = (chat: Chat, remembered: Remembered, room: RoomId | undefined) => {
  const [visited, setVisited] = useState(() => remembered.rooms())
  const rooms = room === undefined ? visited : withRoom(visited, room)
  if (rooms !== visited) setVisited(rooms)
  useEffect(() => {
    if (room === undefined && location.hash === '') location.replace(`#/room/${remembered.rooms()[0] ?? 'general'}`)
  }, [room, remembered])
  const open = useRef(rooms)
  useEffect(() => {
    remembered.keepRooms(rooms)
    for (const id of open.current) if (!rooms.includes(id)) chat.leave(id)
    for (const id of rooms) if (!chat.room(id)) chat.join(id)
    open.current = rooms
  }, [chat, remembered, rooms])

  const leave = useCallback(
    (left: RoomId) => {
      const rest = rooms.filter(id => id !== left)
      if (left === room) goTo(rest[0])
      setVisited(rest)
      remembered.forget(left)
    },
    [remembered, rooms, room],
  )
  return { rooms, leave }
}
