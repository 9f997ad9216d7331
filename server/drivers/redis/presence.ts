import { randomBytes } from 'node:crypto'
import { fail } from '../../errors.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Logger } from '../../ports/logger.ts'
import type { Client, Presence, Transition } from '../../ports/presence.ts'
import { Link } from './link.ts'
import { PRESENCE, PRESENCE_KEYS } from './presence-script.ts'
import { Session } from './session.ts'

export interface RedisPresenceOptions {
  /** redis:// or, with TLS, rediss://; with user, password and database where they are needed. */
  readonly url: string
  /** After so long without a touch a connection counts as gone, ms. */
  readonly ttl: number
  readonly logger: Logger
}

const ANSWER_WITHIN = 2_000
/** How many connections one sweep lets go of, of each kind: Redis does nothing else meanwhile. */
const SWEPT_AT_ONCE = 500

type Reply = readonly [life: string, at: string, ...rest: (string | number)[]]
type Gone = Pick<Client, 'connection' | 'user'>

const scripts = { presence: PRESENCE }

/** Who is there, on all nodes of one Redis. */
class RedisPresence implements Presence {
  readonly #ttl: number
  readonly #link: Link<Session<'presence'>>
  /** In which life of Redis each connection was touched last. */
  readonly #touched = new Map<string, string>()
  /** In which life anything was touched last. */
  #life: string | undefined
  /** Since when this Redis could be reached without a break. */
  #since = Infinity

  constructor({ url, ttl, logger }: RedisPresenceOptions) {
    this.#ttl = ttl
    this.#link = new Link({
      open: () => Session.open({ url, answerWithin: ANSWER_WITHIN, scripts }),
      found: () => {
        this.#since = performance.now()
        logger.info({}, 'Redis answers: who is there is known')
      },
      lost: ({ message }) => logger.warn({ reason: message }, 'Redis does not answer: who comes and goes is not told'),
    })
  }

  async touch(clients: readonly Client[]): Promise<readonly Transition[]> {
    const args = clients.flatMap(client => {
      const { user, connection } = client
      return [user, connection, this.#touched.get(connection) ?? '', JSON.stringify(client)]
    })
    const reply = await this.#ask('touch', String(this.#ttl), ...args)
    const [life] = reply
    this.#life = life
    for (const { connection } of clients) this.#touched.set(connection, life)
    return transitionsOf(reply)
  }

  async off(clients: readonly Gone[], after: number): Promise<readonly Transition[]> {
    for (const { connection } of clients) this.#touched.delete(connection)
    const args = clients.flatMap(({ user, connection }) => [user, connection])
    return transitionsOf(await this.#ask('off', String(after), ...args))
  }

  async sweep(): Promise<readonly Transition[]> {
    // As long as nobody could touch anything, or the others may not have come to it yet, nothing that is old has gone.
    const dead = performance.now() - this.#since >= this.#ttl
    const reply = await this.#ask('sweep', String(SWEPT_AT_ONCE), dead ? '1' : '0')
    if (this.#life !== undefined && reply[0] !== this.#life) {
      throw fail('PRESENCE_UNAVAILABLE', 'all who were there have been forgotten')
    }
    return transitionsOf(reply)
  }

  async of(users: readonly string[]): Promise<{ at: number; online: ReadonlySet<string> }> {
    const [, at, ...flags] = await this.#ask('of', ...users)
    return { at: Number(at), online: new Set(users.filter((_, i) => flags[i] === 1)) }
  }

  async list(after: Gone | undefined, limit: number): Promise<readonly Client[]> {
    const from = after ? `${after.user}\0${after.connection}` : ''
    const [, , ...texts] = await this.#ask('list', from, String(limit))
    return texts.map(text => JSON.parse(String(text)) as Client)
  }

  async check(timeout: number): Promise<void> {
    if (!(await this.#link.by(performance.now() + timeout))) throw fail('PRESENCE_UNAVAILABLE')
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  async #ask(act: string, ...args: string[]): Promise<Reply> {
    const { session } = this.#link
    if (!session) throw fail('PRESENCE_UNAVAILABLE')
    try {
      const life = randomBytes(9).toString('base64url')
      return (await session.run('presence', PRESENCE_KEYS, [act, life, ...args])) as Reply
    } catch (cause) {
      this.#link.over(session)
      throw fail('PRESENCE_UNAVAILABLE', undefined, { cause })
    }
  }
}

const transitionsOf = ([, at, ...rest]: Reply): Transition[] => {
  const transitions: Transition[] = []
  for (let i = 0; i < rest.length; i += 2) {
    transitions.push({ user: String(rest[i]), online: rest[i + 1] === 1, at: Number(at) })
  }
  return transitions
}

/** Who is there, in a Redis that all nodes share. One that is away is not waited for. */
export const openRedisPresence = (options: RedisPresenceOptions): Driver<Presence> => {
  const presence = new RedisPresence(options)
  return { port: presence, check: timeout => presence.check(timeout), close: () => presence.close() }
}
