import { spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { LocalBroker } from './kafka-broker.ts'
import type { Place } from './kafka-broker.ts'
import { installKafka, ServiceError } from './kafka-install.ts'

type Settings = Readonly<Record<string, string>>

export interface KafkaOptions {
  readonly brokers: 1 | 3
  /** Where the brokers keep their data. What an earlier start left there is used again. */
  readonly folder: string
  /** The port of the first broker, the others follow it; 'free' (the default) finds some. */
  readonly ports?: 'free' | number
  /** More lines for the brokers' server.properties. They win over all others. */
  readonly settings?: Settings | ((place: Place) => Settings)
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

const free = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })

/**
 * Ports below those that the system gives to outgoing connections. From among those, a client that keeps trying to reach
 * a broker that is down would one day be given the broker's own port, connect to itself and keep the broker from it.
 */
const freePort = async (taken: Set<number>): Promise<number> => {
  for (;;) {
    const port = randomInt(15_000, 32_000)
    if (taken.has(port)) continue
    taken.add(port)
    if (await free(port)) return port
  }
}

const places = async ({ brokers, ports = 'free' }: KafkaOptions): Promise<Place[]> => {
  const taken = new Set<number>()
  const found: Place[] = []
  for (let id = 1; id <= brokers; id++) {
    const port = ports === 'free' ? await freePort(taken) : ports + id - 1
    const controllerPort = ports === 'free' ? await freePort(taken) : port + 10_000
    for (const each of ports === 'free' ? [] : [port, controllerPort]) {
      if (!(await free(each))) {
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

/** A process that outlives this one just long enough to kill, when its input ends, the brokers it was last told of. */
const startWatch = (): { tell(pids: readonly number[]): void } => {
  const script = 'pids=; while read -r line; do pids=$line; done; [ -z "$pids" ] || kill -9 $pids'
  const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  child.unref()
  child.stdin.on('error', () => undefined)
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
  return { tell: pids => void child.stdin.write(`${pids.join(' ')}\n`) }
}

/**
 * Starts a local cluster (and installs it first, where it is not) and resolves when every broker answers.
 * Rejects with ServiceError, a line that says what to do.
 */
export const startKafka = async (options: KafkaOptions): Promise<LocalKafka> => {
  const { settings = {} } = options
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
