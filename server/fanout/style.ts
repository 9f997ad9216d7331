import type { Framing } from '../stomp/framing.ts'
import type { Version } from '../stomp/frame.ts'

/**
 * All that makes the bytes of one MESSAGE differ between two subscriptions of a room. Subscriptions of the same style
 * share finished bytes; @stomp/stompjs calls its first subscription sub-0, so a room of thousands often has one style.
 */
export interface Style {
  readonly version: Version
  readonly framing: Framing
  /** Absent for a STOMP 1.0 subscription without an id. */
  readonly subscription: string | undefined
  /** Whether each MESSAGE carries an `ack` header. */
  readonly acks: boolean
  /** How many subscriptions have it now: what only one has is not worth keeping. */
  users: number
}

/** The styles in use on a node, each once. */
export class Styles {
  readonly #byFraming = new Map<Framing, Map<string, Style>>()

  take(version: Version, framing: Framing, subscription: string | undefined, acks: boolean): Style {
    let known = this.#byFraming.get(framing)
    if (!known) this.#byFraming.set(framing, (known = new Map()))
    const key = keyOf(version, subscription, acks)
    let style = known.get(key)
    if (!style) known.set(key, (style = { version, framing, subscription, acks, users: 0 }))
    style.users++
    return style
  }

  release(style: Style): void {
    if (--style.users > 0) return
    this.#byFraming.get(style.framing)?.delete(keyOf(style.version, style.subscription, style.acks))
  }
}

const keyOf = (version: Version, subscription: string | undefined, acks: boolean): string =>
  `${version}${acks ? '+' : '-'}${subscription === undefined ? '' : `=${subscription}`}`
