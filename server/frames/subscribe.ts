import { fail } from '../errors.ts'
import { parseDestination, parseMessageId } from '../fanout/destination.ts'
import type { Joined } from '../fanout/hub.ts'
import type { Start } from '../fanout/start.ts'
import type { RoomId } from '../ports/room-log.ts'
import type { Frame } from '../stomp/frame.ts'
import { DONE, type Connection, type FrameHandler, type Outcome, type Subscribed } from './connection.ts'
import { count, echoed, required } from './headers.ts'
import { leave, revoke } from './leave.ts'
import { listen } from './signal.ts'

type AckMode = 'auto' | 'client' | 'client-individual'
const LARGEST_WINDOW = 100_000

/** SUBSCRIBE: to a room, its signals, or the user's own queue. Its RECEIPT comes when the start is fixed. */
export const subscribe: FrameHandler = (connection, frame) => {
  const destination = required(frame, 'destination')
  const place = parseDestination(destination)
  if (place.kind === 'renew') throw fail('BAD_DESTINATION', `nobody can subscribe to ${destination}`)
  const id = echoed(frame, 'id', connection.version)
  if (connection.version !== '1.0') required(frame, 'id')
  const { subscriptions } = connection
  const key = id ?? destination
  if (subscriptions.has(key)) throw fail('DUPLICATE_SUBSCRIPTION', key)
  if (subscriptions.size >= connection.around.config.SUBSCRIPTIONS) throw fail('TOO_MANY_SUBSCRIPTIONS')
  const mode = ackMode(frame)
  const subscribed: Subscribed = { destination, ended: false }
  if (place.kind !== 'room') {
    if (mode !== 'auto') throw fail('BAD_HEADER', `ack takes auto for ${destination}`)
    subscriptions.set(key, subscribed)
    if (place.kind === 'signal' || place.queue === 'events') return listen(connection, place, key, subscribed)
    connection.watchNotice()
    return DONE
  }
  const start = startOf(connection, frame)
  const window = count(frame, 'window', LARGEST_WINDOW) ?? connection.around.config.WINDOW
  subscriptions.set(key, subscribed)
  return connection.inOrder(place.room, () =>
    join(connection, frame, { room: place.room, id, mode, start, window, subscribed }),
  )
}

interface Join {
  readonly room: RoomId
  readonly id: string | undefined
  readonly mode: AckMode
  readonly start: Start
  readonly window: number
  readonly subscribed: Subscribed
}

const join = async (connection: Connection, frame: Frame, join: Join): Promise<Outcome> => {
  const { room, id, mode, start, window, subscribed } = join
  const { access, hub, rooms, meter } = connection.around
  if (!(await access.mayRead(connection.identity, room))) throw fail('FORBIDDEN', `to read ${room}`)
  const acks = mode !== 'auto'
  // It may be gone: whoever comes next looks again.
  const forget = (): void => rooms.forget(room)
  const enter = (): Promise<Joined> =>
    hub.subscribe(room, start, {
      style: { version: connection.version, framing: connection.framing, subscription: id, acks },
      outlet: connection.outlet,
      meter,
      ...(acks ? { window, cumulative: mode === 'client' } : {}),
      mayRead: () => access.mayRead(connection.identity, room),
      onEnd: error => {
        if (error.code === 'FORBIDDEN') return revoke(connection, room)
        forget()
        connection.fail(error)
      },
    })
  const joined = rooms.within(room, enter, () => connection.mayMakeRoom())
  joined.catch(forget)
  const { subscription, recovered, first } = await joined
  if (subscribed.ended) subscription.end()
  else subscribed.subscription = subscription
  if (recovered === undefined) return DONE
  if (!frame.headers.has('receipt')) subscription.announce(recovered)
  return { headers: { recovered: String(recovered), ...(first === undefined ? {} : { first }) } }
}

/** UNSUBSCRIBE: nothing more arrives; its id is free at once, its RECEIPT follows the SUBSCRIBE's. */
export const unsubscribe: FrameHandler = (connection, frame) => {
  const key = subscriptionKey(connection, frame)
  const subscribed = connection.subscriptions.get(key)
  if (!subscribed) throw fail('UNKNOWN_SUBSCRIPTION', key)
  connection.subscriptions.delete(key)
  leave(subscribed)
  const place = parseDestination(subscribed.destination)
  return place.kind === 'room' ? connection.inOrder(place.room, () => DONE) : DONE
}

/** STOMP 1.0 may unsubscribe by destination instead of by id: first the one that was made without an id. */
const subscriptionKey = (connection: Connection, frame: Frame): string => {
  const id = frame.headers.get('id')
  if (id !== undefined || connection.version !== '1.0') return required(frame, 'id')
  const destination = required(frame, 'destination')
  const { subscriptions } = connection
  if (subscriptions.has(destination)) return destination
  for (const [key, subscribed] of subscriptions) if (subscribed.destination === destination) return key
  return destination
}

const ackMode = (frame: Frame): AckMode => {
  const mode = frame.headers.get('ack') ?? 'auto'
  if (mode !== 'auto' && mode !== 'client' && mode !== 'client-individual') {
    throw fail('BAD_HEADER', 'ack takes auto, client or client-individual')
  }
  return mode
}

const startOf = (connection: Connection, frame: Frame): Start => {
  const after = frame.headers.get('after')
  // Whatever is no message-id of ours is a place that is not there any more: delivery starts with the earliest.
  if (after !== undefined) return { after: parseMessageId(after) ?? 'unknown' }
  const last = count(frame, 'last', connection.around.config.LAST_MAX)
  return last === undefined ? 'now' : { last }
}
