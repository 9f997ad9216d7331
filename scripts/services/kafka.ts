import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startKafka } from './kafka-cluster.ts'
import { installKafka, run, ServiceError } from './kafka-install.ts'

export { startKafka } from './kafka-cluster.ts'
export type { KafkaOptions, LocalKafka } from './kafka-cluster.ts'
export type { LocalBroker } from './kafka-broker.ts'
export { installKafka, ServiceError }

const PORT = 9092
const STOP_WITHIN = 15_000
const data = join(import.meta.dirname, '../../.cache/kafka-data')
const pidFile = join(data, 'running.json')

const HELP = `Usage: node scripts/services/kafka.ts <command>

  start     one Kafka broker in the background on 127.0.0.1:${PORT}; returns when it is ready
  cluster   three brokers on 127.0.0.1:${PORT} to ${PORT + 2}, replication 3, min ISR 2
  stop      ends what start or cluster began, and nothing else; the data stays for the next start
  install   only downloads the broker, from Maven Central, as kafka/pom.xml says

Needs Java 17 or newer, and Maven for the first start. The data is in .cache/kafka-data: remove the folder to begin anew.
`

interface Running {
  readonly command: string
  readonly brokers: string
  readonly pids: readonly number[]
}

/** Whether `pid` is a broker of ours: ids are given again, so the process must name our folder too. */
const isOurs = async (pid: number): Promise<boolean> => {
  const { output } = await run('ps', ['-ww', '-o', 'args=', '-p', String(pid)], 'install procps')
  return output.includes(data)
}

/** What an earlier command left running. */
const running = async (): Promise<Running | undefined> => {
  const text = await readFile(pidFile, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const written = JSON.parse(text) as Running
  const ours = await Promise.all(written.pids.map(isOurs))
  const pids = written.pids.filter((_, index) => ours[index])
  return pids.length > 0 ? { ...written, pids } : undefined
}

const start = async (command: 'start' | 'cluster'): Promise<string> => {
  const already = await running()
  if (already) {
    if (already.command === command) return `Kafka runs already: ${already.brokers}`
    throw new ServiceError(`Kafka runs already, begun by "${already.command}": stop it first`)
  }
  const folder = join(data, command)
  await mkdir(folder, { recursive: true })
  const kafka = await startKafka({ brokers: command === 'cluster' ? 3 : 1, folder, ports: PORT, background: true })
  const pids = kafka.nodes.flatMap(({ pid }) => pid ?? [])
  await writeFile(pidFile, JSON.stringify({ command, brokers: kafka.brokers, pids } satisfies Running))
  return `Kafka is ready: ${kafka.brokers}`
}

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It ended by itself meanwhile.
  }
}

/** Asks the processes to end, and ends those that have not after a while: the log is made for that. */
const stop = async (): Promise<string> => {
  const { pids } = (await running()) ?? { pids: [] }
  for (const pid of pids) signal(pid, 'SIGTERM')
  const deadline = Date.now() + STOP_WITHIN
  let left = [...pids]
  while (left.length > 0) {
    await delay(100)
    const ours = await Promise.all(left.map(isOurs))
    left = left.filter((_, index) => ours[index])
    if (Date.now() > deadline) for (const pid of left) signal(pid, 'SIGKILL')
  }
  await rm(pidFile, { force: true })
  return pids.length > 0 ? 'Kafka has stopped' : 'Kafka was not running'
}

const commands: Record<string, () => Promise<string>> = {
  start: () => start('start'),
  cluster: () => start('cluster'),
  stop,
  install: async () => `Kafka is installed: ${await installKafka()}`,
}

if (process.argv[1] === import.meta.filename) {
  const name = process.argv[2] ?? ''
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) {
    process[name === '--help' || name === 'help' ? 'stdout' : 'stderr'].write(HELP)
    process.exit(name === '--help' || name === 'help' ? 0 : 2)
  }
  try {
    process.stdout.write(`${await command()}\n`)
    process.exit(0)
  } catch (error) {
    process.stderr.write(`kafka: ${error instanceof ServiceError ? error.message : String(error)}\n`)
    process.exit(1)
  }
}
