import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startKafka, type LocalKafka } from './kafka-cluster.ts'
import { run, ServiceError } from './process.ts'
import { howToConnect, startSecureKafka } from './kafka-secure.ts'

const STOP_WITHIN = 15_000

interface Running {
  readonly command: string
  readonly brokers: string
  readonly pids: readonly number[]
  /** What was said of how to connect, where an address does not say it all. */
  readonly how?: string
}
export interface Background {
  readonly command: 'start' | 'cluster' | 'secure'
  /** The first broker's port. */
  readonly port: number
  /** Where the data is, and the note of what runs. */
  readonly data: string
}

const noteIn = (data: string): string => join(data, 'running.json')

/** Whether `pid` is a broker of ours: ids are given again, so the process must name our folder too. */
const isOurs = async (pid: number, data: string): Promise<boolean> => {
  const { output } = await run('ps', ['-ww', '-o', 'args=', '-p', String(pid)], 'install procps')
  return output.includes(`${data}/`)
}

/** What an earlier command left running. */
const runningIn = async (data: string): Promise<Running | undefined> => {
  const text = await readFile(noteIn(data), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const written = JSON.parse(text) as Running
  const ours = await Promise.all(written.pids.map(pid => isOurs(pid, data)))
  const pids = written.pids.filter((_, index) => ours[index])
  return pids.length > 0 ? { ...written, pids } : undefined
}

const note = async (data: string, command: string, { brokers, nodes }: LocalKafka, how?: string): Promise<void> => {
  const pids = nodes.flatMap(({ pid }) => pid ?? [])
  const running: Running = { command, brokers, pids, ...(how !== undefined && { how }) }
  await writeFile(noteIn(data), JSON.stringify(running))
}

/** Starts brokers that outlive this process, unless they run. Resolves with a line that says where they are. */
export const startBackground = async ({ command, port, data }: Background): Promise<string> => {
  const already = await runningIn(data)
  if (already) {
    if (already.command === command) return already.how ?? `Kafka runs already: ${already.brokers}`
    throw new ServiceError(`Kafka runs already, begun by "${already.command}": stop it first`)
  }
  const folder = join(data, command)
  await mkdir(folder, { recursive: true })
  const options = { folder, ports: port, background: true } as const
  if (command === 'secure') {
    const secure = await startSecureKafka(options)
    const how = howToConnect(secure)
    await note(data, command, secure.kafka, how)
    return how
  }
  const kafka = await startKafka({ brokers: command === 'cluster' ? 3 : 1, ...options })
  await note(data, command, kafka)
  return `Kafka is ready: ${kafka.brokers}`
}

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It ended by itself meanwhile.
  }
}

/** Ends what `startBackground` began: asks first, and ends what has not ended after a while. A log is made for that. */
export const stopBackground = async (data: string): Promise<string> => {
  const { pids } = (await runningIn(data)) ?? { pids: [] }
  for (const pid of pids) signal(pid, 'SIGTERM')
  const deadline = Date.now() + STOP_WITHIN
  let left = [...pids]
  while (left.length > 0) {
    await delay(100)
    const ours = await Promise.all(left.map(pid => isOurs(pid, data)))
    left = left.filter((_, index) => ours[index])
    if (Date.now() > deadline) for (const pid of left) signal(pid, 'SIGKILL')
  }
  await rm(noteIn(data), { force: true })
  return pids.length > 0 ? 'Kafka has stopped' : 'Kafka was not running'
}
