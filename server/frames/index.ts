import { fail } from '../errors.ts'
import { refuse } from '../stomp/frame.ts'
import { ack } from './ack.ts'
import { connect } from './connect.ts'
import { DONE, type FrameHandler } from './connection.ts'
import { disconnect } from './disconnect.ts'
import { send } from './send.ts'
import { subscribe, unsubscribe } from './subscribe.ts'
import { abort, begin, commit } from './transactions.ts'

const handlers: Readonly<Record<string, FrameHandler>> = {
  SEND: send,
  SUBSCRIBE: subscribe,
  UNSUBSCRIBE: unsubscribe,
  // A room is a broadcast: nothing is redelivered to someone else, so NACK only frees the window as ACK does.
  ACK: ack,
  NACK: ack,
  BEGIN: begin,
  COMMIT: commit,
  ABORT: abort,
  DISCONNECT: disconnect,
}

/** The state before CONNECTED: only CONNECT or STOMP is taken. */
export const connecting: FrameHandler = (connection, frame) => {
  if (frame.command !== 'CONNECT' && frame.command !== 'STOMP') throw refuse(frame, 'NOT_CONNECTED', frame.command)
  return connect(connection, frame)
}

/** What a client that has gone sent before, as far as anyone else can see it. */
const OUTLASTING = new Set(['SEND', 'BEGIN', 'COMMIT', 'ABORT', 'DISCONNECT'])

/** The state after the client has gone without DISCONNECT: what came before still counts. */
export const left: FrameHandler = (connection, frame) =>
  OUTLASTING.has(frame.command) ? connected(connection, frame) : DONE

/** The state after CONNECTED. */
export const connected: FrameHandler = (connection, frame) => {
  const handler = handlers[frame.command]
  if (!handler) throw fail('NOT_CONNECTED', `a second ${frame.command}`)
  return handler(connection, frame)
}
