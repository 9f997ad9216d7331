import { memo, useState } from 'react'
import type { Chat, Outgoing } from '../chat/index.ts'
import { useName } from '../hooks/use-product.ts'
import { explain, formatClock, formatMoment, formatNumber, text } from '../text/text.ts'
import { Avatar, colourOf } from './avatar.tsx'
import { AlertIcon, CheckIcon, ClockIcon } from './icons.tsx'
import { LinkedText } from './linked-text.tsx'
import { isOutgoing, type Said, timeOf } from './rows.ts'
import { shorten } from './shorten.ts'

interface MessageRowProps {
  readonly chat: Chat
  readonly said: Said
  readonly own: boolean
  readonly first: boolean
  readonly last: boolean
  /** It is on its way, and there is no connection. */
  readonly waiting: boolean
  /** It is about to become longer because the reader asked. */
  readonly onGrow: () => void
}

export const MessageRow = memo(({ chat, said, own, first, last, waiting, onGrow }: MessageRowProps) => {
  const sender = isOutgoing(said) ? '' : said.sender
  const called = useName(sender)
  const name = own ? text.you : called || text.unknownSender
  const failed = isOutgoing(said) ? said.failed : undefined
  const state = isOutgoing(said) ? (failed ? 'failed' : 'pending') : 'delivered'
  const classes = ['message', own ? 'own' : 'other', ...(first ? ['first'] : []), ...(last ? ['last'] : [])]
  return (
    <li className={classes.join(' ')} data-state={state}>
      {!own && last && <Avatar name={name} />}
      <div className="bubble">
        <p className={own || !first ? 'sr-only' : `sender name-${colourOf(name)}`}>{name}</p>
        <Body said={said} onGrow={onGrow} />
        <p className="meta">
          <time dateTime={new Date(timeOf(said)).toISOString()} title={formatMoment(timeOf(said))}>
            {formatClock(timeOf(said))}
          </time>
          {own && <Mark state={state} waiting={waiting} />}
        </p>
      </div>
      {failed && isOutgoing(said) && <Failure chat={chat} said={said} />}
    </li>
  )
})

const Body = ({ said, onGrow }: { readonly said: Said; readonly onGrow: () => void }) => {
  const [whole, setWhole] = useState(false)
  if (!isOutgoing(said) && said.erased) return <p className="said not-text">{text.erased}</p>
  if (!isOutgoing(said) && said.contentType && !/^(text\/|application\/json)/i.test(said.contentType)) {
    return <p className="said not-text">{text.binary(said.contentType)}</p>
  }
  const short = shorten(said.body)
  if (short === undefined) return <LinkedText body={said.body} cut={false} />
  const toggle = (): void => {
    onGrow()
    setWhole(!whole)
  }
  return (
    <>
      <LinkedText body={whole ? said.body : `${short}…`} cut={!whole} />
      <button type="button" className="more" onClick={toggle} aria-expanded={whole}>
        {whole ? text.showLess : text.showAll(formatNumber(said.body.length))}
      </button>
    </>
  )
}

const Mark = ({
  state,
  waiting,
}: {
  readonly state: 'pending' | 'failed' | 'delivered'
  readonly waiting: boolean
}) => {
  const label = state === 'pending' && waiting ? text.waiting : text[state]
  return (
    <span className="mark" role="img" aria-label={label} title={label}>
      {state === 'pending' ? <ClockIcon /> : state === 'failed' ? <AlertIcon /> : <CheckIcon />}
    </span>
  )
}

/** Why a message was not taken, and what to do with it. */
const Failure = ({ chat, said }: { readonly chat: Chat; readonly said: Outgoing }) => (
  <div className="failure" role="group" aria-label={text.failed}>
    <span>
      {text.failed}: {explain(said.failed?.code ?? '')}
    </span>
    <button type="button" className="quiet" onClick={() => chat.retry(said.key)}>
      {text.retry}
    </button>
    <button type="button" className="quiet" onClick={() => chat.discard(said.key)}>
      {text.discard}
    </button>
  </div>
)
