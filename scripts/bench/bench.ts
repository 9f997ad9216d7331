import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import { capture, ended, ScriptError } from '../launch.ts'
import { topicConfigs } from '../../kafka/topics.ts'
import { startKafka, type LocalKafka } from '../services/kafka.ts'
import { startPostgres, type LocalPostgres } from '../services/postgres.ts'
import { startRedis, type LocalRedis } from '../services/redis.ts'
import type { LoadName, Loads } from './generator.ts'
import type { Endpoint } from './load/client.ts'
import type { Times } from './load/clock.ts'
import type { KafkaPlace, PassPlan, WritePlan, WriteResult } from './servers/bare-log.ts'
import {
  startNode,
  startPeer,
  type Contestant,
  type ContestantName,
  type Local,
  type NodeOptions,
  type PeerName,
} from './servers/contestants.ts'
import { coresOf, launchAt, pinned, type Place } from './servers/process.ts'

/** What was asked for on the command line. */
export interface BenchOptions {
  readonly runs: number
  /** How long a step of a search takes, seconds. */
  readonly seconds: number
  readonly quick: boolean
  readonly subscribers: readonly number[] | undefined
  readonly contestants: readonly ContestantName[] | undefined
  /** Another server, instead of the contestants. */
  readonly other:
    | (Endpoint & { readonly prefix: string; readonly receipts: boolean; readonly pid?: number })
    | undefined
  /** Where the CPU profiles of the servers go. */
  readonly profile: string | undefined
}

/** The settings that the nodes here give to the topics of their rooms. */
export const roomConfigs = topicConfigs({ retentionMs: -1, logTimeout: 15_000, replication: 1 })

/** How long the broker is warmed, seconds. */
const WARM_UP = 8

const topicOn = async (brokers: readonly string[]): Promise<KafkaPlace> => {
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [...brokers] })
  const topic = `bare-${randomBytes(4).toString('hex')}`
  await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1, configs: roomConfigs })
  await admin.close()
  return { brokers, topic }
}

/** JSON has no NaN, which is what was not measured. */
export const parsed = (json: string): unknown =>
  JSON.parse(json, (_name, value: unknown) => (value === null ? NaN : value))

/** Runs a script on its core with a plan as its argument, and resolves with the JSON that it prints. */
const answerOf = async (place: Place, script: string, plan: unknown): Promise<unknown> => {
  const child = launchAt(place, [join(import.meta.dirname, script), JSON.stringify(plan)])
  const chunks: Buffer[] = []
  child.stdout!.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr!.on('data', (chunk: Buffer) => process.stderr.write(chunk))
  const code = await ended(child)
  if (code !== 0) throw new ScriptError(`${script} ended with exit code ${code}`)
  return parsed(Buffer.concat(chunks).toString())
}

/** Moves a process with all its threads, and what it starts from now on, to the load generator's cores. */
const besideLoad = async (pid: number | undefined): Promise<void> => {
  if (pinned && pid !== undefined) await capture('taskset', ['-a', '-p', '-c', coresOf('load'), String(pid)])
}

/** What the scenarios share: the options, the servers, the load generator, one Kafka, one PostgreSQL, one Redis. */
export class Bench {
  readonly options: BenchOptions
  #kafka: Promise<LocalKafka> | undefined
  #folder: string | undefined
  #postgres: Promise<LocalPostgres> | undefined
  #postgresFolder: string | undefined
  #redis: Promise<LocalRedis> | undefined
  /** Those that nobody has stopped. */
  readonly #servers = new Set<Local>()

  constructor(options: BenchOptions) {
    this.options = options
  }

  /** A line for whoever waits. */
  say(line: string): void {
    process.stderr.write(`${line}\n`)
  }

  /** The brokers of a Kafka of this run's own, beside the load generator. */
  async brokers(): Promise<string> {
    this.#kafka ??= this.#startKafka()
    return (await this.#kafka).brokers
  }

  async #startKafka(): Promise<LocalKafka> {
    this.#folder = await mkdtemp(join(tmpdir(), 'hoofbeat-bench-kafka-'))
    // As much memory as Kafka's own start script gives it: with less it collects garbage several times a second.
    const kafka = await startKafka({ brokers: 1, folder: this.#folder, heap: ['-Xms1g', '-Xmx1g'] })
    for (const { pid } of kafka.nodes) await besideLoad(pid)
    // A broker that has just started is slow until Java has compiled what it does.
    const place = await topicOn(kafka.brokers.split(','))
    const plan: PassPlan = { work: 'pass', perSecond: 2_000, warmUp: WARM_UP, seconds: 1, kafka: place }
    await answerOf('server', 'servers/bare-log.ts', plan)
    return kafka
  }

  /** A PostgreSQL of this run's own, beside the load generator, and the file that it writes its log to. */
  async postgres(): Promise<{ url: string; log: string }> {
    this.#postgresFolder ??= await mkdtemp(join(tmpdir(), 'hoofbeat-bench-postgres-'))
    this.#postgres ??= this.#startPostgres(this.#postgresFolder)
    return { url: (await this.#postgres).url, log: join(this.#postgresFolder, 'log') }
  }

  async #startPostgres(folder: string): Promise<LocalPostgres> {
    const postgres = await startPostgres({ folder })
    const [pid] = (await readFile(join(folder, 'data/postmaster.pid'), 'utf8')).split('\n')
    await besideLoad(Number(pid))
    return postgres
  }

  /** The URL of a Redis of this run's own. */
  async redis(): Promise<string> {
    this.#redis ??= startRedis()
    return (await this.#redis).url
  }

  async node(options: NodeOptions = {}): Promise<Local> {
    return this.#kept(await startNode({ ...options, flags: [...this.#flags, ...(options.flags ?? [])] }))
  }

  async peer(peer: PeerName, flags: readonly string[] = []): Promise<Local> {
    return this.#kept(await startPeer(peer, [...this.#flags, ...flags]))
  }

  #kept(server: Local): Local {
    this.#servers.add(server)
    const stop = async (): Promise<void> => {
      this.#servers.delete(server)
      await server.stop()
    }
    return { ...server, stop }
  }

  get #flags(): string[] {
    const { profile } = this.options
    return profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]
  }

  async open(name: ContestantName | 'other'): Promise<Contestant> {
    const { other } = this.options
    if (name === 'other') return { ...other!, endpoint: other!, foreign: true, stop: async () => {} }
    if (name === 'kafka') return this.node({ brokers: await this.brokers() })
    return name === 'embedded' ? this.node() : this.peer(name)
  }

  /** Runs a load in the generator's process and resolves with what it found. */
  async generate<Name extends LoadName>(
    load: Name,
    plan: Parameters<Loads[Name]>[0],
  ): Promise<Awaited<ReturnType<Loads[Name]>>> {
    const found = await answerOf('load', 'generator.ts', { load, plan })
    return found as Awaited<ReturnType<Loads[Name]>>
  }

  /** Writes to a log as fast as it takes it, or passes messages through it, without anything of ours around it. */
  async bare<Plan extends WritePlan | PassPlan>(plan: Plan): Promise<Plan extends PassPlan ? Times : WriteResult> {
    const found = await answerOf('server', 'servers/bare-log.ts', plan)
    return found as Plan extends PassPlan ? Times : WriteResult
  }

  /** How many passwords a second a core looks at. */
  async passwords(seconds: number): Promise<number> {
    return (await answerOf('server', 'servers/bare-argon2.ts', seconds)) as number
  }

  /** A topic as rooms have it, that nobody else knows. */
  async topic(): Promise<KafkaPlace> {
    return topicOn((await this.brokers()).split(','))
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#servers, server => server.stop()))
    await (await this.#kafka)?.stop()
    await (await this.#postgres)?.stop()
    await (await this.#redis)?.kill()
    for (const folder of [this.#folder, this.#postgresFolder]) {
      if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    }
  }
}
