import { join } from 'node:path'
import type { Test } from 'tap'
import { startKafka, type LocalKafka } from '../../scripts/services/kafka.ts'
import { startPostgres, type LocalPostgres } from '../../scripts/services/postgres.ts'
import { startRedis, type LocalRedis } from '../../scripts/services/redis.ts'
import { scratch } from './node.ts'

/** The brokers of a real Kafka that the test does not harm: the one that `make test` has started, or one of its own. */
export const kafkaBrokers = async (t: Test): Promise<string> =>
  process.env['KAFKA_TEST_BROKERS'] ?? (await ownKafka(t)).brokers

/** A real Kafka of the test's own, whose brokers it may kill. */
export const ownKafka = async (t: Test, brokers: 1 | 3 = 1): Promise<LocalKafka> => {
  const kafka = await startKafka({ brokers, folder: join(await scratch(t), 'kafka') })
  t.teardown(() => kafka.stop())
  return kafka
}

/** A real Redis that the test does not harm: the one that `make test` has started, or one of its own. */
export const redisUrl = async (t: Test): Promise<string> => process.env['REDIS_TEST_URL'] ?? (await ownRedis(t)).url

/** A real Redis of the test's own, which it may stop, empty and set up in its way. */
export const ownRedis = async (t: Test): Promise<LocalRedis> => {
  const redis = await startRedis()
  t.teardown(() => redis.kill())
  return redis
}

/** A real PostgreSQL that the test does not harm: the one that `make test` has started, or one of its own. */
export const postgresUrl = async (t: Test): Promise<string> =>
  process.env['POSTGRES_TEST_URL'] ?? (await ownPostgres(t)).url

/** A real PostgreSQL of the test's own, which it may stop, freeze and kill. */
export const ownPostgres = async (t: Test): Promise<LocalPostgres> => {
  const postgres = await startPostgres({ folder: join(await scratch(t), 'postgres') })
  t.teardown(() => postgres.stop())
  return postgres
}

/** A room name that no other test has, nor an earlier run on the same Kafka. */
export const freshRoom = (name: string): string => `${name}-${crypto.randomUUID()}`
