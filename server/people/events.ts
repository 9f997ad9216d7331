import type { Db } from '../database/database.ts'
import type { Identity } from '../ports/access.ts'
import type { UserEvents } from '../ports/events.ts'
import type { Logger } from '../ports/logger.ts'
import { PRESENCE_AT_ONCE, type Presence } from '../ports/presence.ts'
import { userChannel, type Signals, type UserEvent } from '../ports/signals.ts'
import { friendsOfAll } from './sight.ts'

/** How many events wait until what holds now is known; what is beyond is lost. */
const WAITING_MOST = 1_000

export interface EventsOptions {
  readonly db: Db
  readonly presence: Presence
  readonly signals: Signals
  readonly logger: Logger
}

/** Who of `users` is there, and up to which `at` that tells everything. */
export const onlineOf = async (
  presence: Presence,
  users: readonly string[],
): Promise<{ at: number; online: Set<string> }> => {
  const parts = []
  let from = 0
  do {
    parts.push(await presence.of(users.slice(from, from + PRESENCE_AT_ONCE)))
    from += PRESENCE_AT_ONCE
  } while (from < users.length)
  return { at: parts[0]!.at, online: new Set(parts.flatMap(({ online }) => [...online])) }
}

/** What concerns people: first which friends are there, then what is published for them. */
export const userEvents = (options: EventsOptions): UserEvents => ({
  async subscribe({ user }: Identity, tell) {
    const waiting: UserEvent[] = []
    let begun = false
    let ended = false
    const leave = await options.signals.subscribe(userChannel(user), event => {
      if (begun) tell(event as UserEvent)
      else if (waiting.length < WAITING_MOST) waiting.push(event as UserEvent)
    })
    const now = await presenceNow(options, user)
    setImmediate(() => {
      if (ended) return
      begun = true
      for (const event of [now, ...waiting]) tell(event)
    })
    return () => {
      ended = true
      leave()
    }
  },
})

const presenceNow = async ({ db, presence, logger }: EventsOptions, user: string): Promise<UserEvent> => {
  try {
    const friends = await friendsOfAll(db, [user])
    const { at, online } = await onlineOf(presence, friends.get(user)!)
    return { type: 'presence', body: { known: true, at, online: [...online] } }
  } catch (error) {
    logger.debug({ err: error }, 'which friends are there could not be told')
    return { type: 'presence', body: { known: false, at: 0, online: [] } }
  }
}

/** Tells two who have become friends whether the other one is there. What cannot be found out now is not told. */
export const introduce = async (
  { presence, signals, logger }: EventsOptions,
  one: string,
  other: string,
): Promise<void> => {
  try {
    const { at, online } = await presence.of([one, other])
    for (const [user, friend] of [
      [one, other],
      [other, one],
    ] as const) {
      const body = { user: friend, online: online.has(friend), at }
      signals.publish(userChannel(user), { type: 'presence', body })
    }
  } catch (error) {
    logger.debug({ err: error }, 'whether new friends are there could not be told')
  }
}
