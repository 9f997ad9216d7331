import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Audience } from './audience.ts'
import type { Faults } from './checker.ts'
import type { Endpoint } from './client.ts'
import { Latencies, settled, Watch, type Times } from './clock.ts'
import { Publishers, streamsOf } from './publishers.ts'

/** The delivery that still counts as in time. */
const IN_TIME_MS = 250
/** A step that is this far behind will not catch up: it is broken off. */
const HOPELESS_MS = 1_500
const PATIENCE_MS = 10_000
/** A maximum is known when the next rate that fails is less than this factor above it. */
const WITHIN = 1.05
const MOST_STEPS = 14
/** The share of its core, and the lateness of its sends (ms), at which the load generator may be what is measured. */
const OWN_LIMIT = { load: 0.9, lag: 50 }

export interface FanOutPlan {
  readonly endpoint: Endpoint
  /** Where messages are sent, if not there too. */
  readonly publishTo?: Endpoint
  /** Of the server, where it runs on this machine. */
  readonly pid?: number
  /** Destinations begin with this. */
  readonly prefix: string
  readonly rooms: number
  readonly subscribers: number
  readonly publishers: number
  readonly receipts: boolean
  readonly foreign: boolean
  /** Looks for the most deliveries a second, first at `start`; each step takes `seconds`. */
  readonly search?: { readonly start: number; readonly factor: number; readonly seconds: number }
  /** Steps at these deliveries a second; `half`: of what the search has found. */
  readonly steps: readonly { readonly name: string; readonly perSecond: number | 'half'; readonly seconds: number }[]
  /** How long nothing may come while messages are missing, ms. */
  readonly patience?: number
}

interface Step {
  /** Deliveries a second: asked for, and had. */
  readonly offered: number
  readonly perSecond: number
  readonly deliveries: number
  readonly latency: Times
  /** From the last send until everyone had everything, ms. */
  readonly drain: number
  readonly lag: Times
  /** Of the load generator's core. */
  readonly load: number
  /** Of the server, seconds for a million deliveries. */
  readonly cpuPerMillion: number
  /** Of the server's core. */
  readonly busy: number
  /** Everything in time, nothing left behind. */
  readonly kept: boolean
}

export interface FanOutResult {
  readonly maximum?: Step & {
    /** The load generator was at its own limit: the server may do more. */
    readonly lowerBound: boolean
    /** Every step of the search. */
    readonly tried: readonly Step[]
  }
  readonly steps: Readonly<Record<string, Step>>
  readonly subscribers: number
  readonly bytesPerDelivery: number
  readonly faults: Faults
}

/** One audience and its publishers, at one rate after the other. */
class Load {
  readonly #plan: FanOutPlan
  readonly #audience: Audience
  readonly #publishers: Publishers
  readonly #latencies: Latencies

  constructor(plan: FanOutPlan, audience: Audience, publishers: Publishers, latencies: Latencies) {
    this.#plan = plan
    this.#audience = audience
    this.#publishers = publishers
    this.#latencies = latencies
  }

  /** Sends at a rate for some seconds, then waits until everyone has had everything. */
  async step(offered: number, seconds: number): Promise<Step> {
    this.#latencies.reset()
    const { subscribers, pid } = this.#plan
    const before = this.#audience.messages
    const sentBefore = this.#publishers.sent.all()
    const watch = new Watch(pid)
    const hopeless = (): boolean => this.#latencies.last > HOPELESS_MS * 1000
    const lag = await this.#publishers.publish(offered / subscribers, seconds, hopeless)
    const load = watch.load
    const sending = watch.seconds
    await this.#drained(before + (this.#publishers.sent.all() - sentBefore) * subscribers)
    const took = watch.seconds
    const drain = (took - sending) * 1000
    const deliveries = this.#audience.messages - before
    const latency = this.#latencies.times()
    const { serverCpu } = watch
    const cpuPerMillion = (serverCpu / deliveries) * 1e6
    const busy = serverCpu / took
    const perSecond = deliveries / took
    const kept = latency.p99 < IN_TIME_MS && drain < IN_TIME_MS && !hopeless() && lag.p99 < IN_TIME_MS
    return { offered, perSecond, deliveries, latency, drain, lag, load, cpuPerMillion, busy, kept }
  }

  async #drained(expected: number): Promise<void> {
    const all = (): boolean => this.#audience.messages >= expected
    await settled(all, () => this.#audience.bytes, this.#plan.patience ?? PATIENCE_MS)
  }
}

const search = async (load: Load, plan: NonNullable<FanOutPlan['search']>): Promise<FanOutResult['maximum']> => {
  const tried: Step[] = []
  let best: Step | undefined
  let failed: Step | undefined
  for (let rate = plan.start; tried.length < MOST_STEPS;) {
    const step = await load.step(rate, plan.seconds)
    tried.push(step)
    if (step.kept) best = step
    else failed = step
    if (best && failed && failed.offered / best.offered < WITHIN) break
    if (!failed) rate *= plan.factor
    else rate = best ? Math.sqrt(best.offered * failed.offered) : failed.offered / plan.factor
  }
  if (!best) return undefined
  const bound = failed ?? best
  const lowerBound = bound.load > OWN_LIMIT.load || bound.lag.p99 > OWN_LIMIT.lag
  return { ...best, lowerBound, tried }
}

/** Subscribes everyone, then finds the most that the server delivers, and how it does at the rates that were asked for. */
export const fanOut = async (plan: FanOutPlan): Promise<FanOutResult> => {
  const name = `bench-${randomBytes(4).toString('hex')}`
  const { endpoint, rooms, subscribers, publishers: count, receipts, foreign } = plan
  const destinations = Array.from({ length: rooms }, (_, i) => `${plan.prefix}${name}-${String(i).padStart(5, '0')}`)
  const latencies = new Latencies()
  const audience = await Audience.open({
    endpoint,
    destinations,
    subscribers,
    streamsOf: room => streamsOf(room, rooms, count),
    latencies,
    receipts,
    foreign,
  })
  const publishers = await Publishers.open({ endpoint: plan.publishTo ?? endpoint, destinations, publishers: count })
  if (!receipts) await heard(audience, publishers)
  const load = new Load(plan, audience, publishers, latencies)
  // Warm, and nothing of it counts but the faults.
  await load.step(plan.search ? plan.search.start / 2 : (plan.steps[0]?.perSecond as number), 1)
  const maximum = plan.search && (await search(load, plan.search))
  const steps: Record<string, Step> = {}
  for (const { name, perSecond, seconds } of plan.steps) {
    const rate = perSecond === 'half' ? (maximum?.perSecond ?? NaN) / 2 : perSecond
    if (rate > 0) steps[name] = await load.step(rate, seconds)
  }
  // What comes too often may come late.
  await delay(200)
  const faults = audience.faults(publishers.sent)
  const bytesPerDelivery = audience.bytes / audience.messages
  publishers.close()
  audience.close()
  return { ...(maximum && { maximum }), steps, subscribers: audience.size, bytesPerDelivery, faults }
}

/** Without receipts nobody knows when a subscription holds: sends until everyone has had something, then forgets it. */
const heard = async (audience: Audience, publishers: Publishers): Promise<void> => {
  for (let tries = 0; !audience.heard; tries++) {
    if (tries === 100) throw new Error('some subscribers get nothing')
    publishers.once()
    await delay(100)
  }
  await delay(1000)
  audience.forget(publishers.sent)
}
