import { setTimeout as delay } from 'node:timers/promises'
import type { Clients } from './clients.ts'
import type { Fleet } from './fleet.ts'
import type { LocalBroker } from '../services/kafka.ts'
import type { LocalRedis } from '../services/redis.ts'
import type { NodeProcess } from './node-process.ts'
import type { Path, Trouble } from './path.ts'
import type { Random } from './random.ts'
import { seconds } from './report.ts'

/** How long faults last, ms. */
export interface Durations {
  readonly away: readonly [number, number]
  readonly stopped: readonly [number, number]
}
export interface Scene {
  readonly fleet: Fleet
  readonly clients: Clients
  readonly durations: Durations
}
/** Something that is about to go wrong: all that is left to chance is settled, but whom it meets. */
export interface Fault {
  readonly kind: string
  /** Lets it happen and ends it again; resolves with what it met. */
  strike(): Promise<string>
}
type Plan = (scene: Scene, random: Random) => () => Promise<string>

const time = (random: Random, [least, most]: readonly [number, number]): number => random.integer(least, most)
/** More often short than long. */
const stopTime = (random: Random, [least, most]: readonly [number, number]): number =>
  Math.round(least + (most - least) * random.next() ** 2)

const nodeKilled: Plan = ({ fleet, durations }, random) => {
  const node = random.pick(fleet.nodes)
  const ms = time(random, durations.away)
  return async () => {
    await node.turns.take(async () => {
      await node.kill()
      await delay(ms)
      await node.start()
    })
    return `${node.name}, away for ${seconds(ms)}`
  }
}

const drained = (node: NodeProcess): Promise<number> =>
  node.turns.take(async () => {
    const code = await node.drain()
    await node.start()
    return code
  })

const nodeDrained: Plan = ({ fleet }, random) => {
  const node = random.pick(fleet.nodes)
  return async () => `${node.name}, exit code ${await drained(node)}`
}

const allDrained: Plan = ({ fleet }, random) => {
  const order = random.shuffled(fleet.nodes)
  return async () => {
    const codes: number[] = []
    for (const node of order) codes.push(await drained(node))
    return `exit codes ${codes.join(' ')}`
  }
}

const stopFor = async (victim: NodeProcess | LocalBroker | LocalRedis, ms: number): Promise<void> => {
  victim.signal('SIGSTOP')
  await delay(ms)
  victim.signal('SIGCONT')
}

const nodeStopped: Plan = ({ fleet, durations }, random) => {
  const node = random.pick(fleet.nodes)
  const ms = stopTime(random, durations.stopped)
  return async () => {
    await node.turns.take(() => stopFor(node, ms))
    return `${node.name} for ${seconds(ms)}`
  }
}

const brokerStopped: Plan = ({ fleet, durations }, random) => {
  const broker = random.pick(fleet.brokers)
  const ms = stopTime(random, durations.stopped)
  return async () => {
    await fleet.alone(broker, () => stopFor(broker, ms))
    return `broker ${broker.id} for ${seconds(ms)}`
  }
}

const redisStopped: Plan = ({ fleet: { redis }, fleet, durations }, random) => {
  const ms = stopTime(random, durations.stopped)
  return async () => {
    await fleet.alone(redis, () => stopFor(redis, ms))
    return `for ${seconds(ms)}`
  }
}

/** It comes back empty. */
const redisKilled: Plan = ({ fleet: { redis }, fleet, durations }, random) => {
  const ms = time(random, durations.away)
  return async () => {
    await fleet.alone(redis, async () => {
      await redis.kill()
      await delay(ms)
      await redis.start()
    })
    return `away for ${seconds(ms)}`
  }
}

const brokerKilled = (which: 'leader' | 'controller'): Plan => {
  return ({ fleet, clients, durations }, random) => {
    const room = random.pick(clients.rooms)
    const any = random.pick(fleet.brokers)
    const ms = time(random, durations.away)
    return async () => {
      const found = which === 'leader' ? fleet.leader(room) : fleet.controller()
      // While too few brokers are left nobody leads; then any of them is as good.
      const broker = await found.catch(() => any)
      await fleet.alone(broker, async () => {
        await broker.kill()
        await delay(ms)
        await broker.start()
      })
      return `broker ${broker.id}, away for ${seconds(ms)}`
    }
  }
}

/** All ways of one node, all ways to one broker or to Redis, or a single one. */
const somePaths = ({ paths, nodes, brokers }: Fleet, random: Random): [string, Path[]] => {
  const ends = [`${random.pick(nodes).name} to`, `to broker ${random.pick(brokers).id}`, 'to Redis', 'one']
  const what = random.pick(ends)
  if (what !== 'one') return [what, paths.filter(({ name }) => name.includes(what))]
  const path = random.pick(paths)
  return [path.name, [path]]
}

const troubled = (trouble: (random: Random) => Trouble): Plan => {
  return ({ fleet, durations }, random) => {
    const [name, paths] = somePaths(fleet, random)
    const ms = time(random, durations.away)
    const what = trouble(random)
    const broken = random.chance(0.5)
    return async () => {
      for (const path of paths) path.trouble = what
      await delay(ms)
      for (const path of paths) {
        // What hung may go on, or turn out to be dead.
        if (broken) path.cut()
        path.trouble = { is: 'clear' }
      }
      return `${name} for ${seconds(ms)}, ${Object.values(what).slice(1).join(' ') || what.is}`
    }
  }
}

const clientsCut: Plan = ({ clients }, random) => {
  const share = random.pick([0.1, 0.3, 0.9])
  return async () => `${clients.cut(share)} of them`
}

/** Everything that can go wrong, by its name in the report. */
const plans: Readonly<Record<string, Plan>> = {
  'node killed': nodeKilled,
  'node drained': nodeDrained,
  'rolling restart': allDrained,
  'node stopped': nodeStopped,
  'broker stopped': brokerStopped,
  'leader killed': brokerKilled('leader'),
  'controller killed': brokerKilled('controller'),
  'Redis stopped': redisStopped,
  'Redis killed': redisKilled,
  'clients cut': clientsCut,
  'path slow': troubled(random => ({ is: 'slow', ms: random.integer(20, 600) })),
  'path lossy': troubled(random => ({ is: 'lossy', chance: random.pick([0.002, 0.02, 0.1]) })),
  'path dark': troubled(() => ({ is: 'dark', way: 'both' })),
  'answers lost': troubled(() => ({ is: 'dark', way: 'back' })),
  'path refusing': troubled(() => ({ is: 'refusing' })),
}

/** Faults without end, in turns: every kind comes before any comes again, one to three in a cycle. */
export class Plot {
  readonly #random: Random
  readonly #scene: Scene
  #next: string[] = []

  constructor(scene: Scene, random: Random) {
    this.#scene = scene
    this.#random = random
  }

  /** What goes wrong in the next cycle, and how many ms after its beginning. */
  cycle(): { readonly fault: Fault; readonly after: number }[] {
    const count = this.#random.pick([1, 1, 1, 2, 2, 3])
    return Array.from({ length: count }, (_, index) => {
      const after = index === 0 ? 0 : this.#random.integer(0, 3_000)
      return { fault: this.#draw(), after }
    })
  }

  #draw(): Fault {
    if (this.#next.length === 0) this.#next = this.#random.shuffled(Object.keys(plans))
    const kind = this.#next.pop()!
    return { kind, strike: plans[kind]!(this.#scene, this.#random) }
  }
}
