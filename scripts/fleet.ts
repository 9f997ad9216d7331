import { Admin } from '@platformatic/kafka'
import { ended, launch, nodeArgs, runScript, ScriptError, showLines } from './launch.ts'

const LOCAL = '127.0.0.1:9092'

const number = (name: string, fallback: number, most: number): number => {
  const text = process.env[name] || String(fallback)
  if (!/^\d{1,5}$/.test(text) || Number(text) > most) throw new ScriptError(`${name}=${text}: a number up to ${most}`)
  return Number(text)
}

/** What differs from the defaults for nodes on the local Kafka: where it is, and how many copies it can keep. */
const localKafka = async (): Promise<Record<string, string>> => {
  const admin = new Admin({ clientId: 'fleet', bootstrapBrokers: [LOCAL], retries: 0, connectTimeout: 2_000 })
  try {
    const { brokers } = await admin.metadata({ forceUpdate: true })
    return {
      KAFKA_BROKERS: LOCAL,
      KAFKA_REPLICATION: process.env['KAFKA_REPLICATION'] || String(Math.min(3, brokers.size)),
    }
  } catch {
    throw new ScriptError(
      `No Kafka answers on ${LOCAL}: run make kafka first, or name another with KAFKA_BROKERS=host:port`,
    )
  } finally {
    await admin.close()
  }
}

/** One node after the other from PORT and STOMP_PORT up; they run until they end, or until Ctrl-C drains them all. */
await runScript(async () => {
  const nodes = number('NODES', 3, 100)
  const port = number('PORT', 8080, 65_535 - nodes)
  const stompPort = number('STOMP_PORT', 61_613, 65_535 - nodes)
  const kafka = process.env['KAFKA_BROKERS'] ? {} : await localKafka()
  const codes = Array.from({ length: nodes }, async (_, index) => {
    const name = `node ${String(index + 1).padStart(String(nodes).length)}`
    const ports = { PORT: String(port + index), STOMP_PORT: String(stompPort && stompPort + index) }
    const node = launch('node', nodeArgs, { env: { ...kafka, ...ports }, output: 'kept' })
    showLines(node, name)
    const code = await ended(node)
    process.stdout.write(`${name} | ended (exit code ${code})\n`)
    return code
  })
  return Math.max(...(await Promise.all(codes)))
})
