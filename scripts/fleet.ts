import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import { keys, type ConfigKey } from '../server/config.ts'
import { ended, launch, nodeArgs, root, runScript, ScriptError, showLines } from './launch.ts'
import { findBackground as findPostgres } from './services/postgres.ts'
import { findBackground as findRedis } from './services/redis.ts'

const LOCAL = '127.0.0.1:9092'

type Environment = Partial<Record<ConfigKey, string>>

const number = (name: string, fallback: number, most: number): number => {
  const text = process.env[name] || String(fallback)
  if (!/^\d{1,5}$/.test(text) || Number(text) > most) throw new ScriptError(`${name}=${text}: a number up to ${most}`)
  return Number(text)
}

/** The local Kafka, and how many copies it can keep. */
const localKafka = async (): Promise<Environment> => {
  const admin = new Admin({ clientId: 'fleet', bootstrapBrokers: [LOCAL], retries: 0, connectTimeout: 2_000 })
  try {
    const { brokers } = await admin.metadata({ forceUpdate: true })
    return {
      KAFKA_BROKERS: LOCAL,
      KAFKA_REPLICATION: process.env['KAFKA_REPLICATION'] || String(Math.min(3, brokers.size)),
    }
  } catch {
    return {}
  } finally {
    await admin.close()
  }
}

/** What the sessions of the local PostgreSQL are signed with: made once, and readable by its owner only. */
const localSecret = async (): Promise<string> => {
  const file = join(root, '.cache/session-secret')
  await mkdir(join(root, '.cache'), { recursive: true })
  const made = randomBytes(32).toString('base64url')
  await writeFile(file, made, { mode: 0o600, flag: 'wx', flush: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  return readFile(file, 'utf8')
}

const localPostgres = async (): Promise<Environment> => {
  const url = await findPostgres()
  return url === undefined
    ? {}
    : { DATABASE_URL: url, SESSION_SECRET: process.env['SESSION_SECRET'] || (await localSecret()) }
}

const localRedis = async (): Promise<Environment> => {
  const url = await findRedis()
  return url === undefined ? {} : { REDIS_URL: url }
}

/** What nodes are given where nothing else is named: what runs on this machine. */
const localServices = async (): Promise<Environment> => {
  const product = (process.env['ACCESS'] || keys.ACCESS.fallback) === 'accounts'
  const found: Environment = {}
  const missing: ConfigKey[] = []
  const look = async (key: ConfigKey, local: () => Promise<Environment>, needed: boolean): Promise<void> => {
    if (process.env[key]) return
    Object.assign(found, await local())
    if (needed && found[key] === undefined) missing.push(key)
  }
  await look('KAFKA_BROKERS', localKafka, true)
  if (product) await look('DATABASE_URL', localPostgres, true)
  await look('REDIS_URL', localRedis, product)
  if (missing.length > 0) {
    const command = product ? 'make services' : 'make kafka'
    throw new ScriptError(
      `Nothing runs here for ${missing.join(', ')}: run ${command} first, or name what is to be used`,
    )
  }
  return found
}

/** One node after the other from PORT and STOMP_PORT up; they run until they end, or until Ctrl-C drains them all. */
await runScript(async () => {
  const nodes = number('NODES', 3, 100)
  const port = number('PORT', 8080, 65_535 - nodes)
  const stompPort = process.env['STOMP_PORT'] === 'off' ? 'off' : number('STOMP_PORT', 61_613, 65_535 - nodes)
  const services = await localServices()
  const codes = Array.from({ length: nodes }, async (_, index) => {
    const name = `node ${String(index + 1).padStart(String(nodes).length)}`
    // 0 is any free one, for each of them.
    const at = (first: number): string => String(first && first + index)
    const ports = { PORT: at(port), STOMP_PORT: stompPort === 'off' ? stompPort : at(stompPort) }
    const node = launch('node', nodeArgs, { env: { ...services, ...ports }, output: 'kept' })
    showLines(node, name)
    const code = await ended(node)
    process.stdout.write(`${name} | ended (exit code ${code})\n`)
    return code
  })
  return Math.max(...(await Promise.all(codes)))
})
