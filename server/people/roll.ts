import { Pace } from '../database/pace.ts'
import { HoofbeatError } from '../errors.ts'
import type { Identity } from '../ports/access.ts'
import type { Logger } from '../ports/logger.ts'
import { PRESENCE_AT_ONCE, type Attendance, type Client, type Presence, type Transition } from '../ports/presence.ts'

/** How long somebody counts as there after a connection has gone, ms: a page that is loaded again is back by then. */
const GRACE = 5_000
/** How often it is looked for who has gone, and tried again what failed, ms. */
const EVERY = 1_000
/** Of the rooms of a connection so many are listed. */
const ROOMS_LISTED = 100
/** How many of those who go while nobody can be told are remembered. */
const OWED_MOST = 10_000

export interface RollOptions {
  readonly presence: Presence
  /** What this node is called in lists. */
  readonly node: string
  /** After so long without a touch a connection counts as gone, ms. */
  readonly ttl: number
  /** Called with whoever came and went, also on a node that has died; it returns at once. */
  readonly changed: (transitions: readonly Transition[]) => void
  readonly logger: Logger
  readonly every?: number
  readonly grace?: number
}

interface Here {
  readonly client: Omit<Client, 'rooms'>
  readonly rooms: () => Iterable<string>
  /** It has been touched. */
  told: boolean
}

/** Keeps the list of all connections up to date with those of this node, for as long as each is there. */
export class Roll implements Attendance {
  readonly #options: RollOptions
  readonly #grace: number
  readonly #every: number
  readonly #here = new Map<string, Here>()
  /** Those of `#here` that have not been touched yet. */
  #arrived = new Set<Here>()
  /** Those that have gone since the last round; `ended`: with their session. */
  #left: { readonly here: Here; readonly ended: boolean }[] = []
  /** Those that went when nobody could be told: they are touched once more, and what nobody touches any more goes by itself. */
  #owed: Here[] = []
  #behind = false
  #touchedAt = -Infinity
  #sweptAt = -Infinity
  readonly #pace: Pace

  constructor(options: RollOptions) {
    this.#options = options
    this.#grace = options.grace ?? GRACE
    this.#every = Math.min(options.every ?? EVERY, options.ttl / 4)
    this.#pace = new Pace(this.#every, options.logger, () => this.#round())
  }

  arrived(connection: string, who: Identity, at: { readonly address: string; rooms(): Iterable<string> }): void {
    const { user, session: device = '' } = who
    const client = { connection, user, device, node: this.#options.node, address: at.address, since: Date.now() }
    const here = { client, rooms: () => at.rooms(), told: false }
    this.#here.set(connection, here)
    this.#arrived.add(here)
    this.#pace.hint()
  }

  left(connection: string, ended: boolean): void {
    const here = this.#here.get(connection)
    if (!here) return
    this.#here.delete(connection)
    // Nobody has been told of those that were not there for a whole round.
    if (this.#arrived.delete(here)) return
    this.#left.push({ here, ended })
    this.#pace.hint()
  }

  /** Resolves when those who have left are told of, if that can be done. */
  async close(): Promise<void> {
    await this.#pace.close()
    await this.#round()
  }

  async #round(): Promise<void> {
    const left = new Set(this.#left)
    this.#left = []
    try {
      await this.#touch()
      for (const ended of [true, false]) {
        for (const part of inParts([...left].filter(each => each.ended === ended))) {
          const clients = part.map(({ here }) => here.client)
          this.#tell(await this.#options.presence.off(clients, ended ? 0 : this.#grace))
          for (const each of part) left.delete(each)
        }
      }
      await this.#sweep()
    } catch (error) {
      this.#behind = true
      const owed = Array.from(left, ({ here }) => here).filter(({ told }) => told)
      this.#owed = [...this.#owed, ...owed].slice(0, OWED_MOST)
      // That it cannot be reached is logged where that is found out.
      if (!(error instanceof HoofbeatError)) throw error
    }
  }

  /** Touches whom it is time for. */
  async #touch(): Promise<void> {
    const all = this.#behind || performance.now() - this.#touchedAt >= this.#options.ttl / 3
    const here = all ? [...this.#here.values(), ...this.#owed] : [...this.#arrived]
    this.#arrived = new Set()
    if (all) this.#touchedAt = performance.now()
    for (const part of inParts(here)) {
      this.#tell(await this.#options.presence.touch(part.map(clientOf)))
      for (const each of part) each.told = true
    }
    if (!all) return
    this.#owed = []
    this.#behind = false
  }

  async #sweep(): Promise<void> {
    const now = performance.now()
    if (now - this.#sweptAt < this.#every) return
    this.#sweptAt = now
    this.#tell(await this.#options.presence.sweep())
  }

  #tell(transitions: readonly Transition[]): void {
    if (transitions.length > 0) this.#options.changed(transitions)
  }
}

const clientOf = ({ client, rooms }: Here): Client => ({ ...client, rooms: [...rooms()].slice(0, ROOMS_LISTED) })

function* inParts<T>(all: readonly T[]): Generator<T[]> {
  for (let from = 0; from < all.length; from += PRESENCE_AT_ONCE) yield all.slice(from, from + PRESENCE_AT_ONCE)
}
