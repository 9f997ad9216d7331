import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { hearing, signalsContract } from '../../ports/signals.contract.ts'
import { ownRedis, redisUrl } from '../../testkit/services.ts'
import { openRedisSignals } from './signals.ts'
import { operate, recording } from './testkit/redis.ts'

const LOST = 'Redis does not answer: fleeting news stay on the node they come from'
const FOUND = 'Redis answers: fleeting news reach all nodes'
const silent = { debug() {}, info() {}, warn() {}, error() {} }

const shared = await redisUrl(t)
signalsContract(t, async () => {
  const open = () => openRedisSignals({ url: shared, logger: silent })
  return [open(), open()]
})

const opened = (t: Test, url: string) => {
  const { logger, ...recorded } = recording()
  const driver = openRedisSignals({ url, logger })
  t.teardown(() => driver.close())
  return { signals: driver.port, driver, ...recorded }
}

void t.test('away for a while: nodes hear themselves; after it all is as before, without a burst', async t => {
  const redis = await ownRedis(t)
  const [one, other] = [opened(t, redis.url), opened(t, redis.url)]
  for (const { driver } of [one, other]) await driver.check(5_000)
  const [near, far, late] = [hearing(), hearing(), hearing()]
  await one.signals.subscribe('a', near.listener)
  await other.signals.subscribe('a', far.listener)
  for (let round = 1; round <= 2; round++) {
    one.signals.publish('a', `before ${round}`)
    await far.until(`before ${round}`)
    await redis.kill()
    await Promise.all([one.logged(LOST, round), other.logged(LOST, round)])
    for (let n = 0; n < 1_000; n++) one.signals.publish('a', 'meanwhile')
    one.signals.publish('a', `meanwhile ${round}`)
    await near.until(`meanwhile ${round}`)
    if (round === 2) await other.signals.subscribe('b', late.listener)
    await redis.start()
    await Promise.all([one.logged(FOUND, round + 1), other.logged(FOUND, round + 1)])
    // Both were subscribed again in the order of their lines; what is said now is heard.
    await other.signals.subscribe('c', far.listener)
    one.signals.publish('c', `after ${round}`)
    one.signals.publish('a', `again ${round}`)
    await far.until(`again ${round}`)
    t.same([one.count(LOST), one.count(FOUND)], [round, round + 1], 'one line when it goes, one when it is back')
  }
  one.signals.publish('b', 'x')
  t.same(await late.until('x'), ['x'], 'who subscribed meanwhile hears too')
  t.notOk(far.heard.includes('meanwhile'), 'nothing was kept for later')
})

void t.test('away from the start', async t => {
  const redis = await ownRedis(t)
  await redis.kill()
  const { signals, driver, count, lines } = opened(t, redis.url)
  const { listener, until } = hearing()
  await signals.subscribe('a', listener)
  await t.rejects(driver.check(50), { code: 'PRESENCE_UNAVAILABLE' })
  signals.publish('a', 'x')
  await until('x')
  t.equal(count(LOST), 1)
  t.match(lines[0], /ECONNREFUSED/)
  await redis.start()
  await driver.check(10_000)
})

void t.test('one that hangs counts as away; a subscription that is under way then stands later', async t => {
  const redis = await ownRedis(t)
  const [one, other] = [opened(t, redis.url), opened(t, redis.url)]
  for (const { driver } of [one, other]) await driver.check(5_000)
  redis.signal('SIGSTOP')
  const { listener, until } = hearing()
  const subscribing = one.signals.subscribe('a', listener)
  // More than is taken while no answer comes.
  for (let n = 0; n < 10_100; n++) one.signals.publish('b', n)
  await one.logged(LOST)
  await subscribing
  redis.signal('SIGCONT')
  await one.logged(FOUND, 2)
  await other.driver.check(10_000)
  await one.signals.subscribe('c', listener)
  other.signals.publish('a', 'x')
  await until('x')
  t.pass()
})

void t.test('one that hangs is noticed also when nobody asks anything', async t => {
  const redis = await ownRedis(t)
  const { logger, count, logged } = recording()
  const driver = openRedisSignals({ url: redis.url, logger, beat: 50 })
  t.teardown(() => driver.close())
  await driver.check(5_000)
  t.equal(count(LOST), 0)
  redis.signal('SIGSTOP')
  await logged(LOST)
  redis.signal('SIGCONT')
  await driver.check(10_000)
})

void t.test('a line of which one half ends is made anew as a whole', async t => {
  const redis = await ownRedis(t)
  const { signals, driver, logged } = opened(t, redis.url)
  await driver.check(5_000)
  const { listener, until } = hearing()
  await signals.subscribe('a', listener)
  await operate(redis, 'CLIENT', 'KILL', 'TYPE', 'pubsub')
  await logged(FOUND, 2)
  await driver.check(5_000)
  const there = opened(t, redis.url)
  await there.driver.check(5_000)
  await signals.subscribe('c', listener)
  there.signals.publish('a', 'x')
  await until('x')
  t.pass()
})

void t.test('when the second half of a line cannot be had the first one is let go', async t => {
  const redis = await ownRedis(t)
  // Room for one connection beside the operator's.
  await operate(redis, 'CONFIG', 'SET', 'maxclients', '1')
  const { driver, lines, logged } = opened(t, redis.url)
  await logged(LOST)
  t.ok(lines.every(line => line.startsWith(LOST)))
  await t.rejects(driver.check(100), { code: 'PRESENCE_UNAVAILABLE' })
})

void t.test('nothing of it keeps a process alive', async t => {
  const file = JSON.stringify(new URL('signals.ts', import.meta.url).href)
  const source = `import { openRedisSignals } from ${file}
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    const driver = openRedisSignals({ url: ${JSON.stringify(shared)}, logger })
    await driver.check(5000)
    await driver.port.subscribe('a', () => {})
    await driver.close()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: 'inherit' })
  t.same(await once(child, 'exit'), [0, null])
})
