import { randomBytes } from 'node:crypto'
import { fail } from '../../errors.ts'
import type { Claim, ClaimId, Claiming, Claims } from '../../ports/claims.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Logger } from '../../ports/logger.ts'
import type { Offset } from '../../ports/room-log.ts'
import { Link, type Ending } from './link.ts'
import { BEGIN, CLAIM, KNOW, REMEMBER, SETTLE } from './scripts.ts'
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
/** How many ids one script settles: Redis does nothing else meanwhile. */
const AT_ONCE = 500

type Reply =
  | readonly ['young', since: number, now: number]
  | readonly ['held', since: number, now: number, at: string, token: string]
  | readonly ['taken', since: number, now: number, ...offsets: string[]]

const AWAY = 'idempotency keys cannot be looked up'
const claimKey = (id: ClaimId): string => `hoofbeat:claim:${id}`
const knownKey = (room: string): string => `hoofbeat:known:${room}`

const scripts = { claim: CLAIM, settle: SETTLE, remember: REMEMBER, know: KNOW, begin: BEGIN }

/** A session with a Redis, and how far back that remembers. */
interface Memory extends Ending {
  readonly session: Session<keyof typeof scripts>
  /** The key under which this Redis keeps since when it remembers. Another run, or another primary, has another. */
  readonly sinceKey: string
  /** Its clock was ahead of ours by this when it was asked, ms. */
  readonly ahead: number
  /** Since when it has forgotten nothing, epoch ms, as it said at last. */
  since: number
}

const openMemory = async (url: string, answerWithin: number): Promise<Memory> => {
  const session = await Session.open({ url, answerWithin, scripts })
  // A replica that is made the primary goes on with what it has got, under another replication id.
  const sinceKey = `hoofbeat:since:${session.info.get('run_id')}:${session.info.get('master_replid')}`
  const [since, now] = (await session.run('begin', [sinceKey], [])) as [number, number]
  const { ended } = session
  return { session, ended, end: reason => session.end(reason), sinceKey, since, ahead: now - Date.now() }
}

class RedisClaims implements Claims {
  readonly #options: RedisClaimsOptions
  /** Of every token of ours, so that no two nodes have the same. */
  readonly #name = randomBytes(9).toString('base64url')
  readonly #link: Link<Memory>
  #tokens = 0

  constructor(options: RedisClaimsOptions) {
    const { url, timeout, logger } = options
    this.#options = options
    const answerWithin = Math.max(ANSWER_WITHIN.least, Math.min(ANSWER_WITHIN.most, timeout / 4))
    this.#link = new Link({
      open: () => openMemory(url, answerWithin),
      found: memory => this.#found(memory),
      lost: ({ message }) =>
        logger.warn({ reason: message }, 'Redis does not answer: what is sent with an idempotency key waits'),
    })
  }

  get since(): number | undefined {
    return this.#link.session?.since
  }

  async claim(room: string, ids: readonly ClaimId[], lost: readonly string[] = []): Promise<Claiming> {
    const { window } = this.#options
    // A try whose answer was lost may have claimed them, or may do so yet: what it claims nobody will write.
    const tries = [...lost]
    return this.#patiently(async memory => {
      const token = `${this.#name}.${++this.#tokens}`
      const keys = [memory.sinceKey, knownKey(room), ...ids.map(claimKey)]
      const args = [token, String(window), String(this.#young), ...tries]
      tries.push(token)
      const reply = (await memory.session.run('claim', keys, args)) as Reply
      const [kind, since, now] = reply
      memory.since = since
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
    await this.#patiently(({ session }) => session.run('settle', keys, [token, ...offsets]))
  }

  async remember(written: ReadonlyMap<ClaimId, { readonly offset: Offset; readonly time: number }>): Promise<void> {
    const all = [...written]
    for (let from = 0; from < all.length; from += AT_ONCE) {
      const some = all.slice(from, from + AT_ONCE)
      const args = some.flatMap(([, { offset, time }]) => [String(offset), String(time)])
      const keys = some.map(([id]) => claimKey(id))
      await this.#patiently(({ session }) => session.run('remember', keys, [String(this.#options.window), ...args]))
    }
  }

  async known(room: string, since: number): Promise<void> {
    await this.#patiently(({ session, sinceKey }) =>
      session.run('know', [sinceKey, knownKey(room)], [String(since), String(this.#young)]),
    )
  }

  async check(timeout: number): Promise<void> {
    await this.#by(performance.now() + timeout)
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  /** As long as Redis remembers for less than this, it may have forgotten what counts. */
  get #young(): number {
    return this.#options.window + SKEW
  }

  #found({ session, ahead }: Memory): void {
    const { logger } = this.#options
    const policy = session.info.get('maxmemory_policy')
    logger.info({}, 'Redis answers: idempotency keys hold on all nodes')
    if (policy !== 'noeviction') logger.warn({ policy }, 'this Redis may forget idempotency keys: it needs noeviction')
    if (Math.abs(ahead) > AHEAD) logger.warn({ ahead }, 'the clocks of Redis and of this node differ, ms')
  }

  /** Tries until it works, on one session after the other; rejects with LOG_UNAVAILABLE after a while. */
  async #patiently<T>(work: (memory: Memory) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#options.timeout
    for (;;) {
      const memory = this.#link.session ?? (await this.#by(deadline))
      try {
        return await work(memory)
      } catch (cause) {
        // What was asked may have been done; it is asked again in a way that bears it.
        this.#link.over(memory)
        if (performance.now() > deadline) throw fail('LOG_UNAVAILABLE', AWAY, { cause })
      }
    }
  }

  async #by(deadline: number): Promise<Memory> {
    const memory = await this.#link.by(deadline)
    if (!memory) throw fail('LOG_UNAVAILABLE', this.#link.closed ? 'this node is closing' : AWAY)
    return memory
  }
}

/** Claims in a Redis that all nodes share. One that is away is waited for, by each call on its own. */
export const openRedisClaims = (options: RedisClaimsOptions): Driver<Claims> => {
  const claims = new RedisClaims(options)
  return { port: claims, check: timeout => claims.check(timeout), close: () => claims.close() }
}
