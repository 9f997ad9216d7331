import { startBackground as startPostgres, stopBackground as stopPostgres } from './postgres.ts'
import { startBackground as startRedis, stopBackground as stopRedis } from './redis.ts'
import { runCommand } from './command.ts'
import { startKafkaBackground, stopKafkaBackground } from './kafka.ts'

const HELP = `Usage: node scripts/services/services.ts <command>

  start   Kafka, PostgreSQL and Redis in the background; says what to run on them
  stop    ends what start began, and nothing else; the data of Kafka and PostgreSQL stays
`

const start = async (): Promise<string> => {
  const lines = [await startKafkaBackground(), await startPostgres(), await startRedis()]
  const database = lines[1]!.slice(lines[1]!.indexOf(': ') + 2)
  const next = ['make fleet', `make admin NAME=... DATABASE_URL=${database}`]
  return [...lines, '', ...next].join('\n')
}

const stop = async (): Promise<string> =>
  [await stopRedis(), await stopPostgres(), await stopKafkaBackground()].join('\n')

const commands: Record<string, () => Promise<string>> = { start, stop }

if (process.argv[1] === import.meta.filename) await runCommand('services', HELP, commands)
