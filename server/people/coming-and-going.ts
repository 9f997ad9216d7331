import type { Db } from '../database/database.ts'
import type { Logger } from '../ports/logger.ts'
import type { Transition } from '../ports/presence.ts'
import { newId } from '../database/ids.ts'
import { roomChannel, userChannel, type Signals } from '../ports/signals.ts'
import { estrangedFrom, friendsOfAll, markSeen, smallRoomsOf } from './sight.ts'

/** How many people one round of statements is about. */
const AT_ONCE = 100

export interface ComingAndGoingOptions {
  readonly db: Db
  readonly signals: Signals
  readonly logger: Logger
}

/** Tells friends and the members of small rooms who has come and gone, and writes down when those who went were last seen. */
export class ComingAndGoing {
  readonly #options: ComingAndGoingOptions
  readonly #underWay = new Set<Promise<void>>()

  constructor(options: ComingAndGoingOptions) {
    this.#options = options
  }

  /** Returns at once. What cannot be found out now is not told. */
  tell(transitions: readonly Transition[]): void {
    for (let from = 0; from < transitions.length; from += AT_ONCE) {
      const telling = this.#tell(transitions.slice(from, from + AT_ONCE)).catch((error: unknown) => {
        this.#options.logger.debug({ err: error }, 'who came and went could not be told')
      })
      this.#underWay.add(telling)
      void telling.then(() => this.#underWay.delete(telling))
    }
  }

  /** Resolves when all is told. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  async #tell(transitions: readonly Transition[]): Promise<void> {
    const { db, signals } = this.#options
    const bodies = new Map(transitions.map(({ user, online, at }) => [user, { user, online, at }]))
    const users = [...bodies.keys()]
    const gone = transitions.filter(({ online }) => !online).map(({ user }) => user)
    const [friends, rooms, estranged] = await Promise.all([
      friendsOfAll(db, users),
      smallRoomsOf(db, users),
      estrangedFrom(db, users),
      // Whoever asks when they are told finds it.
      gone.length > 0 && markSeen(db, gone),
    ])
    for (const [user, body] of bodies) {
      for (const friend of friends.get(user)!) signals.publish(userChannel(friend), { type: 'presence', body })
    }
    for (const { room, user } of rooms) {
      const except = estranged.get(user)!
      signals.publish(roomChannel(room), {
        type: 'presence',
        id: newId(),
        time: Date.now(),
        contentType: 'application/json',
        body: JSON.stringify(bodies.get(user)),
        ...(except.length > 0 && { except }),
      })
    }
  }
}
