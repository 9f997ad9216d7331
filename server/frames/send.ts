import { fail } from '../errors.ts'
import { messageId, parseDestination } from '../fanout/destination.ts'
import { isKept, SENDER_NAME } from '../fanout/reserved.ts'
import type { Identity } from '../ports/access.ts'
import type { NewRecord, Position, RoomId } from '../ports/room-log.ts'
import type { Frame } from '../stomp/frame.ts'
import { DONE, type Connection, type FrameHandler, type Outcome } from './connection.ts'
import { required } from './headers.ts'
import { renew } from './renew.ts'
import { signal } from './signal.ts'

const LONGEST_KEY = 64

/** SEND: to a room, into its log (or into a transaction); to its signals, past the log; to /session/renew, a new token. */
export const send: FrameHandler = (connection, frame) => {
  const text = required(frame, 'destination')
  const destination = parseDestination(text)
  const transaction = frame.headers.get('transaction')
  if (destination.kind === 'renew' && transaction === undefined) return renew(connection, frame)
  if (destination.kind === 'signal' && transaction === undefined) return signal(connection, destination.room, frame)
  if (destination.kind !== 'room') throw fail('BAD_DESTINATION', `nobody can send to ${text} here`)
  const { room } = destination
  const record = recordOf(connection.identity, frame)
  connection.spend()
  if (transaction === undefined) return sendNow(connection, room, record)
  connection.transactions.parkSend(transaction, room, record)
  return DONE
}

/** The RECEIPT comes only when the record is durable, and in as many steps for each SEND: those of a room keep their order. */
const sendNow = (connection: Connection, room: RoomId, record: NewRecord): Promise<Outcome> => {
  const allowed = connection.around.access.maySend(connection.identity, room, record)
  const appended = appendInOrder(connection, room, [record], allowed)
  if (!(appended instanceof Promise)) return appended.settled.then(kept)
  return new Promise((resolve, reject) => {
    appended.then(({ settled }) => settled.then(positions => resolve(kept(positions)), reject), reject)
  })
}

const kept = ([position]: readonly Position[]): Outcome => ({
  headers: { 'message-id': messageId(position!.epoch, position!.offset) },
})

/** An append that has been called, which fixes the order: the next frame for the room may start. */
interface Appended {
  readonly settled: Promise<Position[]>
}

/** Appends `records` after all earlier work for `room`, if `allowed`; at once, where there is nothing to wait for. */
export const appendInOrder = (
  connection: Connection,
  room: RoomId,
  records: readonly NewRecord[],
  allowed: boolean | Promise<boolean>,
): Appended | Promise<Appended> => {
  // Where earlier work fails this one never asks; its refusal is then nobody's.
  if (allowed instanceof Promise) allowed.catch(() => {})
  const { rooms } = connection.around
  const append = (): Appended => ({ settled: connection.around.append(room, records) })
  const ask = async (): Promise<Appended> => {
    if (!(await allowed)) throw fail('FORBIDDEN', `to send to ${room}`)
    if (!rooms.has(room)) await rooms.ensure(room, () => connection.mayMakeRoom())
    return append()
  }
  return connection.inOrder(room, () => (allowed === true && rooms.has(room) ? append() : ask()))
}

const recordOf = ({ user: sender, name: senderName }: Identity, frame: Frame): NewRecord => {
  const headers = new Map<string, string>()
  for (const [name, value] of frame.headers) if (isKept(name)) headers.set(name, value)
  if (senderName !== undefined) headers.set(SENDER_NAME, senderName)
  const key = frame.headers.get('idempotency-key')
  if (key === undefined) return { sender, headers, body: frame.body }
  if (key === '' || Array.from(key).length > LONGEST_KEY) {
    throw fail('BAD_HEADER', `idempotency-key takes 1 to ${LONGEST_KEY} characters`)
  }
  return { sender, headers, body: frame.body, key }
}
