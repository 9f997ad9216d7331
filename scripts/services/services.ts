import { startBackground as startPostgres, stopBackground as stopPostgres } from './postgres.ts'
import { startBackground as startRedis, stopBackground as stopRedis } from './redis.ts'
import { ServiceError } from './kafka-install.ts'
import { startKafkaBackground, stopKafkaBackground } from './kafka.ts'

const HELP = `Usage: node scripts/services/services.ts <command>

  start   Kafka, PostgreSQL and Redis in the background; says how a node is told of them
  stop    ends what start began, and nothing else; the data of Kafka and PostgreSQL stays
`

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const start = async (): Promise<void> => {
  const lines = [await startKafkaBackground(), await startPostgres(), await startRedis()]
  for (const line of lines) say(line)
  const [kafka, postgres, redis] = lines.map(line => line.slice(line.indexOf(': ') + 2))
  say(`\nmake start KAFKA_BROKERS=${kafka} KAFKA_REPLICATION=1 DATABASE_URL=${postgres} REDIS_URL=${redis}`)
}

const stop = async (): Promise<void> => {
  for (const stopping of [stopRedis, stopPostgres, stopKafkaBackground]) say(await stopping())
}

const commands: Record<string, () => Promise<void>> = { start, stop }

if (process.argv[1] === import.meta.filename) {
  const name = process.argv[2] ?? ''
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) {
    const asked = name === '--help' || name === 'help'
    process[asked ? 'stdout' : 'stderr'].write(HELP)
    process.exit(asked ? 0 : 2)
  }
  try {
    await command()
    process.exit(0)
  } catch (error) {
    process.stderr.write(`services: ${error instanceof ServiceError ? error.message : String(error)}\n`)
    process.exit(1)
  }
}
