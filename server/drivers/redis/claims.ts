import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { fail } from '../../errors.ts'
import type { Claim, ClaimId, Claiming, Claims } from '../../ports/claims.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Logger } from '../../ports/logger.ts'
import type { Offset } from '../../ports/room-log.ts'
import { Session } from './session.ts'

export interface RedisClaimsOptions {
  /** redis:// or, with TLS, rediss://; with user, password and database where they are needed. */
  readonly url: string
  /** How long a claim is remembered, ms. */
  readonly window: number
  /** How long Redis may be away before a call is rejected, ms. */
  readonly timeout: number
  readonly logger: Logger
}

/** ms; so far a primary's clock may be from that of the one before it. */
const SKEW = 1_000
/** ms; with more than this between its clock and ours, writes that it times may be refused as too old. */
const AHEAD = 2_000
const ANSWER_WITHIN = { least: 250, most: 2_000 }
const PAUSE = { first: 20, most: 500 }
/** How many ids one script settles: Redis does nothing else meanwhile. */
const AT_ONCE = 500

type Reply =
  | readonly ['young', since: number, now: number]
  | readonly ['held', since: number, now: number, at: string, token: string]
  | readonly ['taken', since: number, now: number, ...offsets: string[]]

const AWAY = 'idempotency keys cannot be looked up'
const claimKey = (id: ClaimId): string => `hoofbeat:claim:${id}`
const knownKey = (room: string): string => `hoofbeat:known:${room}`

class RedisClaims implements Claims {
  readonly #options: RedisClaimsOptions
  readonly #answerWithin: number
  /** Of every token of ours, so that no two nodes have the same. */
  readonly #name = randomBytes(9).toString('base64url')
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  #tokens = 0
  #session: Session | undefined
  #opened = Promise.withResolvers<void>()

  constructor(options: RedisClaimsOptions) {
    this.#options = options
    this.#answerWithin = Math.max(ANSWER_WITHIN.least, Math.min(ANSWER_WITHIN.most, options.timeout / 4))
    this.#running = this.#run()
  }

  get since(): number | undefined {
    return this.#session?.since
  }

  async claim(room: string, ids: readonly ClaimId[], lost: readonly string[] = []): Promise<Claiming> {
    const { window } = this.#options
    // A try whose answer was lost may have claimed them, or may do so yet: what it claims nobody will write.
    const tries = [...lost]
    return this.#patiently(async session => {
      const token = `${this.#name}.${++this.#tokens}`
      const keys = [session.sinceKey, knownKey(room), ...ids.map(claimKey)]
      const args = [token, String(window), String(this.#young), ...tries]
      tries.push(token)
      const reply = (await session.run('claim', keys, args)) as Reply
      const [kind, since, now] = reply
      session.since = since
      if (kind === 'young') return { kind, since, age: now - since }
      if (kind === 'held') {
        const at = Number(reply[3])
        return { kind, by: { at, token: reply[4] }, age: now - at }
      }
      const settled = new Map<ClaimId, Offset>()
      for (const [index, id] of ids.entries()) {
        const offset = reply[index + 3]
        if (offset) settled.set(id, BigInt(offset))
      }
      return { kind, claim: { token, at: now }, settled }
    })
  }

  async settle({ token }: Claim, outcomes: ReadonlyMap<ClaimId, Offset | undefined>): Promise<void> {
    const keys = Array.from(outcomes.keys(), claimKey)
    const offsets = Array.from(outcomes.values(), offset => (offset === undefined ? '' : String(offset)))
    await this.#patiently(session => session.run('settle', keys, [token, ...offsets]))
  }

  async remember(written: ReadonlyMap<ClaimId, { readonly offset: Offset; readonly time: number }>): Promise<void> {
    const all = [...written]
    for (let from = 0; from < all.length; from += AT_ONCE) {
      const some = all.slice(from, from + AT_ONCE)
      const args = some.flatMap(([, { offset, time }]) => [String(offset), String(time)])
      const keys = some.map(([id]) => claimKey(id))
      await this.#patiently(session => session.run('remember', keys, [String(this.#options.window), ...args]))
    }
  }

  async known(room: string, since: number): Promise<void> {
    await this.#patiently(session =>
      session.run('know', [session.sinceKey, knownKey(room)], [String(since), String(this.#young)]),
    )
  }

  async check(timeout: number): Promise<void> {
    await this.#found(performance.now() + timeout)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#session?.end(new Error('closed'))
    await this.#running
  }

  /** As long as Redis remembers for less than this, it may have forgotten what counts. */
  get #young(): number {
    return this.#options.window + SKEW
  }

  /** Keeps a session open. */
  async #run(): Promise<void> {
    const { signal } = this.#closing
    for (let tries = 0; !signal.aborted; tries++) {
      const session = await Session.open({ url: this.#options.url, answerWithin: this.#answerWithin }).catch(
        (error: Error) => {
          if (tries === 0) this.#lost(error)
        },
      )
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
  async #use(session: Session): Promise<number> {
    const { logger } = this.#options
    const { policy, ahead } = session
    logger.info({}, 'Redis answers: idempotency keys hold on all nodes')
    if (policy !== 'noeviction') logger.warn({ policy }, 'this Redis may forget idempotency keys: it needs noeviction')
    if (Math.abs(ahead) > AHEAD) logger.warn({ ahead }, 'the clocks of Redis and of this node differ, ms')
    this.#session = session
    this.#opened.resolve()
    const reason = await session.ended
    this.#over(session)
    this.#lost(reason)
    return 0
  }

  #over(session: Session): void {
    if (this.#session !== session) return
    this.#session = undefined
    this.#opened = Promise.withResolvers()
  }

  #lost({ message }: Error): void {
    if (this.#closing.signal.aborted) return
    this.#options.logger.warn({ reason: message }, 'Redis does not answer: what is sent with an idempotency key waits')
  }

  /** Tries until it works, on one session after the other; rejects with LOG_UNAVAILABLE after a while. */
  async #patiently<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#options.timeout
    for (;;) {
      const session = this.#session ?? (await this.#found(deadline))
      try {
        return await work(session)
      } catch (cause) {
        // What was asked may have been done; it is asked again in a way that bears it.
        this.#over(session)
        if (performance.now() > deadline) throw fail('LOG_UNAVAILABLE', AWAY, { cause })
      }
    }
  }

  async #found(deadline: number): Promise<Session> {
    const waiting = new AbortController()
    const left = deadline - performance.now()
    const late = delay(Math.max(0, left), undefined, { signal: waiting.signal }).catch(() => undefined)
    while (!this.#session && !this.#closing.signal.aborted && performance.now() < deadline) {
      await Promise.race([this.#opened.promise, late])
    }
    waiting.abort()
    if (this.#closing.signal.aborted) throw fail('LOG_UNAVAILABLE', 'this node is closing')
    if (!this.#session) throw fail('LOG_UNAVAILABLE', AWAY)
    return this.#session
  }
}

/** Claims in a Redis that all nodes share. One that is away is waited for, by each call on its own. */
export const openRedisClaims = (options: RedisClaimsOptions): Driver<Claims> => {
  const claims = new RedisClaims(options)
  return { port: claims, check: timeout => claims.check(timeout), close: () => claims.close() }
}
