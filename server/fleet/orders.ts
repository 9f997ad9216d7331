import type { Signals, UserEvent } from '../ports/signals.ts'

/** What an admin asks of every node. */
type Order =
  | { readonly act: 'disconnect'; readonly connection: string }
  | { readonly act: 'announce'; readonly text: string }

/** What a node does for an admin. */
export interface Node {
  /** Ends the connection, where it is on this node. */
  disconnect(connection: string): void
  /** Tells every connection that subscribed to its user's queue `events`. */
  tellAll(event: UserEvent): void
}

const CHANNEL = 'fleet'

/** Resolves with how to end it when `node` does what is asked of all of them. */
export const followOrders = (signals: Signals, node: Node): Promise<() => void> =>
  signals.subscribe(CHANNEL, event => {
    const order = event as Order
    if (order.act === 'disconnect') node.disconnect(order.connection)
    else node.tellAll({ type: 'announcement', body: { text: order.text } })
  })

/** Ends a connection, on whichever node it is. */
export const disconnect = (signals: Signals, connection: string): void =>
  signals.publish(CHANNEL, { act: 'disconnect', connection } satisfies Order)

/** Says something to everybody who is connected, on all nodes. */
export const announce = (signals: Signals, text: string): void =>
  signals.publish(CHANNEL, { act: 'announce', text } satisfies Order)
