import { hash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { fail } from '../server/errors.ts'
import type { Claim, ClaimId, Claiming, Claims } from '../server/ports/claims.ts'
import type { Logger } from '../server/ports/logger.ts'
import type { NewRecord, Offset, Position, RoomId } from '../server/ports/room-log.ts'
import type { Cluster } from './cluster.ts'
import type { Fence } from './fence.ts'
import type { Home, Homes } from './homes.ts'
import type { Reader } from './reader.ts'

export interface KeysOptions {
  readonly claims: Claims
  /** How long a key is known, ms. */
  readonly window: number
  /** ms: the brokers refuse what is older. */
  readonly logTimeout: number
  /** How far clocks may differ, ms: the brokers' from each other, and that of the claims from what it was before. */
  readonly skew: number
  readonly logger: Logger
}

/** The keys of one append are claimed, or written already: nobody else writes what is `mine`. */
export interface Grant {
  readonly home: Home
  readonly claim: Claim
  /** Of each record, where it has a key. */
  readonly ids: readonly (ClaimId | undefined)[]
  readonly mine: readonly ClaimId[]
  readonly settled: ReadonlyMap<ClaimId, Offset>
  /** When it was made, as `performance.now()` tells time. */
  readonly made: number
}

/** A grant that nobody has been told the outcome of. */
interface Open {
  /** The turn of the call that has it. */
  readonly turn: number
  readonly told: PromiseWithResolvers<void>
  state: 'waiting' | 'writing' | 'revoked'
}
type Held = Extract<Claiming, { kind: 'held' }>
/** Whose keys are to be claimed. */
export interface Claimant {
  readonly room: RoomId
  readonly records: readonly NewRecord[]
  /** The later calls of this node have the higher turns. */
  readonly turn: number
  /** Until when it may take, as `performance.now()` tells time. */
  readonly deadline: number
}

/** ms between looks at somebody else's claim. */
const LOOK = { first: 10, most: 200 }

const claimId = (life: string, sender: string, key: string): ClaimId =>
  hash('sha256', `${life} ${Buffer.byteLength(sender)} ${sender}${key}`, 'base64url').slice(0, 22)

/**
 * Finds out, before something is written, whether its idempotency key was used already, on any node. Whoever claims a key
 * writes with the time of the claim, so whether that write is in the log, and that it will not come any more, can be told
 * without whoever claimed it: by asking the broker.
 */
export class Keys {
  readonly #cluster: Cluster
  readonly #homes: Homes
  readonly #reader: Reader
  readonly #fence: Fence
  readonly #options: KeysOptions
  readonly #closing = new AbortController()
  /** By token. */
  readonly #open = new Map<string, Open>()
  /** What is found out at the moment, so that it is found out once: claims by token, rooms by life. */
  readonly #inquiries = new Map<string, Promise<void>>()

  constructor(cluster: Cluster, homes: Homes, reader: Reader, fence: Fence, options: KeysOptions) {
    this.#cluster = cluster
    this.#homes = homes
    this.#reader = reader
    this.#fence = fence
    this.#options = options
  }

  /**
   * Claims the keys of a call's records, together or not at all. Where one is claimed by somebody else, it waits until that
   * is settled, or until it is certain that nothing comes of it. Rejects with LOG_UNAVAILABLE.
   * @param before a grant of the same call that did not start, to have it anew
   */
  async take({ room, records, turn, deadline }: Claimant, before?: Grant): Promise<Grant> {
    const home = await this.#cluster.patiently(() => this.#homes.of(room))
    const ids = records.map(({ sender, key }) => (key === undefined ? undefined : claimId(home.id, sender, key)))
    const wanted = [...new Set(ids.filter(id => id !== undefined))]
    const lost = new Set(before ? [before.claim.token] : [])
    for (let tries = 0; ; tries++) {
      const claiming = await this.#options.claims.claim(home.id, wanted, [...lost])
      if (claiming.kind === 'taken') {
        const { claim, settled } = claiming
        const mine = wanted.filter(id => !settled.has(id))
        this.#open.set(claim.token, { turn, told: Promise.withResolvers(), state: 'waiting' })
        return { home, claim, ids, mine, settled, made: performance.now() }
      }
      if (this.#closing.signal.aborted || performance.now() > deadline) {
        throw fail('LOG_UNAVAILABLE', 'what became of an earlier use of the idempotency-key is not known')
      }
      if (claiming.kind === 'young') await this.#lookBack(home, claiming.since, claiming.age)
      else if (await this.#isOver(home, claiming, turn, tries)) lost.add(claiming.by.token)
    }
  }

  /** Whether what a grant is for may be written now. One that is too old, or not ours any more, has to be taken anew. */
  start({ claim, mine, made }: Grant): boolean {
    const open = this.#open.get(claim.token)
    const old = mine.length > 0 && performance.now() - made > this.#options.skew
    if (old || open?.state !== 'waiting') return false
    open.state = 'writing'
    return true
  }

  /** Tells others what became of a grant: where its ids were written, or nothing where that is unknown. */
  async tell({ claim }: Grant, outcomes: ReadonlyMap<ClaimId, Offset | undefined> = new Map()): Promise<void> {
    try {
      if (outcomes.size > 0) await this.#options.claims.settle(claim, outcomes)
    } catch (error) {
      // Whoever repeats one of these finds out, but it takes longer.
      this.#options.logger.debug({ err: error }, 'the outcome of a claim could not be told')
    } finally {
      this.#open.get(claim.token)?.told.resolve()
      this.#open.delete(claim.token)
    }
  }

  /** What was written by `grant` is in another life of the room: its keys have been used in that one. */
  async moved(grant: Grant, records: readonly NewRecord[], positions: ReadonlyMap<ClaimId, Position>): Promise<void> {
    const written = new Map<ClaimId, { offset: Offset; time: number }>()
    for (const [index, { sender, key }] of records.entries()) {
      const position = positions.get(grant.ids[index] ?? '')
      if (key === undefined || !position) continue
      written.set(claimId(position.epoch, sender, key), { offset: position.offset, time: grant.claim.at })
    }
    await this.#options.claims.remember(written).catch(() => undefined)
    await this.tell(grant, new Map(grant.mine.map(id => [id, undefined])))
  }

  /**
   * Called before rooms are made. What it answers is called with the lives of those that were: of them nothing can have been
   * forgotten that is not forgotten since. Where that cannot be told it is found out later.
   */
  making(): (lives: readonly string[]) => Promise<void> {
    const { claims } = this.#options
    const { since } = claims
    return async lives => {
      if (since === undefined || claims.since !== since) return
      await Promise.all(lives.map(life => claims.known(life, since))).catch(() => undefined)
    }
  }

  /** Nobody waits for others any more. */
  close(): void {
    this.#closing.abort()
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#closing.signal }).catch(() => undefined)
  }

  /** Whether it is certain that what this claim holds was not written and never will be. Otherwise it is to be looked at again. */
  async #isOver(home: Home, { by, age }: Held, turn: number, tries: number): Promise<boolean> {
    const ours = this.#open.get(by.token)
    if (ours && ours.turn > turn && ours.state !== 'writing') {
      // It waits for its turn, which comes after ours: it must not keep us waiting.
      ours.state = 'revoked'
      return true
    }
    if (ours) {
      await ours.told.promise
      return false
    }
    const left = this.#options.logTimeout + this.#options.skew - age
    if (left > 0) {
      await this.#pause(Math.min(left, LOOK.most, LOOK.first * 2 ** tries))
      return false
    }
    await this.#once(by.token, () => this.#inquire(home, by))
    return true
  }

  /** Settles what a claim has written, now that it cannot write any more. What it holds after that it has not written. */
  async #inquire(home: Home, claim: Claim): Promise<void> {
    const end = await this.#fence.raise(home, claim.at)
    const found = new Map<ClaimId, Offset>()
    await this.#reader.keyed(home, claim.at, end, async page => {
      for (const { offset, time, sender, key } of page) {
        if (time === claim.at) found.set(claimId(home.id, sender, key), offset)
      }
    })
    if (found.size > 0) await this.#options.claims.settle(claim, found)
    this.#options.logger.info({ room: home.room }, 'found out in the log what became of an idempotency key')
  }

  /** Has the claims remember what was written to a room in the window before `since`. */
  async #lookBack(home: Home, since: number, age: number): Promise<void> {
    const { logTimeout, skew, window, claims, logger } = this.#options
    await this.#once(home.id, async () => {
      await this.#pause(Math.max(0, logTimeout + 2 * skew - age))
      if (this.#closing.signal.aborted) return
      const end = await this.#fence.raise(home, since + skew)
      await this.#reader.keyed(home, since - skew - window, end, async page => {
        const written = new Map<ClaimId, { offset: Offset; time: number }>()
        for (const { offset, time, sender, key } of page) {
          const id = claimId(home.id, sender, key)
          if (!written.has(id)) written.set(id, { offset, time })
        }
        await claims.remember(written)
      })
      await claims.known(home.id, since)
      logger.info({ room: home.room }, 'looked back for idempotency keys')
    })
  }

  #once(name: string, work: () => Promise<void>): Promise<void> {
    let inquiry = this.#inquiries.get(name)
    if (!inquiry) {
      inquiry = work().finally(() => this.#inquiries.delete(name))
      this.#inquiries.set(name, inquiry)
    }
    return inquiry
  }
}
