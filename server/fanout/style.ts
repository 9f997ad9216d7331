import { encodeHeader } from '../stomp/encoder.ts'
import type { Framing } from '../stomp/framing.ts'
import type { Version } from '../stomp/frame.ts'

/** All that makes the bytes of one MESSAGE differ between two subscriptions of a room. */
export interface Look {
  readonly version: Version
  readonly framing: Framing
  /** Absent for a STOMP 1.0 subscription without an id. */
  readonly subscription: string | undefined
  /** Whether each MESSAGE carries an `ack` header. */
  readonly acks: boolean
}

/**
 * The look of one or more subscriptions. Those of the same style share finished bytes; @stomp/stompjs calls its first
 * subscription sub-0, so a room of thousands often has one style.
 */
export interface Style extends Look {
  /** What each of its frames begins with. */
  readonly head: Buffer
  /** What follows the message-id in the ack header; empty where there is none. */
  readonly ackEnd: string
  /** How many subscriptions have it now: what only one has is not worth keeping. */
  users: number
}

/** The styles in use on a node, each once. */
export class Styles {
  readonly #byFraming = new Map<Framing, Map<string, Style>>()

  take(look: Look): Style {
    let known = this.#byFraming.get(look.framing)
    if (!known) this.#byFraming.set(look.framing, (known = new Map()))
    const key = keyOf(look)
    let style = known.get(key)
    if (!style) known.set(key, (style = styleOf(look)))
    style.users++
    return style
  }

  release(style: Style): void {
    if (--style.users > 0) return
    const known = this.#byFraming.get(style.framing)!
    known.delete(keyOf(style))
    if (known.size === 0) this.#byFraming.delete(style.framing)
  }
}

const keyOf = ({ version, acks, subscription }: Look): string =>
  `${version}${acks ? '+' : '-'}${subscription === undefined ? '' : `=${subscription}`}`

const styleOf = ({ version, framing, subscription, acks }: Look): Style => {
  const name = subscription === undefined ? '' : encodeHeader('subscription', subscription, version)
  // Of an ack header only this end has anything to escape.
  const ackEnd = acks ? encodeHeader('ack', ackEndOf(subscription), version).slice('ack:'.length) : ''
  return { version, framing, subscription, acks, users: 0, head: Buffer.from(`MESSAGE\n${name}`), ackEnd }
}

const ackEndOf = (subscription = ''): string => `@${subscription}`

/** What a client in a client ack mode acknowledges: the message for this subscription. */
export const ackId = (id: string, subscription?: string): string => `${id}${ackEndOf(subscription)}`
