import { type ReactNode, useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react'
import type { Account } from '../account.ts'
import type { Chat, RoomId } from '../chat/index.ts'
import { goTo, useRoute } from '../hooks/use-route.ts'
import { useMedia } from '../hooks/use-media.ts'
import { useVisible } from '../hooks/use-visible.ts'
import { type Remembered, withRoom } from '../remembered.ts'
import { text } from '../text/text.ts'
import { focusComposer } from './composer.tsx'
import { CloseIcon, Logo, MenuIcon } from './icons.tsx'
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
  useTitle(chat, rooms, marks, room)
  const wide = useMedia('(min-width: 52rem)')
  const drawer = useRef<HTMLDialogElement>(null)
  useEffect(() => drawer.current?.close(), [room])

  const sidebar = (
    <Sidebar chat={chat} rooms={rooms} current={room} marks={marks} onLeave={leave} onSignOut={onSignOut} />
  )
  const menu = wide ? undefined : (
    <button
      type="button"
      className="icon-button"
      onClick={() => drawer.current?.showModal()}
      aria-label={text.openRooms}
    >
      <MenuIcon />
    </button>
  )
  return (
    <div className="shell">
      <button type="button" className="skip" onClick={focusComposer}>
        {text.skip}
      </button>
      {wide ? (
        <aside className="side">{sidebar}</aside>
      ) : (
        <dialog ref={drawer} className="drawer side" aria-label={text.rooms} closedby="any">
          <button
            type="button"
            className="icon-button close"
            onClick={() => drawer.current?.close()}
            aria-label={text.closeRooms}
          >
            <CloseIcon />
          </button>
          {sidebar}
        </dialog>
      )}
      <main className="main">
        {renewal && <RenewBar user={renewal.user} onRenew={renewal.onRenew} />}
        {room === undefined ? (
          <NoRoom menu={menu} />
        ) : (
          <RoomPane key={room} chat={chat} room={room} remembered={remembered} onSeen={mark} menu={menu} />
        )}
      </main>
    </div>
  )
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

/** The newest message seen in each room. */
const useMarks = (remembered: Remembered, rooms: readonly RoomId[]) => {
  const [fresh, setFresh] = useState<ReadonlyMap<RoomId, string>>(new Map())
  const mark = useCallback(
    (id: RoomId, message: string) => {
      remembered.setMark(id, message)
      setFresh(known => (known.get(id) === message ? known : new Map(known).set(id, message)))
    },
    [remembered],
  )
  const marks = new Map(rooms.map(id => [id, fresh.get(id) ?? remembered.mark(id)]))
  return { marks, mark }
}

/** A reader who comes back does not wait for the next try. */
const useWake = (chat: Chat): void => {
  const visible = useVisible()
  useEffect(() => {
    if (visible) chat.retryNow()
  }, [chat, visible])
}

const useTitle = (
  chat: Chat,
  rooms: readonly RoomId[],
  marks: ReadonlyMap<RoomId, string | undefined>,
  room: RoomId | undefined,
): void => {
  const unread = useSyncExternalStore(chat.subscribe, () =>
    rooms.reduce((sum, id) => sum + unreadOf(chat.room(id)?.messages ?? [], marks.get(id), chat.user), 0),
  )
  useEffect(() => {
    document.title = [unread > 0 ? `(${unread})` : '', room === undefined ? '' : `${room} ·`, 'Hoofbeat']
      .filter(part => part !== '')
      .join(' ')
  }, [unread, room])
}
