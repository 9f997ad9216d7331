import type { Claim, ClaimId, Claiming, Claims } from '../../ports/claims.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Offset } from '../../ports/room-log.ts'
import { fail } from '../../errors.ts'

export interface MemoryClaimsOptions {
  /** How long a claim is remembered, ms. */
  readonly window: number
  /** How many are remembered at most; beyond that the oldest is forgotten, open or not. */
  readonly most?: number
}

interface Held {
  readonly claim: Claim
  /** Where it was written; undefined as long as that is open. */
  readonly offset?: Offset
}

const MOST = 200_000

/** Claims of one process alone. They end with it, and it does not know what there was before: keys hold while it runs. */
class MemoryClaims implements Claims {
  readonly since = 0
  readonly #window: number
  readonly #most: number
  /** The oldest first. */
  readonly #held = new Map<ClaimId, Held>()
  #tokens = 0
  #closed = false

  constructor({ window, most = MOST }: MemoryClaimsOptions) {
    this.#window = window
    this.#most = most
  }

  async claim(_room: string, ids: readonly ClaimId[], lost: readonly string[] = []): Promise<Claiming> {
    const now = this.#require()
    this.#forget(now)
    const settled = new Map<ClaimId, Offset>()
    for (const id of ids) {
      const held = this.#held.get(id)
      if (held?.offset !== undefined) settled.set(id, held.offset)
      else if (held && !lost.includes(held.claim.token)) {
        return { kind: 'held', by: held.claim, age: now - held.claim.at }
      }
    }
    const claim = { token: String(++this.#tokens), at: now }
    for (const id of ids) if (!settled.has(id)) this.#put(id, { claim })
    return { kind: 'taken', claim, settled }
  }

  async settle({ token }: Claim, outcomes: ReadonlyMap<ClaimId, Offset | undefined>): Promise<void> {
    this.#require()
    for (const [id, offset] of outcomes) {
      const held = this.#held.get(id)
      if (!held || held.offset !== undefined || held.claim.token !== token) continue
      if (offset === undefined) this.#held.delete(id)
      // In its place: it is as old as its claim.
      else this.#held.set(id, { claim: held.claim, offset })
    }
  }

  async remember(written: ReadonlyMap<ClaimId, { readonly offset: Offset; readonly time: number }>): Promise<void> {
    const now = this.#require()
    this.#forget(now)
    for (const [id, { offset, time }] of written) {
      if (!this.#held.has(id) && time > now - this.#window) this.#put(id, { claim: { token: '', at: time }, offset })
    }
  }

  async known(): Promise<void> {
    this.#require()
  }

  close(): void {
    this.#closed = true
    this.#held.clear()
  }

  #require(): number {
    if (this.#closed) throw fail('LOG_UNAVAILABLE', 'this node is closing')
    return Date.now()
  }

  #put(id: ClaimId, held: Held): void {
    this.#held.delete(id)
    this.#held.set(id, held)
    if (this.#held.size <= this.#most) return
    const [oldest] = this.#held.keys()
    this.#held.delete(oldest!)
  }

  #forget(now: number): void {
    for (const [id, { claim }] of this.#held) {
      if (claim.at > now - this.#window) return
      this.#held.delete(id)
    }
  }
}

export const memoryClaims = (options: MemoryClaimsOptions): Driver<Claims> => {
  const claims = new MemoryClaims(options)
  return { port: claims, check: async () => {}, close: async () => claims.close() }
}
