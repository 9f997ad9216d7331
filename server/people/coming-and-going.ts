import { setImmediate as turn } from 'node:timers/promises'
import type { Db } from '../database/database.ts'
import type { Json } from '../ports/channels.ts'
import type { Logger } from '../ports/logger.ts'
import type { Transition } from '../ports/presence.ts'
import { newId } from '../database/ids.ts'
import { roomChannel, userChannel, type Signals } from '../ports/signals.ts'
import { estrangedFrom, friendsOfAll, markSeen, membersAmong, smallRoomsOf } from './sight.ts'

/** How many people one round of statements is about. */
const AT_ONCE = 50
/** How many rounds wait at most; what is beyond is not told. */
export const WAITING_MOST = 200
/** After so many news others have a turn. */
const TURN_AFTER = 100

export interface ComingAndGoingOptions {
  readonly db: Db
  readonly signals: Signals
  readonly logger: Logger
}

/** Tells friends and the members of small rooms who has come and gone, and writes down when those who went were last seen. */
export class ComingAndGoing {
  readonly #options: ComingAndGoingOptions
  /** What is under way: a node that dies with all its users is not to take every connection to the database. */
  #last: Promise<void> = Promise.resolve()
  #waiting = 0
  #published = 0

  constructor(options: ComingAndGoingOptions) {
    this.#options = options
  }

  /** Returns at once. What cannot be found out now is not told. */
  tell(transitions: readonly Transition[]): void {
    for (let from = 0; from < transitions.length; from += AT_ONCE) {
      if (this.#waiting >= WAITING_MOST) return
      this.#waiting++
      const some = transitions.slice(from, from + AT_ONCE)
      this.#last = this.#last
        .then(() => this.#tell(some))
        .catch((error: unknown) => this.#options.logger.debug({ err: error }, 'who came and went could not be told'))
        .finally(() => this.#waiting--)
    }
  }

  /** Resolves when all is told. */
  settled(): Promise<void> {
    return this.#last
  }

  async #publish(channel: string, event: Json): Promise<void> {
    this.#options.signals.publish(channel, event)
    if (++this.#published % TURN_AFTER === 0) await turn()
  }

  async #tell(transitions: readonly Transition[]): Promise<void> {
    const { db } = this.#options
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
    // Somebody may be blocked by any number of people: of those only who would hear of it is of interest.
    const near = Map.groupBy(
      await membersAmong(
        db,
        [...new Set(rooms.map(({ room }) => room))],
        [...new Set([...estranged.values()].flatMap(each => [...each]))],
      ),
      ({ room }) => room,
    )
    for (const [user, body] of bodies) {
      for (const friend of friends.get(user)!) await this.#publish(userChannel(friend), { type: 'presence', body })
    }
    for (const { room, user } of rooms) {
      const others = near.get(room)?.map(member => member.user) ?? []
      const except = others.filter(other => estranged.get(user)!.has(other))
      await this.#publish(roomChannel(room), {
        type: 'presence',
        id: newId(),
        time: Date.now(),
        contentType: 'application/json',
        body: JSON.stringify(bodies.get(user)),
        // Whoever reads a public room sees its members' messages, not when they are there.
        inside: true,
        ...(except.length > 0 && { except }),
      })
    }
  }
}
