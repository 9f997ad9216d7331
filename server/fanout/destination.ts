import { fail } from '../errors.ts'
import type { RoomId } from '../ports/room-log.ts'

export { messageId, parseMessageId } from '../ports/message-id.ts'

/** Where a frame is addressed to. */
export type Destination =
  | { readonly kind: 'room'; readonly room: RoomId }
  | { readonly kind: 'signal'; readonly room: RoomId }
  | { readonly kind: 'queue'; readonly queue: 'session' | 'events' }
  | { readonly kind: 'renew' }

const ROOM = /^\/(topic|signal)\/([A-Za-z0-9._\-/:]{1,120})$/

/** Reads a `destination` header; throws BAD_DESTINATION. */
export const parseDestination = (text: string): Destination => {
  const [, kind, room] = ROOM.exec(text) ?? []
  if (room !== undefined) return { kind: kind === 'signal' ? 'signal' : 'room', room }
  if (text === '/user/queue/session') return { kind: 'queue', queue: 'session' }
  if (text === '/user/queue/events') return { kind: 'queue', queue: 'events' }
  if (text === '/session/renew') return { kind: 'renew' }
  throw fail('BAD_DESTINATION', text.slice(0, 200))
}

export const destinationOf = (room: RoomId): string => `/topic/${room}`

/** Of what is fleeting in a room. */
export const signalsOf = (room: RoomId): string => `/signal/${room}`
