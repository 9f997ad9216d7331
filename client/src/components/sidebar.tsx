import { type FormEvent, memo, useId, useState } from 'react'
import { type Chat, isRoomId, type RoomId } from '../chat/index.ts'
import { useRoom, useUser } from '../hooks/use-chat.ts'
import { fragmentOf, goTo } from '../hooks/use-route.ts'
import { formatNumber, text } from '../text/text.ts'
import { Avatar } from './avatar.tsx'
import { AlertIcon, CloseIcon, Logo, PlusIcon } from './icons.tsx'
import { unreadOf } from './rows.ts'

interface SidebarProps {
  readonly chat: Chat
  readonly rooms: readonly RoomId[]
  readonly current: RoomId | undefined
  /** The newest message seen in each room. */
  readonly marks: ReadonlyMap<RoomId, string | undefined>
  readonly onLeave: (room: RoomId) => void
  readonly onSignOut: () => void
}

export const Sidebar = ({ chat, rooms, current, marks, onLeave, onSignOut }: SidebarProps) => {
  const user = useUser(chat)
  return (
    <>
      <div className="side-top">
        <Logo />
        <span className="wordmark">Hoofbeat</span>
      </div>
      <nav className="rooms" aria-label={text.rooms}>
        <h2>{text.rooms}</h2>
        <ul>
          {rooms.map(room => (
            <RoomItem
              key={room}
              chat={chat}
              room={room}
              current={room === current}
              mark={marks.get(room)}
              onLeave={onLeave}
            />
          ))}
        </ul>
        <JoinForm />
      </nav>
      <div className="me">
        <Avatar name={user} />
        <span className="me-name">
          <span className="sr-only">{text.signedInAs} </span>
          {user}
        </span>
        <button type="button" className="quiet" onClick={onSignOut}>
          {chat.withToken ? text.signOut : text.changeName}
        </button>
      </div>
    </>
  )
}

interface RoomItemProps {
  readonly chat: Chat
  readonly room: RoomId
  readonly current: boolean
  readonly mark: string | undefined
  readonly onLeave: (room: RoomId) => void
}

const RoomItem = memo(({ chat, room, current, mark, onLeave }: RoomItemProps) => {
  const view = useRoom(chat, room)
  const user = useUser(chat)
  const unread = view ? unreadOf(view.messages, mark, user) : 0
  const shown = unread > 99 ? '99+' : formatNumber(unread)
  return (
    <li className={unread > 0 ? 'room unread' : 'room'}>
      <a href={fragmentOf(room)} aria-current={current ? 'page' : undefined}>
        <span className="room-name">{room}</span>
        {view?.is === 'refused' && <AlertIcon />}
        {unread > 0 && (
          <span className="badge">
            <span aria-hidden="true">{shown}</span>
            <span className="sr-only">{text.unread(shown)}</span>
          </span>
        )}
      </a>
      <button
        type="button"
        className="icon-button leave"
        onClick={() => onLeave(room)}
        aria-label={text.leaveRoom(room)}
        title={text.leaveRoom(room)}
      >
        <CloseIcon />
      </button>
    </li>
  )
})

const JoinForm = () => {
  const id = useId()
  const [room, setRoom] = useState('')
  const [wrong, setWrong] = useState(false)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    const name = room.trim().replace(/^#/, '')
    setWrong(!isRoomId(name))
    if (!isRoomId(name)) return
    setRoom('')
    goTo(name)
  }
  return (
    <form className="join" onSubmit={submit} noValidate>
      <input
        value={room}
        onChange={event => setRoom(event.target.value)}
        aria-label={text.joinRoom}
        placeholder={text.joinRoom}
        aria-invalid={wrong}
        aria-describedby={wrong ? id : undefined}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
      />
      <button type="submit" className="icon-button" aria-label={text.joinButton} title={text.joinButton}>
        <PlusIcon />
      </button>
      {wrong && (
        <p id={id} className="wrong" role="alert">
          {text.roomWrong}
        </p>
      )}
    </form>
  )
}
