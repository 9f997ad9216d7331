import { useEffect, useRef, useState } from 'react'
import type { ConnectionState, RoomView } from '../chat/index.ts'
import { useNaming } from '../hooks/use-product.ts'
import { text } from '../text/text.ts'
import { isMessage } from './rows.ts'

interface AnnouncerProps {
  readonly view: RoomView
  readonly user: string
  readonly state: ConnectionState
}

/** More than this at once are counted, not read out. */
const MOST_READ = 3
/** How much of a message is read out, characters. */
const MOST_LETTERS = 300

/** Tells a screen reader what came in, and what became of the connection: not the history, and not one's own. */
export const Announcer = ({ view, user, state }: AnnouncerProps) => (
  <div className="sr-only">
    <p role="status">{useNews(view, user)}</p>
    <ConnectionNews state={state} />
  </div>
)

/** Tells a screen reader what became of the connection. */
export const ConnectionNews = ({ state }: Pick<AnnouncerProps, 'state'>) => <p role="status">{useChanges(state)}</p>

const useNews = ({ messages }: RoomView, user: string): string => {
  const [news, setNews] = useState('')
  const nameOf = useNaming()
  const since = useRef(Date.now())
  const heard = useRef<string>(undefined)
  useEffect(() => {
    const at = messages.findLastIndex(({ id }) => id === heard.current)
    heard.current = messages.at(-1)?.id
    const fresh = messages
      .slice(at + 1)
      .filter(message => isMessage(message) && message.sender !== user && message.time >= since.current)
    if (fresh.length > MOST_READ) setNews(text.newMessages(fresh.length))
    else if (fresh.length > 0) {
      setNews(fresh.map(({ sender, body }) => text.said(nameOf(sender), body.slice(0, MOST_LETTERS))).join('\n'))
    }
  }, [messages, user, nameOf])
  return news
}

const useChanges = ({ is }: ConnectionState): string => {
  const [change, setChange] = useState('')
  const was = useRef(is)
  useEffect(() => {
    if (is === 'waiting' && was.current === 'online') setChange(text.lost)
    if (is === 'online' && was.current !== 'online') setChange(before => (before === '' ? '' : text.back))
    if (is !== 'connecting') was.current = is
  }, [is])
  return change
}
