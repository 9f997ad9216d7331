import { fail } from '../errors.ts'
import type { Subscription } from '../fanout/subscription.ts'
import type { Frame } from '../stomp/frame.ts'
import { DONE, type Connection, type FrameHandler } from './connection.ts'
import { required } from './headers.ts'

/** ACK and NACK: the message makes room in its subscription's window (in a transaction: at COMMIT). */
export const ack: FrameHandler = (connection, frame) => {
  const { message, subscription } = target(connection, frame)
  if (!subscription) throw fail('UNKNOWN_ACK', message)
  const transaction = frame.headers.get('transaction')
  if (transaction !== undefined) {
    if (!subscription.holds(message)) throw fail('UNKNOWN_ACK', message)
    connection.transactions.parkAck(transaction, () => void subscription.acknowledge(message))
  } else if (!subscription.acknowledge(message)) throw fail('UNKNOWN_ACK', message)
  return DONE
}

interface Target {
  readonly message: string
  readonly subscription: Subscription | undefined
}

/** 1.2: `id`, the ack header of the MESSAGE. 1.1: message-id and subscription. 1.0: message-id, and perhaps subscription. */
const target = (connection: Connection, frame: Frame): Target => {
  if (connection.version === '1.2') {
    const id = required(frame, 'id')
    const at = id.indexOf('@')
    if (at < 0) throw fail('UNKNOWN_ACK', id)
    return { message: id.slice(0, at), subscription: find(connection, id.slice(at + 1)) }
  }
  const message = required(frame, 'message-id')
  const named = connection.version === '1.1' ? required(frame, 'subscription') : frame.headers.get('subscription')
  if (named !== undefined) return { message, subscription: find(connection, named) }
  for (const { subscription } of connection.subscriptions.values()) {
    if (subscription?.holds(message)) return { message, subscription }
  }
  return { message, subscription: undefined }
}

const find = (connection: Connection, id: string): Subscription | undefined =>
  connection.subscriptions.get(id)?.subscription
