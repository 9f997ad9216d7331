/** What a node knows of sessions between two looks at the database: who was here, and which have ended. */

import { sql } from 'kysely'
import { at, type Db } from '../database/database.ts'
import { followChanges, type AccessChange, type Following } from '../database/access-changes.ts'
import { Pace } from '../database/pace.ts'
import { fail } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { Signals } from '../ports/signals.ts'
import { CONNECTION_KEPT } from './sessions.ts'
import { ACCESS_FOR } from './tokens.ts'

/** How often it is written down who was here, ms. */
const BEAT = 30_000
/** On it nodes tell each other that rights were changed, once for all that change within so many ms. What, each looks for itself. */
const CHANNEL = 'access-changes'
const GATHERED = 50
/** Longer than a token holds, ms: after that its session need not be known to have ended. */
const REMEMBERED = ACCESS_FOR + 60_000

/** Rights that ended, as the whole product knows them. */
export type Change = Omit<AccessChange, 'id' | 'at'>

export interface WatchOptions {
  readonly db: Db
  /** By which other nodes are told to look: where they are not, they look a little later. */
  readonly signals: Pick<Signals, 'publish' | 'subscribe'>
  readonly logger: Logger
  /** Epoch ms. */
  readonly now: () => number
  /** Called for each change, as each session's end; without a user or a room where it may be anyone's. It returns at once. */
  readonly listener: (change: Change) => void
  /** ms */
  readonly beat?: number
  /** How often it is looked for what nobody told of, ms. */
  readonly every?: number
}

/** As one parameter, however many there are. */
const among = (ids: readonly string[]) => sql<boolean>`id = any(${ids}::text[])`

export class Watch {
  readonly #options: WatchOptions
  readonly #following: Following
  readonly #beating: Pace
  /** How to end being told by others. */
  readonly #listening: Promise<() => void>
  #telling: NodeJS.Timeout | undefined
  #begun = false
  /** When each was heard of, the first one first. */
  readonly #ended = new Map<string, number>()
  /** Devices that have been here since the last beat. */
  #seen = new Set<string>()
  /** Sessions of connections that are open on this node. */
  readonly #open = new Set<string>()
  /** The last beat, and since when there has been one in time again and again, epoch ms. */
  #beatAt = -Infinity
  #beatSince = Infinity
  readonly #leaving = new Set<Promise<unknown>>()

  constructor(options: WatchOptions) {
    this.#options = options
    const { db, signals, logger, now, every } = options
    // No token is as old as what can be missed, so no session need be known to have ended.
    const missed = (): void => this.#options.listener({ kind: 'user' })
    const following = { db, logger, now, missed, since: REMEMBERED, ...(every !== undefined && { every }) }
    this.#following = followChanges(following, change => this.#changed(change))
    this.#listening = signals.subscribe(CHANNEL, () => this.#following.hint())
    void this.#following.begun.then(() => {
      this.#begun = true
    })
    this.#beating = new Pace(options.beat ?? BEAT, logger, () => this.#beat())
  }

  /** Resolves when what had ended before the start is known. */
  get begun(): Promise<void> {
    return this.#following.begun
  }

  /** A device's token was used. Throws SESSION_ENDED; DATABASE_UNAVAILABLE where it is not known yet what has ended. */
  here(session: string): void {
    if (!this.#begun) throw fail('DATABASE_UNAVAILABLE')
    if (this.#ended.has(session)) throw fail('SESSION_ENDED')
    this.#seen.add(session)
  }

  /** A connection has begun a session of its own. Throws SESSION_ENDED where that has ended before. */
  opened(session: string): void {
    if (this.#ended.has(session)) throw fail('SESSION_ENDED')
    this.#open.add(session)
  }

  /** A connection has gone; where its session was its own that ends. */
  left(session: string): void {
    if (!this.#open.delete(session)) return
    const { db } = this.#options
    // Where the database is away the row ends by itself.
    const leaving = db
      .deleteFrom('sessions')
      .where('id', '=', session)
      .execute()
      .catch(() => undefined)
      .finally(() => this.#leaving.delete(leaving))
    this.#leaving.add(leaving)
  }

  /** These have ended, on this node at once. */
  ended(sessions: readonly string[]): void {
    for (const session of sessions) this.#end(session)
    this.hint()
  }

  /** Somebody has changed rights on this node: all look now. */
  hint(): void {
    this.#following.hint()
    this.#telling ??= setTimeout(() => {
      this.#telling = undefined
      this.#options.signals.publish(CHANNEL, null)
    }, GATHERED).unref()
  }

  async close(): Promise<void> {
    clearTimeout(this.#telling)
    const stop = await this.#listening
    stop()
    await this.#following.close()
    await this.#beating.close()
    await Promise.all(this.#leaving)
  }

  #changed(change: AccessChange): void {
    if (change.kind === 'session') this.#end(change.session!)
    else this.#options.listener(change)
  }

  #end(session: string): void {
    if (this.#ended.has(session)) return
    const now = this.#options.now()
    for (const [old, time] of this.#ended) {
      if (time > now - REMEMBERED) break
      this.#ended.delete(old)
    }
    this.#ended.set(session, now)
    this.#open.delete(session)
    this.#options.listener({ kind: 'session', session })
  }

  async #beat(): Promise<void> {
    const { db, now } = this.#options
    const time = now()
    if (time - this.#beatAt >= CONNECTION_KEPT) this.#beatSince = time
    // Where it fails it was none.
    this.#beatAt = -Infinity
    const seen = [...this.#seen]
    const open = [...this.#open]
    this.#seen = new Set()
    if (seen.length > 0) {
      await db
        .updateTable('sessions')
        .set({ last_seen_at: at(time) })
        .where(among(seen))
        .execute()
    }
    if (open.length > 0) {
      const kept = await db
        .updateTable('sessions')
        .set({ last_seen_at: at(time), expires_at: at(time + CONNECTION_KEPT) })
        .where(among(open))
        .returning('id')
        .execute()
      const there = new Set(kept.map(({ id }) => id))
      // Ended while the database was away.
      for (const session of open) if (!there.has(session) && this.#open.has(session)) this.#end(session)
    }
    // As long as other nodes may not have come to it yet, after an outage, their connections have only run out.
    const early = time - this.#beatSince < CONNECTION_KEPT
    await db
      .deleteFrom('sessions')
      .where('expires_at', '<', at(time))
      .$if(early, query => query.where('kind', '=', 'device'))
      .execute()
    this.#beatAt = time
  }
}
