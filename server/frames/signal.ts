import { isUtf8 } from 'node:buffer'
import { fail } from '../errors.ts'
import type { Destination } from '../fanout/destination.ts'
import type { NewRecord, RoomId } from '../ports/room-log.ts'
import { EMPTY, type Frame } from '../stomp/frame.ts'
import { DONE, type Connection, type Outcome, type Subscribed } from './connection.ts'
import { required } from './headers.ts'

/** What clients may say fleetingly; what else there is only the server says. */
const SAYABLE = ['typing', 'read']

/** SEND to /signal/<room>: told to those who are subscribed to it now. Over the rate it is dropped. */
export const signal = (connection: Connection, room: RoomId, frame: Frame): Outcome | Promise<Outcome> => {
  const type = required(frame, 'type')
  if (!SAYABLE.includes(type)) throw fail('BAD_HEADER', `type takes ${SAYABLE.join(' or ')} here`)
  const { access, config, meter, signals } = connection.around
  if (frame.body.length > config.SIGNAL_BYTES) throw fail('FRAME_TOO_LARGE', 'the body of a signal')
  if (!isUtf8(frame.body)) throw fail('BAD_ENCODING', 'the body of a signal')
  if (!connection.maySignal()) {
    meter.add('signalsDropped', 1, 'rate')
    return DONE
  }
  const sender = connection.identity.user
  const contentType = frame.headers.get('content-type')
  const body = frame.body.toString('utf8')
  const say = (allowed: boolean): Outcome => {
    if (!allowed) throw fail('FORBIDDEN', `to send to ${room}`)
    signals.say(room, { type, sender, ...(contentType !== undefined && { contentType }), body })
    return DONE
  }
  // Who may read a room may say how far they have; the rest is for those who may write there.
  const allowed = type === 'read' ? access.mayRead(connection.identity, room) : mayWrite(connection, room)
  return allowed instanceof Promise ? allowed.then(say) : say(allowed)
}

const mayWrite = ({ around: { access }, identity }: Connection, room: RoomId): boolean | Promise<boolean> => {
  const message: NewRecord = { sender: identity.user, headers: new Map(), body: EMPTY }
  return access.maySend(identity, room, message)
}

/** SUBSCRIBE to what is fleeting: the signals of a room, or what concerns the user. `key` is what UNSUBSCRIBE ends it by. */
export const listen = async (
  connection: Connection,
  place: Exclude<Destination, { kind: 'room' | 'renew' }>,
  key: string,
  subscribed: Subscribed,
): Promise<Outcome> => {
  const stop = await (place.kind === 'signal'
    ? listenToRoom(connection, place.room, key, subscribed)
    : connection.around.events?.subscribe(connection.identity, event => connection.own.deliver(key, event)))
  if (subscribed.ended) stop?.()
  else if (stop) subscribed.stop = stop
  return DONE
}

const listenToRoom = async (
  connection: Connection,
  room: RoomId,
  key: string,
  subscribed: Subscribed,
): Promise<() => void> => {
  const { identity, version, framing, outlet } = connection
  const { access, signals } = connection.around
  if (!(await access.mayRead(identity, room))) throw fail('FORBIDDEN', `to read ${room}`)
  const maySend = (): boolean | Promise<boolean> => mayWrite(connection, room)
  const ended = (): boolean => subscribed.ended
  return signals.subscribe(room, { user: identity.user, version, framing, subscription: key, outlet, ended, maySend })
}
