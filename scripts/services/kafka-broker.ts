import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { run, ServiceError } from './process.ts'

const properties = join(import.meta.dirname, '../../kafka/server.properties')
const JAVA = 'install Java 17 or newer (Debian: apt-get install -y openjdk-17-jre-headless)'
const READY_WITHIN = 60_000

/** Where one broker of a local cluster is. */
export interface Place {
  readonly id: number
  readonly port: number
  readonly controllerPort: number
}
export interface BrokerOptions {
  readonly place: Place
  /** All brokers of the cluster, this one too. */
  readonly cluster: readonly Place[]
  readonly clusterId: string
  /** The broker's own folder: its settings, its output and its data. */
  readonly folder: string
  readonly classPath: string
  /** More lines for server.properties; they win. */
  readonly settings: Readonly<Record<string, string>>
  /** More arguments for the tool that prepares the folder. */
  readonly format: readonly string[]
  /** Of its memory, as `java` takes them. */
  readonly heap: readonly string[]
  /** Called whenever the broker got a new process. */
  readonly launched: () => void
}

const settingsOf = ({ place, cluster, folder, settings }: BrokerOptions): Record<string, string> => {
  const copies = String(cluster.length)
  const inSync = String(Math.min(2, cluster.length))
  return {
    'node.id': String(place.id),
    'listeners': `PLAINTEXT://127.0.0.1:${place.port},CONTROLLER://127.0.0.1:${place.controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${place.port}`,
    'controller.quorum.voters': cluster.map(({ id, controllerPort }) => `${id}@127.0.0.1:${controllerPort}`).join(','),
    'log.dirs': join(folder, 'data'),
    'default.replication.factor': copies,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': copies,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': inSync,
    ...settings,
  }
}

/** What a broker that did not start printed last, as one line. */
const reasonIn = (output: string): string => {
  if (output.includes('UnsupportedClassVersionError')) return `this Java is too old: ${JAVA}`
  const told = output.split('\n').filter(line => /Exception|ERROR|FATAL|Error/.test(line))
  return told.at(-1)?.trim() ?? 'it printed nothing'
}

/** One broker of a local cluster, in a Java process of its own. */
export class LocalBroker {
  readonly id: number
  readonly port: number
  /** What the broker prints. */
  readonly output: string
  readonly #options: BrokerOptions
  #process: ChildProcess | undefined

  constructor(options: BrokerOptions) {
    this.id = options.place.id
    this.port = options.place.port
    this.output = join(options.folder, 'output.log')
    this.#options = options
  }

  /** The Java process, while it runs. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Starts the process. It is not ready yet. It belongs to no terminal: Ctrl-C there does not reach it. */
  async launch(): Promise<void> {
    const { folder, classPath, clusterId, format: more, heap } = this.#options
    const file = join(folder, 'server.properties')
    await mkdir(folder, { recursive: true })
    const lines = Object.entries(settingsOf(this.#options)).map(([key, value]) => `${key}=${value}\n`)
    await writeFile(file, (await readFile(properties, 'utf8')) + '\n' + lines.join(''))
    if (!existsSync(join(folder, 'data/meta.properties'))) {
      const format = ['-cp', classPath, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', file, ...more]
      const { code, output } = await run('java', ['-Xmx64m', ...format], JAVA)
      if (code !== 0) throw new ServiceError(`the broker's folder could not be prepared: ${reasonIn(output)}`)
    }
    const log = await open(this.output, 'w')
    const level = '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'
    const child = spawn('java', [...heap, level, '-cp', classPath, 'kafka.Kafka', file], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    })
    this.#process = child
    child.on('exit', () => {
      if (this.#process === child) this.#process = undefined
    })
    // Without java there is an error and no exit; `ready` then finds no process.
    child.on('error', () => {
      if (this.#process === child) this.#process = undefined
    })
    child.unref()
    this.#options.launched()
    await log.close()
  }

  /** Resolves once this broker answers that `brokers` of them are there. Rejects with ServiceError if it ends instead. */
  async ready(brokers: number): Promise<void> {
    const admin = new Admin({
      clientId: 'local-broker',
      bootstrapBrokers: [`127.0.0.1:${this.port}`],
      retries: 0,
      connectTimeout: 1_000,
      requestTimeout: 1_000,
    })
    const deadline = Date.now() + READY_WITHIN
    try {
      for (;;) {
        const running = this.#process !== undefined
        const metadata = await admin.metadata({ forceUpdate: true }).catch(() => undefined)
        if (running && metadata?.brokers.has(this.id) && metadata.brokers.size >= brokers) return
        if (!running || Date.now() > deadline) {
          const reason = reasonIn(await readFile(this.output, 'utf8').catch(() => ''))
          const what = running ? `is not ready after ${READY_WITHIN / 1000} s` : 'ended while it started'
          throw new ServiceError(`broker ${this.id} on port ${this.port} ${what}: ${reason}`)
        }
        await delay(50)
      }
    } finally {
      await admin.close()
    }
  }

  /** Starts the broker again, on the same folder and port, and waits until it is ready. */
  async start(): Promise<void> {
    await this.launch()
    await this.ready(1)
  }

  /** Sends any signal, such as SIGSTOP and SIGCONT. */
  signal(name: NodeJS.Signals): void {
    if (this.pid !== undefined) process.kill(this.pid, name)
  }

  /** kill -9, or the signal given; resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (!child) return
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.ref()
    child.kill(signal)
    await gone
  }
}
