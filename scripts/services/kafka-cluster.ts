import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LocalBroker } from './kafka-broker.ts'
import type { Place } from './kafka-broker.ts'
import { installKafka } from './kafka-install.ts'
import { freePort, isFree, ServiceError, startWatch } from './process.ts'

type Settings = Readonly<Record<string, string>>

export interface KafkaOptions {
  readonly brokers: 1 | 3
  /** Where the brokers keep their data. What an earlier start left there is used again. */
  readonly folder: string
  /** The port of the first broker, the others follow it; 'free' (the default) finds some. */
  readonly ports?: 'free' | number
  /** More lines for the brokers' server.properties. They win over all others. */
  readonly settings?: Settings | ((place: Place) => Settings)
  /** More arguments for Kafka's StorageTool, which prepares a broker's folder. */
  readonly format?: readonly string[]
  /** How much memory each broker has, as `java` takes it: little by default, as it stands beside everything else. */
  readonly heap?: readonly string[]
  /** Keep running when this process ends. Otherwise they are killed with it, however it ends. */
  readonly background?: boolean
}
export interface LocalKafka {
  /** host:port of each, separated by commas. */
  readonly brokers: string
  readonly nodes: readonly LocalBroker[]
  /** Kills all brokers at once. */
  stop(): Promise<void>
}

const places = async ({ brokers, ports = 'free' }: KafkaOptions): Promise<Place[]> => {
  const taken = new Set<number>()
  const found: Place[] = []
  for (let id = 1; id <= brokers; id++) {
    const port = ports === 'free' ? await freePort(taken) : ports + id - 1
    const controllerPort = ports === 'free' ? await freePort(taken) : port + 10_000
    for (const each of ports === 'free' ? [] : [port, controllerPort]) {
      if (!(await isFree(each))) {
        throw new ServiceError(`port ${each} is taken: end what listens there (see: ss -ltnp 'sport = :${each}')`)
      }
    }
    found.push({ id, port, controllerPort })
  }
  return found
}

/** The cluster's id belongs to the data: made with the folder, kept in it. */
const clusterIdIn = async (folder: string): Promise<string> => {
  const file = join(folder, 'cluster-id')
  await mkdir(folder, { recursive: true })
  const made = `h${randomBytes(16).toString('base64url').slice(1)}`
  await writeFile(file, made, { flag: 'wx' }).catch(() => undefined)
  return readFile(file, 'utf8')
}

/**
 * Starts a local cluster (and installs it first, where it is not) and resolves when every broker answers.
 * Rejects with ServiceError, a line that says what to do.
 */
export const startKafka = async (options: KafkaOptions): Promise<LocalKafka> => {
  const { settings = {}, format = [], heap = ['-Xmx256m'] } = options
  const classPath = await installKafka()
  const cluster = await places(options)
  const clusterId = await clusterIdIn(options.folder)
  const watch = startWatch()
  const nodes: LocalBroker[] = []
  const launched = (): void => watch.tell(nodes.flatMap(({ pid }) => pid ?? []))
  for (const place of cluster) {
    const folder = join(options.folder, `broker-${place.id}`)
    nodes.push(
      new LocalBroker({
        place,
        cluster,
        clusterId,
        folder,
        classPath,
        settings: typeof settings === 'function' ? settings(place) : settings,
        format,
        heap,
        launched,
      }),
    )
  }
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map(node => node.kill()))
  }
  try {
    await Promise.all(nodes.map(node => node.launch()))
    await Promise.all(nodes.map(node => node.ready(nodes.length)))
  } catch (error) {
    await stop()
    throw error
  }
  if (options.background) watch.tell([])
  return { brokers: cluster.map(({ port }) => `127.0.0.1:${port}`).join(','), nodes, stop }
}
