import { setTimeout as delay } from 'node:timers/promises'

const PAUSE = { first: 20, most: 500 }

/** Something that is there until it ends, such as a Session. */
export interface Ending {
  /** Resolves with the reason when it is over. */
  readonly ended: Promise<Error>
  end(reason: Error): void
}

export interface LinkOptions<S> {
  /** Resolves with a new one, or rejects with what is in the way. */
  readonly open: () => Promise<S>
  /** Called with each that was opened, before anybody is given it. */
  readonly found: (session: S) => void
  /** Called when the last one is over, or none can be had at the start: once, until one is found again. */
  readonly lost: (reason: Error) => void
}

/** Keeps one session after the other open, until it is closed. */
export class Link<S extends Ending> {
  readonly #options: LinkOptions<S>
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #session: S | undefined
  #opened = Promise.withResolvers<void>()

  constructor(options: LinkOptions<S>) {
    this.#options = options
    this.#running = this.#run()
  }

  /** The one that there is now. */
  get session(): S | undefined {
    return this.#session
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }

  /** The session that there is, or comes before `deadline` (as `performance.now` has it); undefined: none. */
  async by(deadline: number): Promise<S | undefined> {
    const waiting = new AbortController()
    const left = deadline - performance.now()
    const late = delay(Math.max(0, left), undefined, { signal: waiting.signal }).catch(() => undefined)
    while (!this.#session && !this.closed && performance.now() < deadline) {
      await Promise.race([this.#opened.promise, late])
    }
    waiting.abort()
    return this.closed ? undefined : this.#session
  }

  /** It did not do: nobody is given this one any more. */
  over(session: S): void {
    if (this.#session !== session) return
    this.#session = undefined
    this.#opened = Promise.withResolvers()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#session?.end(new Error('closed'))
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    for (let tries = 0; !signal.aborted; tries++) {
      const session = await this.#options.open().catch((error: Error) => {
        if (tries === 0) this.#lost(error)
      })
      if (session && !signal.aborted) {
        tries = await this.#use(session)
      } else {
        session?.end(new Error('closed'))
        const pause = Math.min(PAUSE.most, PAUSE.first * 2 ** tries)
        await delay(pause, undefined, { signal }).catch(() => undefined)
      }
    }
    this.#opened.resolve()
  }

  /** Lets everybody use a session as long as it lasts. Resolves with the number of tries in vain before the next one. */
  async #use(session: S): Promise<number> {
    this.#options.found(session)
    this.#session = session
    this.#opened.resolve()
    const reason = await session.ended
    this.over(session)
    this.#lost(reason)
    return 0
  }

  #lost(reason: Error): void {
    if (!this.closed) this.#options.lost(reason)
  }
}
