import type { Config } from '../config.ts'
import { fail } from '../errors.ts'
import type { Counters } from '../ports/counters.ts'

const HOUR = 3_600_000

const kinds = {
  rooms: { code: 'TOO_MANY_ROOMS', limit: 'ROOMS_PER_HOUR', told: 'rooms' },
  strangers: {
    code: 'QUOTA_REACHED',
    limit: 'STRANGERS_PER_HOUR',
    told: 'direct rooms with people who are no friends',
  },
  invitations: { code: 'QUOTA_REACHED', limit: 'INVITATIONS_PER_HOUR', told: 'invitations' },
} as const

export type QuotaLimits = Pick<Config, (typeof kinds)[keyof typeof kinds]['limit']>

/** Takes `count` of what `user` may still do within the hour. Rejects with TOO_MANY_ROOMS or QUOTA_REACHED: then it takes nothing. */
export type Spend = (user: string, kind: keyof typeof kinds, count?: number) => Promise<void>

/**
 * What somebody may do within an hour, which begins with the first. What they do is counted and not what there is of it, or
 * whoever deletes a room could make another one for ever. It is to be the last thing in a transaction: what is undone after it
 * stays counted.
 */
export const quotas =
  (counters: Counters, limits: QuotaLimits): Spend =>
  async (user, kind, count = 1) => {
    if (count === 0) return
    const { code, limit, told } = kinds[kind]
    const most = limits[limit]
    const { count: all, left } = await counters.add(`${kind} ${user}`, HOUR, { by: count, most })
    if (all <= most) return
    throw fail(code, `${most} ${told} an hour`, { headers: { 'retry-after-ms': left.toFixed(0) } })
  }
