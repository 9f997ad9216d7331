import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from 'redis'
import { runCommand } from './command.ts'
import { freePort, isFree, run, ServiceError, startWatch } from './process.ts'

const PORT = 6379
const folder = join(import.meta.dirname, '../../.cache/redis')
const INSTALL = 'install Redis 6 or newer (Debian: apt-get install -y redis-server)'
const READY_WITHIN = 20_000
const ANSWER_WITHIN = 2_000
const TRY_EVERY = 20

export interface LocalRedis {
  /** redis://127.0.0.1:<port> */
  readonly url: string
  readonly port: number
  /** kill -9; resolves when the process is gone. Nothing that it knew is left. */
  kill(): Promise<void>
  /** Starts it again, on the same port, and waits until it is ready. */
  start(): Promise<void>
  /** Sends any signal, such as SIGSTOP and SIGCONT. */
  signal(name: NodeJS.Signals): void
}

const urlOf = (port: number): string => `redis://127.0.0.1:${port}`

/** Nothing is kept on disk, and nothing is forgotten to make room. */
const settings = (port: number): string[] =>
  Object.entries({ port, bind: '127.0.0.1', save: '', appendonly: 'no', 'maxmemory-policy': 'noeviction' }).flatMap(
    ([name, value]) => [`--${name}`, String(value)],
  )

/** Works with the Redis on a port, or resolves with undefined where none answers. */
const withRedis = async <T>(
  port: number,
  work: (client: ReturnType<typeof clientOf>) => Promise<T>,
): Promise<T | undefined> => {
  const client = clientOf(port)
  client.on('error', () => undefined)
  // Whoever listens there may be no Redis, and say nothing.
  const late = setTimeout(() => client.isOpen && client.destroy(), ANSWER_WITHIN)
  try {
    await client.connect()
    return await work(client)
  } catch {
    return undefined
  } finally {
    clearTimeout(late)
    if (client.isOpen) client.destroy()
  }
}
const clientOf = (port: number) =>
  createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: false, connectTimeout: ANSWER_WITHIN } })

/** Resolves when the Redis on this port answers; rejects where `running` says that there is none any more. */
const ready = async (port: number, running: () => boolean): Promise<void> => {
  const deadline = Date.now() + READY_WITHIN
  while ((await withRedis(port, client => client.ping())) === undefined) {
    if (!running()) throw new ServiceError(`Redis ended while it started: look with redis-server --port ${port}`)
    if (Date.now() > deadline)
      throw new ServiceError(`Redis on port ${port} is not ready after ${READY_WITHIN / 1000} s`)
    await delay(TRY_EVERY)
  }
}

/** Starts a real Redis on a free port that ends with this process, however that ends, and resolves when it answers. */
export const startRedis = async (): Promise<LocalRedis> => {
  const port = await freePort(new Set())
  const watch = startWatch()
  let running: ChildProcess | undefined
  const start = async (): Promise<void> => {
    const child = spawn('redis-server', settings(port), { detached: true, stdio: 'ignore' })
    running = child
    const spawned = new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', () => reject(new ServiceError(`redis-server was not found: ${INSTALL}`)))
    })
    child.once('exit', () => {
      if (running === child) running = undefined
    })
    await spawned
    child.unref()
    watch.tell([child.pid!])
    await ready(port, () => running === child)
  }
  const kill = async (): Promise<void> => {
    const child = running
    if (!child) return
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.ref()
    child.kill('SIGKILL')
    await gone
  }
  await start()
  const signal = (name: NodeJS.Signals): void => void running?.kill(name)
  return { url: urlOf(port), port, kill, start, signal }
}

const pidFile = (data: string): string => join(data, 'redis.pid')

/** Whether the Redis on this port is the one that `startBackground` began: it names its pid file. */
const isOurs = async (port: number, data: string): Promise<boolean> =>
  (await withRedis(port, client => client.configGet('pidfile')))?.['pidfile'] === pidFile(data)

/** Where the one that `startBackground` began is, or undefined where it does not run. */
export const findBackground = async (port = PORT, data = folder): Promise<string | undefined> =>
  (await isOurs(port, data)) ? urlOf(port) : undefined

/** Starts a Redis that outlives this process, unless it runs. Resolves with a line that says where it is. */
export const startBackground = async (port = PORT, data = folder): Promise<string> => {
  const url = urlOf(port)
  if (await isOurs(port, data)) return `Redis runs already: ${url}`
  if (!(await isFree(port))) {
    throw new ServiceError(`port ${port} is taken: end what listens there (see: ss -ltnp 'sport = :${port}')`)
  }
  await mkdir(data, { recursive: true })
  const more = ['--daemonize', 'yes', '--pidfile', pidFile(data), '--dir', data]
  await run('redis-server', [...settings(port), ...more], INSTALL)
  await ready(port, () => true)
  return `Redis is ready: ${url}`
}

/** Ends what `startBackground` began, and nothing else. */
export const stopBackground = async (port = PORT, data = folder): Promise<string> => {
  if (!(await isOurs(port, data))) return 'Redis was not running'
  // The answer to this is the end of the connection.
  await withRedis(port, client => client.sendCommand(['SHUTDOWN', 'NOSAVE']))
  while (!(await isFree(port))) await delay(TRY_EVERY)
  return 'Redis has stopped'
}

const HELP = `Usage: node scripts/services/redis.ts <command>

  start   a Redis in the background on 127.0.0.1:${PORT}, which keeps nothing on disk; returns when it is ready
  stop    ends what start began, and nothing else
`
const commands: Record<string, () => Promise<string>> = {
  start: () => startBackground(),
  stop: () => stopBackground(),
}

if (process.argv[1] === import.meta.filename) await runCommand('redis', HELP, commands)
