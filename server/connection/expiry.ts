import { Deadline } from './deadline.ts'

/** How long before the end the notice comes, ms. */
const NOTICE_MS = 30_000

/** The end of a login, and the notice before it. */
export class Expiry {
  readonly #end = new Deadline()
  readonly #notice = new Deadline()
  readonly #onNotice: (expires: number) => void
  readonly #onEnd: () => void
  /** Epoch ms; undefined: never. */
  #expires: number | undefined

  constructor(onNotice: (expires: number) => void, onEnd: () => void) {
    this.#onNotice = onNotice
    this.#onEnd = onEnd
  }

  /** The login ends at `expires`, epoch ms (undefined: never), and not when it was to end before. */
  set(expires: number | undefined): void {
    this.clear()
    this.#expires = expires
    if (expires !== undefined) this.#end.set(expires, this.#onEnd)
    this.remind()
  }

  /** Gives notice when it is time, at once where that has passed. */
  remind(): void {
    const expires = this.#expires
    if (expires !== undefined) this.#notice.set(expires - NOTICE_MS, () => this.#onNotice(expires))
  }

  /** A timer may be late; this looks at the clock. */
  check(): void {
    if (this.#expires !== undefined && Date.now() >= this.#expires) this.#onEnd()
  }

  clear(): void {
    this.#expires = undefined
    this.#end.clear()
    this.#notice.clear()
  }
}
