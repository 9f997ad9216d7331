import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Audience } from './audience.ts'
import { addFaults, type Faults } from './checker.ts'
import type { Endpoint } from './client.ts'
import { comeBack, PUBLISHERS, type Place } from './coming-back.ts'
import type { CrowdOrder, CrowdWord, Returning } from './returning-crowd.ts'
import { Latencies, settled, type Times } from './clock.ts'
import { Publishers, streamsOf } from './publishers.ts'

const PATIENCE_MS = 30_000

/** A room, who writes to it, and someone who is there all the time. */
class Scene {
  readonly destination = `/topic/bench-${randomBytes(4).toString('hex')}`
  readonly latencies = new Latencies()
  readonly endpoint: Endpoint
  publishers!: Publishers
  live!: Audience

  private constructor(endpoint: Endpoint) {
    this.endpoint = endpoint
  }

  static async open(endpoint: Endpoint, subscribers: number): Promise<Scene> {
    const scene = new Scene(endpoint)
    scene.live = await scene.audience(endpoint, subscribers, scene.latencies)
    scene.publishers = await Publishers.open({ endpoint, destinations: [scene.destination], publishers: PUBLISHERS })
    return scene
  }

  audience(endpoint: Endpoint, subscribers: number, latencies: Latencies): Promise<Audience> {
    const room = { destinations: [this.destination], streamsOf: () => streamsOf(0, 1, PUBLISHERS) }
    return Audience.open({ endpoint, ...room, subscribers, latencies, receipts: true, foreign: false })
  }

  /** Sends `count` messages, at a rate, and resolves when `audience` has had everything. */
  async send(count: number, perSecond: number, audience = this.live): Promise<void> {
    await this.publishers.publish(perSecond, count / perSecond)
    const expected = this.publishers.sent.all() * audience.size
    await settled(
      () => audience.messages >= expected,
      () => audience.messages,
      PATIENCE_MS,
    )
  }

  /** Where everybody is now. */
  get place(): Place {
    const sent = streamsOf(0, 1, PUBLISHERS).map(stream => this.publishers.sent.stream(stream))
    return { id: this.live.newestId, sent }
  }

  close(): void {
    this.live.close()
    this.publishers.close()
  }
}

const HISTORY_RATE = 10_000

export interface ResumePlan {
  readonly endpoint: Endpoint
  /** Where it comes back to. */
  readonly returnTo: Endpoint
  readonly missed: number
}

/** Someone comes back to a node that does not follow the room: ms until the last of the missed messages. */
export const resume = async (plan: ResumePlan): Promise<{ ms: number; faults: Faults }> => {
  const scene = await Scene.open(plan.endpoint, 1)
  await scene.send(PUBLISHERS, HISTORY_RATE)
  const { place } = scene
  await scene.send(plan.missed, HISTORY_RATE)
  const faults = scene.live.faults(scene.publishers.sent)
  scene.close()
  // A node stops following a room a second after the last one has left.
  const { promise: left, resolve } = Promise.withResolvers<void>()
  setTimeout(resolve, 2_000)
  await left
  const start = performance.now()
  const back = { endpoint: plan.returnTo, destination: scene.destination, from: place, missed: plan.missed }
  const { client, checker, caughtUp } = await comeBack(back)
  await caughtUp
  const ms = performance.now() - start
  checker.countLost(scene.publishers.sent.stream)
  client.end()
  return { ms, faults: addFaults(faults, checker.faults) }
}

export interface CrowdPlan {
  /** The node that is killed, and its process. */
  readonly endpoint: Endpoint
  readonly pid: number
  /** The node that they come back to, where others have been all the time. */
  readonly returnTo: Endpoint
  readonly clients: number
  readonly missed: number
}

export interface CrowdResult {
  /** From the first connect until everyone has had what they missed. */
  readonly ms: number
  /** Of those who have been there all the time: before, and while the others come back. */
  readonly alone: Times
  readonly meanwhile: Times
  readonly faults: Faults
}

const LIVE = 20
const LIVE_RATE = 20
const ALONE_SECONDS = 2
/** Traffic goes on for at least as long while the others come back. */
const AFTER_SECONDS = 6

/** A node dies, its clients miss something, and all come back to another at once. */
export const crowd = async (plan: CrowdPlan): Promise<CrowdResult> => {
  const scene = await Scene.open(plan.returnTo, LIVE)
  const { latencies, publishers } = scene
  const lost = await Promise.all(
    Array.from({ length: plan.clients / 100 }, async () => scene.audience(plan.endpoint, 100, new Latencies())),
  )
  latencies.reset()
  await scene.send(ALONE_SECONDS * LIVE_RATE, LIVE_RATE)
  const alone = latencies.times()
  const { place } = scene
  process.kill(plan.pid, 'SIGKILL')
  for (const audience of lost) audience.close()
  await scene.send(plan.missed, 200)
  latencies.reset()
  const traffic = publishers.publish(LIVE_RATE, AFTER_SECONDS)
  const back = { endpoint: plan.returnTo, destination: scene.destination, from: place, missed: plan.missed }
  const returning = new Crowd({ ...back, clients: plan.clients })
  const { ms } = await returning.caughtUp
  await traffic
  const sent = scene.place.sent
  await settled(
    () => scene.live.messages === publishers.sent.all() * LIVE,
    () => scene.live.messages,
    PATIENCE_MS,
  )
  const meanwhile = latencies.times()
  const faults = addFaults(await returning.faults(sent), scene.live.faults(publishers.sent))
  scene.close()
  return { ms, alone, meanwhile, faults }
}

/** Those who come back, in a thread of their own: what they keep busy must not be what the others are kept waiting by. */
class Crowd {
  readonly caughtUp: Promise<{ readonly ms: number }>
  readonly #worker: Worker

  constructor(returning: Returning) {
    this.#worker = new Worker(join(import.meta.dirname, 'returning-crowd.ts'), { workerData: returning })
    this.caughtUp = this.#next('caught-up')
  }

  /** Ends them, when they have had all that was `sent` on each stream or nothing comes any more. */
  async faults(sent: readonly number[]): Promise<Faults> {
    this.#worker.postMessage({ sent } satisfies CrowdOrder)
    const { faults } = await this.#next('faults')
    await once(this.#worker, 'exit')
    return faults
  }

  async #next<Kind extends CrowdWord['kind']>(kind: Kind): Promise<Extract<CrowdWord, { kind: Kind }>> {
    const [word] = (await once(this.#worker, 'message')) as [CrowdWord]
    if (word.kind !== kind) throw new Error(`the crowd said ${word.kind}, not ${kind}`)
    return word as Extract<CrowdWord, { kind: Kind }>
  }
}
