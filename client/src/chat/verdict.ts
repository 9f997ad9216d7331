import type { Problem, RoomId } from './message.ts'

/** Which of our frames a RECEIPT or an ERROR answers. */
export type Cause =
  | { readonly kind: 'join'; readonly room: RoomId }
  /** To what is fleeting in a room. */
  | { readonly kind: 'listen'; readonly room: RoomId }
  /** Something fleeting that we say in a room. */
  | { readonly kind: 'signal'; readonly room: RoomId }
  | { readonly kind: 'send'; readonly key: string; readonly bytes: number }
  | { readonly kind: 'renew'; readonly token: string }

/** How a connection ended. */
export interface End {
  /** Whether the server had let us in. */
  readonly connected: boolean
  /** The ERROR frame, where there was one. */
  readonly problem?: Problem
  readonly retryAfterMs?: number
  /** The frame of ours that the ERROR answers. */
  readonly cause?: Cause
  /** What was not answered yet. */
  readonly unanswered: readonly Cause[]
  /** The WebSocket's close code. */
  readonly closeCode: number
}

/** What to do after a connection ended. */
export type Verdict =
  /** Connect again: after `afterMs` where the server said so, otherwise after the back-off. */
  | { readonly then: 'again'; readonly afterMs?: number }
  /** Nothing helps but other credentials (or another program). */
  | { readonly then: 'stop' }
  /** Connect again at once, without this room. */
  | { readonly then: 'failRoom'; readonly room: RoomId }
  /** Connect again at once, and say nothing fleeting in this room. */
  | { readonly then: 'mute'; readonly room: RoomId }
  /** Connect again at once, without this message. */
  | { readonly then: 'failMessage'; readonly key: string }

const STOP = new Set(['BAD_CREDENTIALS', 'TOKEN_EXPIRED', 'SESSION_ENDED', 'ENDED_BY_ADMIN', 'UNSUPPORTED_VERSION'])
const AGAIN = new Set([
  'LOGIN_TIMEOUT',
  'TOO_MANY_CONNECTIONS',
  'RATE_LIMITED',
  'LOG_UNAVAILABLE',
  'DATABASE_UNAVAILABLE',
  'STALLED',
  'HEART_BEAT_LOST',
  'DRAINING',
])
/** A WebSocket message larger than the server takes: it closes without an ERROR frame. */
const TOO_LARGE = 1009

/** What the end of a connection means. Unknown codes are permanent for what they answer, temporary for the rest. */
export const judge = (end: End): Verdict => {
  const { problem, cause } = end
  if (!problem) return end.closeCode === TOO_LARGE ? blameLargest(end) : { then: 'again' }
  // With a time to come back at, it was not the credentials: they could not be checked.
  if (STOP.has(problem.code)) return end.retryAfterMs === undefined ? { then: 'stop' } : again(end)
  if (AGAIN.has(problem.code)) return again(end)
  // Whoever may read a room may hear what is fleeting there.
  if (cause?.kind === 'join' || cause?.kind === 'listen') return { then: 'failRoom', room: cause.room }
  if (cause?.kind === 'signal') return { then: 'mute', room: cause.room }
  if (cause?.kind === 'send') return { then: 'failMessage', key: cause.key }
  if (problem.code === 'FRAME_TOO_LARGE') return blameLargest(end)
  return end.connected || problem.code === 'INTERNAL' ? again(end) : { then: 'stop' }
}

const again = ({ retryAfterMs }: End): Verdict => ({
  then: 'again',
  ...(retryAfterMs === undefined ? {} : { afterMs: retryAfterMs }),
})

/** Sent again, a frame that is too large would end every connection: the largest one under way must be it. */
const blameLargest = (end: End): Verdict => {
  const sends = end.unanswered.filter(cause => cause.kind === 'send')
  const [largest] = sends.toSorted((a, b) => b.bytes - a.bytes)
  return largest ? { then: 'failMessage', key: largest.key } : again(end)
}
