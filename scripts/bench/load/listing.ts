import { ask, signInAll, type Account } from './api.ts'
import { noFaults, type Faults } from './checker.ts'
import type { Endpoint } from './client.ts'
import { Latencies, now, Watch, type Times } from './clock.ts'

export interface ListingPlan {
  readonly endpoint: Endpoint
  readonly pid: number
  readonly accounts: readonly Account[]
  /** Below /api. */
  readonly path: string
  /** How many there have to be in the list, and which number each of them has to have. */
  readonly items: number
  readonly field: string
  readonly requests: number
  readonly atOnce: number
}

export interface ListingResult {
  readonly perSecond: number
  readonly latency: Times
  readonly busy: number
  readonly load: number
  readonly faults: Faults
}

/** A list, asked for by several people in turn. */
export const listing = async (plan: ListingPlan): Promise<ListingResult> => {
  const { endpoint, path, items, field } = plan
  const people = await signInAll(endpoint, plan.accounts)
  const faults = noFaults()
  const asking = async (requests: number): Promise<Latencies> => {
    const latencies = new Latencies()
    let next = 0
    const visitor = async (): Promise<void> => {
      while (next < requests) {
        const { token } = people[next++ % people.length]!
        const begun = now()
        const body = await ask(endpoint, 'GET', path, { token })
        latencies.add(now() - begun)
        const entries = body['items'] as Readonly<Record<string, unknown>>[]
        faults.lost += Math.max(0, items - entries.length)
        faults.damaged += entries.filter(entry => typeof entry[field] !== 'number').length
      }
    }
    await Promise.all(Array.from({ length: plan.atOnce }, visitor))
    return latencies
  }
  await asking(Math.ceil(plan.requests / 10))
  const watch = new Watch(plan.pid)
  const latency = (await asking(plan.requests)).times()
  const { seconds, serverCpu, load } = watch
  return { perSecond: latency.count / seconds, latency, busy: serverCpu / seconds, load, faults }
}
