import { setTimeout as delay } from 'node:timers/promises'
import { fail } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import { migrate } from './migrate.ts'
import type { Answer, Client, Pool } from './pool.ts'
import { isAway, reason, translate } from './trouble.ts'

/** Between two tries to reach a database that is away, ms. */
const PAUSE = 500
/** How long the answer to such a try may take, ms. */
const ANSWER_WITHIN = 2_000
/** An answer this young, ms, says that the database is there. */
const YOUNG = 1_000

/** A connection whose errors are those that the rest of the server knows. */
class WatchedClient implements Client {
  readonly #client: Client
  readonly #pool: WatchedPool
  #broken = false

  constructor(client: Client, pool: WatchedPool) {
    this.#client = client
    this.#pool = pool
  }

  async query(text: string, parameters?: readonly unknown[]): Promise<Answer> {
    // What was asked before may still be under way: nothing can be said on it any more.
    if (this.#broken) throw fail('DATABASE_UNAVAILABLE')
    try {
      const answer = await this.#client.query(text, parameters)
      this.#pool.answered()
      return answer
    } catch (error) {
      this.#broken ||= isAway(error)
      throw this.#pool.failed(error)
    }
  }

  release(broken = false): void {
    this.#client.release(broken || this.#broken)
  }
}

/**
 * A pool that knows whether its database is there. While it is away, or not yet migrated, connections are refused at once,
 * and one try after the other is made to reach it; it is logged when that changes.
 */
export class WatchedPool {
  /** For Kysely, which wants to see some. */
  readonly options = {}
  readonly #pool: Pool
  readonly #logger: Logger
  readonly #closing = new AbortController()
  #migrated = false
  /** Why connections are refused. */
  #away: Error | undefined
  #reason = ''
  /** Finding out whether it is there. */
  #trying: Promise<void> | undefined
  #answeredAt = -Infinity
  #ended: Promise<void> | undefined

  constructor(pool: Pool, logger: Logger) {
    this.#pool = pool
    this.#logger = logger
  }

  /** Migrates. Where the database is away that is said and done later; rejects where the migrations themselves fail. */
  async open(): Promise<void> {
    try {
      await this.#reach()
    } catch (error) {
      if (!isAway(error)) throw error
      this.#lost(error)
      this.#try()
    }
  }

  async connect(): Promise<Client> {
    if (this.#away !== undefined) throw fail('DATABASE_UNAVAILABLE', undefined, { cause: this.#away })
    try {
      return new WatchedClient(await this.#pool.connect(), this)
    } catch (error) {
      throw this.failed(error)
    }
  }

  /** Rejects where it does not answer within `timeout` ms. */
  async check(timeout: number): Promise<void> {
    if (this.#away !== undefined) throw this.#away
    if (this.#ended) throw new Error('the database is closed')
    if (performance.now() - this.#answeredAt < YOUNG) return
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(() => reject(new Error(`${this.#pool.name}: no answer in ${timeout} ms`)), timeout)
    try {
      await Promise.race([this.#ask(), late])
    } finally {
      clearTimeout(timer)
    }
  }

  end(): Promise<void> {
    this.#closing.abort()
    return (this.#ended ??= Promise.resolve(this.#trying).then(() => this.#pool.end()))
  }

  answered(): void {
    this.#answeredAt = performance.now()
  }

  /** `error` as the rest of the server is to see it. Where it may mean that the database is away, that is looked into. */
  failed(error: unknown): unknown {
    if (isAway(error)) this.#try()
    return translate(error)
  }

  async #ask(): Promise<void> {
    const client = await this.connect()
    try {
      await client.query('select 1')
    } finally {
      client.release()
    }
  }

  /** One try, on a connection of its own: those of the pool may all be taken, or broken without knowing it. */
  async #reach(): Promise<void> {
    const client = await this.#pool.connectAlone(this.#migrated ? ANSWER_WITHIN : undefined)
    try {
      if (this.#migrated) return void (await client.query('select 1'))
      const done = await migrate(client)
      this.#migrated = true
      if (done > 0) this.#logger.info({ database: this.#pool.name, migrations: done }, 'the database was migrated')
    } finally {
      client.release()
    }
  }

  #try(): void {
    this.#trying ??= this.#keepTrying().finally(() => {
      this.#trying = undefined
    })
  }

  async #keepTrying(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        await this.#reach()
        return this.#found()
      } catch (error) {
        this.#lost(error)
      }
      await delay(PAUSE, undefined, { signal }).catch(() => undefined)
    }
  }

  #lost(error: unknown): void {
    const { name, advice } = this.#pool
    const fields = { database: name, reason: reason(error) }
    if (this.#away === undefined) {
      this.#logger.error(fields, `the database is away: ${advice}; what needs it is refused until it answers`)
    } else if (this.#reason !== fields.reason) {
      this.#logger.info(fields, 'the database is still away, for another reason')
    }
    this.#away = new Error(`${name}: ${fields.reason}`, { cause: error })
    this.#reason = fields.reason
  }

  #found(): void {
    if (this.#away === undefined) return
    this.#away = undefined
    this.#logger.info({ database: this.#pool.name }, 'the database answers')
  }
}
