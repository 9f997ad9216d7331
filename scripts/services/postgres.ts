import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { chmod, chown, mkdir, open, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { runCommand } from './command.ts'
import { installPostgres, type Programs } from './postgres-install.ts'
import { freePort, isFree, ServiceError, startWatch } from './process.ts'

const PORT = 5432
const NAME = 'hoofbeat'
const READY_WITHIN = 30_000
const ANSWER_WITHIN = 2_000
const TRY_EVERY = 20
/** PostgreSQL refuses to run as root: then it runs as nobody. */
const asRoot = process.getuid?.() === 0
const NOBODY = 65_534

export interface PostgresOptions {
  /** For its data, made where it does not exist. */
  readonly folder: string
}

export interface LocalPostgres {
  /** postgres://postgres@127.0.0.1:<port>/postgres */
  readonly url: string
  readonly port: number
  /** kill -9; resolves when it is gone. */
  kill(): Promise<void>
  /** Starts it again, on the same port and data, and waits until it is ready. */
  start(): Promise<void>
  /** Ends it. The data stays. */
  stop(): Promise<void>
  /** Sends any signal to all its processes, such as SIGSTOP and SIGCONT. */
  signal(name: NodeJS.Signals): void
}

const urlOf = (port: number, database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`

/** The nearest folder, of `folder` and those that it is in, that others than its owner may not enter. */
const closedFolder = (folder: string): string | undefined => {
  for (let at = folder; ; at = dirname(at)) {
    const found = statSync(at, { throwIfNoEntry: false })
    if (found && (found.mode & 0o001) === 0) return at
    if (at === dirname(at)) return undefined
  }
}

/** Where things are kept between runs: with the system's own where nobody may not enter this folder. */
const kept = (name: string): string => {
  const folder = join(import.meta.dirname, '../../.cache', name)
  return asRoot && closedFolder(dirname(folder)) !== undefined ? join('/var/cache/hoofbeat', name) : folder
}

/** Makes a data folder that belongs to whoever the server runs as, and that it can get to. */
const makeFolder = async (folder: string): Promise<void> => {
  await mkdir(folder, { recursive: true, mode: 0o755 })
  if (!asRoot) return
  await chown(folder, NOBODY, NOBODY)
  const outside = dirname(folder)
  for (let closed = closedFolder(outside); closed !== undefined; closed = closedFolder(outside)) {
    if (!`${closed}/`.startsWith(`${tmpdir()}/`)) {
      throw new ServiceError(`PostgreSQL, which does not run as root, may not enter ${closed}: chmod o+x ${closed}`)
    }
    await chmod(closed, 0o711)
  }
}

const launch = async ({ bin, env }: Programs, program: string, args: readonly string[], log: string) => {
  const output = await open(log, 'a')
  const user = asRoot ? { uid: NOBODY, gid: NOBODY } : {}
  const options = { env: { ...process.env, ...env, LC_ALL: 'C' }, cwd: '/', detached: true, ...user }
  const child = spawn(join(bin, program), args, { ...options, stdio: ['ignore', output.fd, output.fd] })
  await output.close()
  return child
}

const ended = (child: ChildProcess): Promise<number | null> =>
  new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })

const logOf = (folder: string): string => join(folder, 'log')
const dataOf = (folder: string): string => join(folder, 'data')

const failed = async (what: string, folder: string): Promise<ServiceError> => {
  const lines = (await readFile(logOf(folder), 'utf8').catch(() => '')).trimEnd().split('\n')
  return new ServiceError(`${what}: ${lines.at(-1)} (see ${logOf(folder)})`)
}

/** Makes the data, once. Its own order of text is not that of bytes, so that whoever needs that has to ask for it. */
const initialise = async (programs: Programs, folder: string): Promise<void> => {
  await makeFolder(folder)
  if (statSync(join(dataOf(folder), 'PG_VERSION'), { throwIfNoEntry: false })) return
  const locale = ['--locale-provider=icu', '--icu-locale=und', '--locale=C.UTF-8', '--encoding=UTF8']
  const args = ['-D', dataOf(folder), '-U', 'postgres', '--auth=trust', '--no-sync', '--no-instructions', ...locale]
  const code = await ended(await launch(programs, 'initdb', args, logOf(folder)))
  if (code !== 0) throw await failed('PostgreSQL could not make its data', folder)
}

const settings = (port: number): string[] =>
  Object.entries({
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    // Its compiler for queries is not among what is unpacked.
    jit: 'off',
  }).flatMap(([name, value]) => ['-c', `${name}=${value}`])

/** What the PostgreSQL on a port answers, or undefined where none does. */
const ask = async (port: number, text: string, database = 'postgres'): Promise<string | undefined> => {
  const limits = { connectionTimeoutMillis: ANSWER_WITHIN, query_timeout: ANSWER_WITHIN }
  const client = new pg.Client({ connectionString: urlOf(port, database), ...limits })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query<unknown[]>({ text, rowMode: 'array' })
    return String(rows[0]?.[0])
  } catch {
    return undefined
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Resolves when the PostgreSQL on this port answers; rejects where `running` says that there is none any more. */
const ready = async (port: number, folder: string, running: () => boolean): Promise<void> => {
  const deadline = Date.now() + READY_WITHIN
  while ((await ask(port, 'select 1')) === undefined) {
    if (!running()) throw await failed('PostgreSQL ended while it started', folder)
    if (Date.now() > deadline) throw await failed(`PostgreSQL is not ready after ${READY_WITHIN / 1000} s`, folder)
    await delay(TRY_EVERY)
  }
}

/** The server and what it has started for its connections, each of which is a session of its own. */
const processesOf = (server: number): number[] => {
  const children = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(name => {
      try {
        // `pid (command) state parent …`
        return Number(readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1]) === server
      } catch {
        return false
      }
    })
  return [server, ...children.map(Number)]
}

const send = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended by itself meanwhile.
  }
}

/**
 * Starts a real PostgreSQL on a free port, with fsync as it comes and without passwords, that ends with this process, however
 * that ends; resolves when it answers.
 */
export const startPostgres = async ({ folder }: PostgresOptions): Promise<LocalPostgres> => {
  const programs = await installPostgres(kept('postgres'))
  await initialise(programs, folder)
  const port = await freePort(new Set())
  // Not kill -9, which would leave a little shared memory behind.
  const watch = startWatch('QUIT')
  let running: ChildProcess | undefined
  const start = async (): Promise<void> => {
    const child = await launch(programs, 'postgres', ['-D', dataOf(folder), ...settings(port)], logOf(folder))
    running = child
    child.once('exit', () => {
      if (running === child) running = undefined
    })
    child.unref()
    watch.tell([child.pid!])
    await ready(port, folder, () => running === child)
  }
  const end = async (how: (child: ChildProcess) => void): Promise<void> => {
    const child = running
    if (!child) return
    child.ref()
    const gone = ended(child)
    how(child)
    await gone
  }
  const signal = (name: NodeJS.Signals): void => {
    for (const pid of running ? processesOf(running.pid!) : []) send(pid, name)
  }
  const kill = (): Promise<void> => end(() => signal('SIGKILL'))
  const stop = (): Promise<void> =>
    end(child => {
      signal('SIGCONT')
      // Whoever is connected is disconnected.
      child.kill('SIGINT')
    })
  await start()
  return { url: urlOf(port, 'postgres'), port, kill, start, stop, signal }
}

/** Whether the PostgreSQL on this port is the one that `startBackground` began. */
const isOurs = async (port: number, folder: string): Promise<boolean> =>
  (await ask(port, 'show data_directory')) === dataOf(folder)

/** Where the one that `startBackground` began is, or undefined where it does not run. */
export const findBackground = async (port = PORT, folder = kept('postgres-data')): Promise<string | undefined> =>
  (await isOurs(port, folder)) ? urlOf(port, NAME) : undefined

/** Starts a PostgreSQL that outlives this process, unless it runs. Resolves with a line that says where it is. */
export const startBackground = async (port = PORT, folder = kept('postgres-data')): Promise<string> => {
  const url = urlOf(port, NAME)
  if (await isOurs(port, folder)) return `PostgreSQL runs already: ${url}`
  if (!(await isFree(port))) {
    throw new ServiceError(`port ${port} is taken: end what listens there (see: ss -ltnp 'sport = :${port}')`)
  }
  const programs = await installPostgres(kept('postgres'))
  await initialise(programs, folder)
  const child = await launch(programs, 'postgres', ['-D', dataOf(folder), ...settings(port)], logOf(folder))
  let running = true
  child.once('exit', () => {
    running = false
  })
  child.unref()
  await ready(port, folder, () => running)
  if ((await ask(port, `select 1 from pg_database where datname = '${NAME}'`)) !== '1') {
    await ask(port, `create database ${NAME}`)
  }
  return `PostgreSQL is ready: ${url}`
}

/** Ends what `startBackground` began, and nothing else. The data stays. */
export const stopBackground = async (port = PORT, folder = kept('postgres-data')): Promise<string> => {
  if (!(await isOurs(port, folder))) return 'PostgreSQL was not running'
  const [pid] = (await readFile(join(dataOf(folder), 'postmaster.pid'), 'utf8')).split('\n')
  send(Number(pid), 'SIGINT')
  while (!(await isFree(port))) await delay(TRY_EVERY)
  return 'PostgreSQL has stopped'
}

const HELP = `Usage: node scripts/services/postgres.ts <command>

  start   a PostgreSQL in the background on 127.0.0.1:${PORT}, for anyone on this machine; returns when it is ready
  stop    ends what start began, and nothing else; the data stays for the next start

Takes the PostgreSQL of this machine, or downloads Debian's into .cache/postgres. The data is in .cache/postgres-data:
remove the folder to begin anew.
`
const commands: Record<string, () => Promise<string>> = {
  start: () => startBackground(),
  stop: () => stopBackground(),
}

if (process.argv[1] === import.meta.filename) await runCommand('postgres', HELP, commands)
