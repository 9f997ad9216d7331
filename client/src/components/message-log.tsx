import { useMemo, useState } from 'react'
import type { Chat, RoomView } from '../chat/index.ts'
import type { Stick } from '../hooks/use-stick.ts'
import { formatDay, text } from '../text/text.ts'
import { DownIcon, Logo } from './icons.tsx'
import { MessageRow } from './message-row.tsx'
import { isMessage, isOutgoing, type Row, rowsOf } from './rows.ts'
import { SystemRow } from './system-row.tsx'

interface MessageLogProps {
  readonly chat: Chat
  /** What the room is called. */
  readonly room: string
  readonly view: RoomView
  readonly user: string
  readonly online: boolean
  readonly stick: Stick
}

export const MessageLog = ({ chat, room, view, user, online, stick }: MessageLogProps) => {
  const rows = useMemo(() => rowsOf(view, user), [view, user])
  const below = useBelow(view, stick.stuck)
  const empty = view.is === 'joined' && rows.length === 0
  return (
    <div className="log-frame">
      <div
        ref={stick.scroller}
        className="log"
        role="log"
        aria-label={text.messagesIn(room)}
        // New messages are read out by the Announcer, which leaves out the history.
        aria-live="off"
        aria-busy={view.is === 'joining'}
        // Scrolled by keyboard.
        tabIndex={0}
      >
        <div ref={stick.content} className="log-content">
          {view.is === 'joining' && rows.length === 0 && <Joining room={room} />}
          {empty && <Empty />}
          <ol>
            {rows.map(row => (
              <LogRow key={row.id} row={row} chat={chat} online={online} onGrow={stick.release} />
            ))}
          </ol>
        </div>
      </div>
      {!stick.stuck && (
        <button type="button" className={below > 0 ? 'to-latest fresh' : 'to-latest'} onClick={stick.toBottom}>
          <DownIcon />
          <span className={below > 0 ? '' : 'sr-only'}>{below > 0 ? text.newMessages(below) : text.toLatest}</span>
        </button>
      )}
    </div>
  )
}

interface LogRowProps {
  readonly row: Row
  readonly chat: Chat
  readonly online: boolean
  readonly onGrow: () => void
}

const LogRow = ({ row, chat, online, onGrow }: LogRowProps) => {
  if (row.kind === 'day') {
    return (
      <li className="divider">
        <time dateTime={new Date(row.time).toISOString()}>{formatDay(row.time, Date.now())}</time>
      </li>
    )
  }
  if (row.kind === 'gap') return <li className="divider gap">{text.gap}</li>
  if (row.kind === 'system') return <SystemRow said={row.said} />
  const { said, own, first, last } = row
  const waiting = isOutgoing(said) && !online
  return <MessageRow chat={chat} said={said} own={own} first={first} last={last} waiting={waiting} onGrow={onGrow} />
}

const Empty = () => (
  <div className="blank appears">
    <Logo />
    <h2>{text.emptyTitle}</h2>
    <p>{text.emptyBody}</p>
  </div>
)

const Joining = ({ room }: { readonly room: string }) => (
  <div className="joining appears">
    <span className="sr-only">{text.joining(room)}</span>
    {['a', 'b', 'c', 'd'].map(line => (
      <span key={line} className={`ghost ghost-${line}`} />
    ))}
  </div>
)

/** How many messages came since the reader scrolled up. */
const useBelow = ({ messages }: RoomView, stuck: boolean): number => {
  const newest = messages.at(-1)?.id
  const [left, setLeft] = useState<string>()
  if (stuck && left !== newest) setLeft(newest)
  return stuck ? 0 : messages.slice(messages.findLastIndex(({ id }) => id === left) + 1).filter(isMessage).length
}
