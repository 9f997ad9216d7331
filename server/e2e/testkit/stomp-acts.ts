/** Who may do what over STOMP: the whole of it. */

import type { Test } from 'tap'
import type { ErrorCode } from '../../errors.ts'
import type { Person } from '../../testkit/product.ts'
import { inside, readers, signedIn, staff, type Cell, type Role, type Visibility } from './world.ts'

interface Framed {
  readonly command: 'SEND' | 'SUBSCRIBE'
  readonly headers: Readonly<Record<string, string>>
}

export interface StompAct {
  readonly does: string
  readonly may: readonly Role[] | Readonly<Record<Visibility, readonly Role[]>>
  /** FORBIDDEN where nothing else is said. */
  readonly no?: ErrorCode
  readonly frame: (t: Test, cell: Cell, me: Person) => Framed | Promise<Framed>
}

const topic = ({ room }: Cell): string => `/topic/${room}`
const subscribing =
  (of: (cell: Cell) => string) =>
  (_t: Test, cell: Cell): Framed => ({
    command: 'SUBSCRIBE',
    headers: { id: 's', destination: of(cell) },
  })
const sending =
  (of: (cell: Cell) => string, headers: Readonly<Record<string, string>> = {}) =>
  (_t: Test, cell: Cell): Framed => ({ command: 'SEND', headers: { destination: of(cell), ...headers } })

/** Sends a message to the room; resolves with its id. Where the sender may not, there is no such message. */
const said = async (t: Test, cell: Cell, who: Person): Promise<string> => {
  const probe = await who.connect(t, 'tcp', cell.node)
  const { headers } = await probe.request('SEND', { destination: topic(cell) })
  await probe.request('DISCONNECT')
  return headers['message-id']!
}

/** A record about a message of one's own, or of somebody else. */
const about =
  (type: string, whose: 'own' | 'theirs', more: Readonly<Record<string, string>> = {}) =>
  async (t: Test, cell: Cell, me: Person): Promise<Framed> => {
    const own = whose === 'own' && inside.includes(cell.role)
    const ref = await said(t, cell, own ? me : cell.target)
    return { command: 'SEND', headers: { destination: topic(cell), type, ref, ...more } }
  }

const signal = ({ room }: Cell): string => `/signal/${room}`
const unknown = (): string => '/topic/there-is-no-such-room'

export const stompActs: readonly StompAct[] = [
  { does: 'SUBSCRIBE to the room', may: readers, frame: subscribing(topic) },
  { does: 'SUBSCRIBE to its signals', may: readers, frame: subscribing(signal) },
  { does: 'SUBSCRIBE to no room', may: [], frame: subscribing(unknown) },
  { does: 'SUBSCRIBE to events', may: signedIn, frame: subscribing(() => '/user/queue/events') },
  { does: 'SUBSCRIBE to the session', may: signedIn, frame: subscribing(() => '/user/queue/session') },
  { does: 'SUBSCRIBE to /session/renew', may: [], no: 'BAD_DESTINATION', frame: subscribing(() => '/session/renew') },
  { does: 'SEND a message', may: inside, frame: sending(topic) },
  { does: 'SEND a message, said so', may: inside, frame: sending(topic, { type: 'message' }) },
  { does: 'SEND to no room', may: [], frame: sending(unknown) },
  { does: 'SEND a reaction', may: inside, frame: about('reaction', 'theirs', { op: 'add' }) },
  { does: 'SEND an edit of their own', may: inside, frame: about('edit', 'own') },
  { does: 'SEND an edit of somebody else', may: [], frame: about('edit', 'theirs') },
  { does: 'SEND a deletion of their own', may: inside, frame: about('delete', 'own') },
  { does: 'SEND a deletion of somebody else', may: staff, frame: about('delete', 'theirs') },
  { does: 'SEND an edit of nothing', may: [], frame: sending(topic, { type: 'edit', ref: 'none-1' }) },
  { does: 'SEND as the system', may: [], frame: sending(topic, { type: 'system' }) },
  { does: 'SEND an unknown type', may: [], frame: sending(topic, { type: 'news' }) },
  { does: 'SEND a whisper', may: [], frame: (t, cell) => sending(topic, { to: cell.target.id })(t, cell) },
  { does: 'SEND that they type', may: inside, frame: sending(signal, { type: 'typing' }) },
  { does: 'SEND how far they have read', may: readers, frame: sending(signal, { type: 'read' }) },
  { does: 'SEND another signal', may: [], no: 'BAD_HEADER', frame: sending(signal, { type: 'presence' }) },
  { does: 'SEND to events', may: [], no: 'BAD_DESTINATION', frame: sending(() => '/user/queue/events') },
]
