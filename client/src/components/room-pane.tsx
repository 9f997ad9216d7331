import { type ReactNode, useCallback, useEffect } from 'react'
import type { Chat, Message, RoomId, RoomView } from '../chat/index.ts'
import { useConnectionState, useRoom, useUser } from '../hooks/use-chat.ts'
import { useStick } from '../hooks/use-stick.ts'
import { useVisible } from '../hooks/use-visible.ts'
import type { Remembered } from '../remembered.ts'
import { explain, text } from '../text/text.ts'
import { Announcer } from './announcer.tsx'
import { Composer } from './composer.tsx'
import { ConnectionBanner, ConnectionMark } from './connection.tsx'
import { CopyLink } from './copy-link.tsx'
import { AlertIcon } from './icons.tsx'
import { MessageLog } from './message-log.tsx'

interface RoomPaneProps {
  readonly chat: Chat
  readonly room: RoomId
  readonly remembered: Remembered
  /** All that came until now has been seen. */
  readonly onSeen: (room: RoomId, messages: readonly Message[]) => void
  /** What opens the list of rooms, where there is no place for it. */
  readonly menu: ReactNode
  /** What the room is called; absent: its id. */
  readonly title?: string
  /** What stands before the title; absent: `#`. */
  readonly mark?: ReactNode
  /** What is said of the room, below its title. */
  readonly about?: string | undefined
  /** What can be done with the room; absent: its link can be copied. */
  readonly tools?: ReactNode
  /** What stands between the messages and the place to write. */
  readonly below?: ReactNode
  /** What stands where one would write, if one may not. */
  readonly instead?: ReactNode
  readonly onType?: () => void
}

const JOINING: RoomView = { is: 'joining', messages: [], outgoing: [], broken: false }

/** One room: what was said, and what to say. */
export const RoomPane = ({ chat, room, remembered, onSeen, menu, title = room, ...more }: RoomPaneProps) => {
  const view = useRoom(chat, room) ?? JOINING
  const user = useUser(chat)
  const state = useConnectionState(chat)
  const stick = useStick()
  const { toBottom } = stick
  const visible = useVisible()
  const { messages } = view
  useEffect(() => {
    if (visible && stick.stuck && messages.length > 0) onSeen(room, messages)
  }, [visible, stick.stuck, messages, room, onSeen])

  const send = useCallback(
    (said: string) => {
      chat.send(room, said)
      toBottom()
    },
    [chat, room, toBottom],
  )

  const closed =
    view.is === 'refused' && more.instead === undefined && view.messages.length === 0 && view.outgoing.length === 0
  return (
    <>
      <header className="bar">
        {menu}
        {more.mark}
        <div className="titles">
          <h1 className={more.mark ? 'room-title' : 'room-title hash'} title={title} tabIndex={-1}>
            {title}
          </h1>
          {more.about && (
            <p className="room-about" title={more.about}>
              {more.about}
            </p>
          )}
        </div>
        <ConnectionMark state={state} />
        {more.tools ?? <CopyLink />}
      </header>
      <ConnectionBanner state={state} onRetry={() => chat.retryNow()} />
      {closed ? (
        <Refused room={title} view={view} onRetry={() => chat.join(room)} />
      ) : (
        <MessageLog chat={chat} room={title} view={view} user={user} online={state.is === 'online'} stick={stick} />
      )}
      {view.is === 'refused' && !closed && more.instead === undefined && (
        <p className="problem in-room" role="alert">
          {explain(view.problem?.code ?? '')}
          <button type="button" className="quiet" onClick={() => chat.join(room)}>
            {text.again}
          </button>
        </p>
      )}
      {!closed && more.below}
      {!closed &&
        (more.instead ?? (
          <Composer room={room} title={title} remembered={remembered} onSend={send} onType={more.onType} />
        ))}
      <Announcer view={view} user={user} state={state} />
    </>
  )
}

interface RefusedProps {
  readonly room: RoomId
  readonly view: RoomView
  readonly onRetry: () => void
}

const Refused = ({ room, view, onRetry }: RefusedProps) => (
  <div className="blank" role="alert">
    <AlertIcon />
    <h2>{text.refusedTitle(room)}</h2>
    <p>{explain(view.problem?.code ?? '')}</p>
    <button type="button" className="primary small" onClick={onRetry}>
      {text.again}
    </button>
  </div>
)
