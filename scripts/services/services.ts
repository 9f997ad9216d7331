import { startBackground as startPostgres, stopBackground as stopPostgres } from './postgres.ts'
import { startBackground as startRedis, stopBackground as stopRedis } from './redis.ts'
import { runCommand } from './command.ts'
import { startKafkaBackground, stopKafkaBackground } from './kafka.ts'

const HELP = `Usage: node scripts/services/services.ts <command>

  start   Kafka, PostgreSQL and Redis in the background; says how a node is told of them
  stop    ends what start began, and nothing else; the data of Kafka and PostgreSQL stays
`

const start = async (): Promise<string> => {
  const lines = [await startKafkaBackground(), await startPostgres(), await startRedis()]
  const [kafka, postgres, redis] = lines.map(line => line.slice(line.indexOf(': ') + 2))
  const keys = `KAFKA_BROKERS=${kafka} KAFKA_REPLICATION=1 DATABASE_URL=${postgres} REDIS_URL=${redis}`
  return [...lines, '', `make start ${keys}`].join('\n')
}

const stop = async (): Promise<string> =>
  [await stopRedis(), await stopPostgres(), await stopKafkaBackground()].join('\n')

const commands: Record<string, () => Promise<string>> = { start, stop }

if (process.argv[1] === import.meta.filename) await runCommand('services', HELP, commands)
