import t, { type Test } from 'tap'
import type { LocalRedis } from '../../../scripts/services/redis.ts'
import type { Count, Counters } from '../../ports/counters.ts'
import { countersContract } from '../../ports/counters.contract.ts'
import { silent } from '../../testkit/database.ts'
import { ownRedis, redisUrl } from '../../testkit/services.ts'
import { openRedisCounters } from './counters.ts'
import { operate, recording } from './testkit/redis.ts'

/** What counts while Redis is away, and says so: a thousand and one is the first. */
const otherwise = (): Counters => {
  let count = 1000
  return { add: async (): Promise<Count> => ({ count: ++count, left: 1 }), clear: async () => void (count = 1000) }
}

const shared = await redisUrl(t)
countersContract(t, async () => openRedisCounters({ url: shared, otherwise: otherwise(), logger: silent }))

const LOST = 'Redis does not answer: each node counts logins and quotas by itself'
const FOUND = 'Redis answers: logins and quotas are counted on all nodes together'

const opened = (t: Test, { url }: Pick<LocalRedis, 'url'>) => {
  const { logger, count, logged } = recording()
  const driver = openRedisCounters({ url, otherwise: otherwise(), logger })
  t.teardown(() => driver.close())
  return { counters: driver.port, driver, count, logged }
}

void t.test('two nodes count together', async t => {
  const redis = await ownRedis(t)
  const [one, two] = [opened(t, redis), opened(t, redis)]
  await Promise.all([one.driver.check(5_000), two.driver.check(5_000)])
  t.equal((await one.counters.add('a', 60_000)).count, 1)
  t.equal((await two.counters.add('a', 60_000)).count, 2)
  await one.counters.clear('a')
  t.equal((await two.counters.add('a', 60_000)).count, 1)
})

void t.test('while Redis is away each goes on by itself, and one line says so', async t => {
  const redis = await ownRedis(t)
  const { counters, driver, count, logged } = opened(t, redis)
  await driver.check(5_000)
  t.equal((await counters.add('a', 60_000)).count, 1)
  await redis.kill()
  await logged(LOST)
  t.equal((await counters.add('a', 60_000)).count, 1001)
  t.equal((await counters.add('a', 60_000)).count, 1002)
  await counters.clear('a')
  t.equal((await counters.add('a', 60_000)).count, 1001)
  await t.rejects(driver.check(100), { code: 'PRESENCE_UNAVAILABLE' })
  await redis.start()
  await logged(FOUND, 2)
  await driver.check(5_000)
  t.equal((await counters.add('a', 60_000)).count, 1)
  t.same([count(LOST), count(FOUND)], [1, 2])
})

void t.test('one that hangs, or takes nothing, is not waited for', async t => {
  const redis = await ownRedis(t)
  const { counters, driver } = opened(t, redis)
  await driver.check(5_000)
  redis.signal('SIGSTOP')
  t.equal((await counters.add('a', 60_000)).count, 1001)
  redis.signal('SIGCONT')
  await driver.check(5_000)
  await driver.close()
  await driver.close()
  t.equal((await counters.add('a', 60_000)).count, 1002)
})

void t.test('away from the start', async t => {
  const redis = await ownRedis(t)
  await redis.kill()
  const { counters, driver, logged } = opened(t, redis)
  await logged(LOST)
  t.equal((await counters.add('a', 60_000)).count, 1001)
  await redis.start()
  await driver.check(10_000)
  t.equal((await counters.add('b', 60_000)).count, 1)
})

void t.test('a refusal is counted without it', async t => {
  const redis = await ownRedis(t)
  const { counters, driver } = opened(t, redis)
  await driver.check(5_000)
  await operate(redis, 'CONFIG', 'SET', 'maxmemory', '1')
  t.equal((await counters.add('a', 60_000)).count, 1001)
})
