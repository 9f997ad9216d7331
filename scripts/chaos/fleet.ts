import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describeQuorumV2 } from '@platformatic/kafka'
import { leaderOf, linked } from '../../kafka/testkit/wire.ts'
import { unconfigured } from '../launch.ts'
import { freePort } from '../services/process.ts'
import { startRedis } from '../services/redis.ts'
import type { LocalRedis } from '../services/redis.ts'
import { startKafka } from '../services/kafka.ts'
import type { LocalBroker, LocalKafka } from '../services/kafka.ts'
import { NodeProcess } from './node-process.ts'
import { OneByOne } from './one-by-one.ts'
import { Path } from './path.ts'
import type { Random } from './random.ts'
import { JWT_SECRET } from './session.ts'

const BROKERS = [1, 2, 3]
const METADATA = { topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }

/** The environment of every node of a run, with small bounds, so that they are met. */
export const nodeEnvironment: Readonly<Record<string, string | undefined>> = {
  ...unconfigured,
  HOST: '127.0.0.1',
  ACCESS: 'token',
  JWT_SECRET,
  ROOMS_PER_MINUTE: '100000',
  HEART_BEAT: '2000',
  DRAIN_SECONDS: '5',
  IDEMPOTENCY_WINDOW: '120000',
  OUTBOX_BYTES: '65536',
  RECENT_BYTES: '1048576',
}

export interface FleetOptions {
  /** Where the brokers keep their data and the nodes their logs. */
  readonly folder: string
  readonly nodes: number
  readonly random: Random
  /** ms */
  readonly logTimeout: number
  readonly onCrash: (node: string, code: number) => void
}

/** Nodes, brokers, a Redis and the ways to them: each node comes to each of them on a path that can be troubled alone. */
export class Fleet {
  readonly nodes: readonly NodeProcess[]
  readonly paths: readonly Path[]
  readonly redis: LocalRedis
  readonly #kafka: LocalKafka
  readonly #turns = new Map<LocalBroker | LocalRedis, OneByOne>()

  private constructor(kafka: LocalKafka, redis: LocalRedis, nodes: readonly NodeProcess[], paths: readonly Path[]) {
    this.#kafka = kafka
    this.redis = redis
    this.nodes = nodes
    this.paths = paths
  }

  static async start({ folder, nodes: count, random, logTimeout, onCrash }: FleetOptions): Promise<Fleet> {
    const names = Array.from({ length: count }, (_, index) => `node ${index + 1}`)
    const taken = new Set<number>()
    const listeners = new Map<number, { readonly name: string; readonly port: number; readonly path: Path }[]>()
    for (const id of BROKERS) {
      const own = names.map(async name => {
        const port = await freePort(taken)
        return { name, port, path: await Path.open(`${name} to broker ${id}`, port, random.fork(`${name} ${id}`)) }
      })
      listeners.set(id, await Promise.all(own))
    }
    const kafka = await startKafka({
      brokers: 3,
      folder: join(folder, 'kafka'),
      settings: place => brokerSettings(place, listeners.get(place.id) ?? []),
    })
    const redis = await startRedis()
    const claims = await Promise.all(
      names.map(name => Path.open(`${name} to Redis`, redis.port, random.fork(`${name} Redis`))),
    )
    await mkdir(join(folder, 'logs'), { recursive: true })
    const nodes = await Promise.all(
      names.map(async (name, index) => {
        const ways = BROKERS.map(id => `127.0.0.1:${listeners.get(id)?.[index]?.path.port}`)
        return new NodeProcess({
          name,
          port: await freePort(taken),
          stompPort: await freePort(taken),
          env: {
            ...nodeEnvironment,
            KAFKA_BROKERS: ways.join(','),
            KAFKA_REPLICATION: '3',
            LOG_TIMEOUT: String(logTimeout),
            REDIS_URL: `redis://127.0.0.1:${claims[index]?.port}`,
          },
          log: join(folder, 'logs', `${name.replace(' ', '-')}.log`),
          onCrash: code => onCrash(name, code),
        })
      }),
    )
    const paths = [...[...listeners.values()].flat().map(({ path }) => path), ...claims]
    const fleet = new Fleet(kafka, redis, nodes, paths)
    try {
      await Promise.all(nodes.map(node => node.start()))
    } catch (error) {
      await fleet.close()
      throw error
    }
    return fleet
  }

  get brokers(): readonly LocalBroker[] {
    return this.#kafka.nodes
  }

  /** host:port of each broker, past all paths. */
  get addresses(): string {
    return this.#kafka.brokers
  }

  /** Ends and starts a service, when nobody else does. */
  async alone(service: LocalBroker | LocalRedis, work: () => Promise<void>): Promise<void> {
    const turns = this.#turns.get(service) ?? new OneByOne()
    this.#turns.set(service, turns)
    await turns.take(work)
  }

  /** The broker that leads a room. */
  async leader(room: string): Promise<LocalBroker> {
    return this.#brokerOf(await leaderOf(this.addresses, room))
  }

  /** The broker that leads the others. */
  async controller(): Promise<LocalBroker> {
    for (const { port } of this.brokers) {
      const answer = await linked(port, link => link.call(describeQuorumV2.api, [METADATA])).catch(() => undefined)
      const leader = answer?.topics[0]?.partitions[0]?.leaderId
      if (leader !== undefined && leader >= 0) return this.#brokerOf(leader)
    }
    throw new Error('no broker knows who leads')
  }

  #brokerOf(id: number): LocalBroker {
    const broker = this.brokers.find(each => each.id === id)
    if (!broker) throw new Error(`there is no broker ${id}`)
    return broker
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map(node => node.close()))
    await Promise.all(this.paths.map(path => path.close()))
    await Promise.all([this.#kafka.stop(), this.redis.kill()])
  }
}

/** A listener for each node, which names the node's own path as the way to come back. */
const brokerSettings = (
  { port, controllerPort }: { readonly port: number; readonly controllerPort: number },
  listeners: readonly { readonly name: string; readonly port: number; readonly path: Path }[],
): Record<string, string> => {
  const label = (name: string): string => name.replace(' ', '').toUpperCase()
  const local = (name: string, at: number): string => `${name}://127.0.0.1:${at}`
  const own = listeners.map(each => local(label(each.name), each.port))
  const ways = listeners.map(each => local(label(each.name), each.path.port))
  const kinds = ['PLAINTEXT', 'CONTROLLER', ...listeners.map(each => label(each.name))]
  return {
    'listeners': [local('PLAINTEXT', port), local('CONTROLLER', controllerPort), ...own].join(','),
    'advertised.listeners': [local('PLAINTEXT', port), ...ways].join(','),
    'listener.security.protocol.map': kinds.map(kind => `${kind}:PLAINTEXT`).join(','),
    // Another one leads soon after a broker has died.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '500',
  }
}
