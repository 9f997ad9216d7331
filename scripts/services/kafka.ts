import { join } from 'node:path'
import { runCommand } from './command.ts'
import { startBackground, stopBackground } from './kafka-background.ts'
import { installKafka } from './kafka-install.ts'
import { ServiceError } from './process.ts'

export { startKafka } from './kafka-cluster.ts'
export type { KafkaOptions, LocalKafka } from './kafka-cluster.ts'
export type { LocalBroker } from './kafka-broker.ts'
export { installKafka, ServiceError }

const PORT = 9092
const data = join(import.meta.dirname, '../../.cache/kafka-data')

const HELP = `Usage: node scripts/services/kafka.ts <command>

  start     one Kafka broker in the background on 127.0.0.1:${PORT}; returns when it is ready
  cluster   three brokers on 127.0.0.1:${PORT} to ${PORT + 2}, replication 3, min ISR 2
  secure    one broker that asks for a password or a certificate over TLS, on 127.0.0.1:${PORT + 1} and ${PORT + 2}
  stop      ends what start, cluster or secure began, and nothing else; the data stays for the next start
  install   only downloads the broker, from Maven Central, as kafka/pom.xml says

Needs Java 17 or newer, and Maven for the first start. The data is in .cache/kafka-data: remove the folder to begin anew.
`

/** One broker that outlives this process, unless it runs. Resolves with a line that says where it is. */
export const startKafkaBackground = (): Promise<string> => startBackground({ command: 'start', port: PORT, data })

/** Ends what runs in the background, and nothing else. */
export const stopKafkaBackground = (): Promise<string> => stopBackground(data)

const commands: Record<string, () => Promise<string>> = {
  start: startKafkaBackground,
  cluster: () => startBackground({ command: 'cluster', port: PORT, data }),
  secure: () => startBackground({ command: 'secure', port: PORT, data }),
  stop: stopKafkaBackground,
  install: async () => `Kafka is installed: ${await installKafka()}`,
}

if (process.argv[1] === import.meta.filename) await runCommand('kafka', HELP, commands)
