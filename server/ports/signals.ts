import type { Json, Listener } from './channels.ts'

/**
 * Fleeting news between nodes, each at most once: what somebody types, who came and went. Nothing is kept for whoever is
 * away, so that nothing comes in a burst when they are back.
 */
export interface Signals {
  /**
   * Tells whoever subscribed to `channel`, on every node, this one included; in a later turn. Returns at once and never
   * throws: what cannot be told other nodes now is told on this one alone. What one node publishes arrives in that order.
   */
  publish(channel: string, event: Json): void

  /**
   * Resolves with how to end it when it stands: what is published on any node from then on is heard. Where other nodes
   * cannot be heard now it resolves too, and stands with them as soon as they can. Rejects with DRAINING once closed.
   * @param listener returns at once and never throws
   */
  subscribe(channel: string, listener: Listener): Promise<() => void>
}

/** What is fleeting in a room, as it goes from node to node: who subscribed to the room's signals is told of it. */
export type RoomSignal = {
  readonly type: string
  /** As what `message-id` it is told. */
  readonly id: string
  /** Epoch ms. */
  readonly time: number
  /** Absent where the server itself says it. */
  readonly sender?: string
  readonly contentType?: string
  readonly body: string
  /** Users who are not told. */
  readonly except?: readonly string[]
  /** Those alone are told who may send to the room: not whoever may read it. */
  readonly inside?: true
}

/** What concerns a user, told to each of their connections that subscribed to `/user/queue/events`. */
export type UserEvent = { readonly type: string; readonly body: Json }

/** The channel of a room's signals; its events are `RoomSignal`s. */
export const roomChannel = (room: string): string => `room:${room}`

/** The channel of what concerns a user; its events are `UserEvent`s. */
export const userChannel = (user: string): string => `user:${user}`
