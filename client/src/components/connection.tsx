import type { ConnectionState } from '../chat/index.ts'
import { useNow } from '../hooks/use-now.ts'
import { explain, text } from '../text/text.ts'

interface ConnectionMarkProps {
  readonly state: ConnectionState
}

/** A dot, and a word where there is room or something is wrong. */
export const ConnectionMark = ({ state }: ConnectionMarkProps) => {
  const word =
    state.is === 'online'
      ? text.online
      : state.is === 'connecting' && state.attempt === 0
        ? text.connecting
        : text.offline
  return (
    <span className="connection" data-state={state.is}>
      <span className="dot" />
      <span className="connection-word">{word}</span>
    </span>
  )
}

interface ConnectionBannerProps {
  readonly state: ConnectionState
  readonly onRetry: () => void
  /** What is said where the server gave no reason. */
  readonly otherwise?: string
}

/** While there is no connection: what happens next, and a way to make it happen now. */
export const ConnectionBanner = ({ state, onRetry, otherwise = text.unsentKept }: ConnectionBannerProps) => {
  const tried = state.is === 'waiting' || (state.is === 'connecting' && state.attempt > 0)
  if (!tried) return null
  const why = explain((state.is === 'waiting' && state.problem?.code) || '', otherwise)
  return (
    <div className="banner">
      <p>
        <strong>{state.is === 'waiting' ? <Countdown until={state.until} /> : text.reconnecting}</strong> {why}
      </p>
      <button type="button" className="quiet" onClick={onRetry} disabled={state.is !== 'waiting'}>
        {text.tryNow}
      </button>
    </div>
  )
}

const Countdown = ({ until }: { readonly until: number }) => {
  const seconds = Math.ceil((until - useNow()) / 1000)
  return seconds > 0 ? text.nextTry(seconds) : text.reconnecting
}
