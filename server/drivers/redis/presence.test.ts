import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { clientOf, presenceContract, shortly } from '../../ports/presence.contract.ts'
import type { Presence, Transition } from '../../ports/presence.ts'
import { ownRedis } from '../../testkit/services.ts'
import { openRedisPresence } from './presence.ts'
import { operate, recording } from './testkit/redis.ts'

const LOST = 'Redis does not answer: who comes and goes is not told'
const FOUND = 'Redis answers: who is there is known'
const silent = { debug() {}, info() {}, warn() {}, error() {} }

const shared = await ownRedis(t)
presenceContract(t, async ttl => {
  const open = () => openRedisPresence({ url: shared.url, ttl, logger: silent })
  return [open(), open()]
})

const opened = (t: Test, url: string, ttl = 60_000) => {
  const { logger, ...recorded } = recording()
  const driver = openRedisPresence({ url, ttl, logger })
  t.teardown(() => driver.close())
  return { presence: driver.port, driver, ...recorded }
}
/** Sweeps until somebody has gone. */
const swept = async (presence: Presence): Promise<[string, boolean][]> => {
  for (const patience = Date.now() + 10_000; Date.now() < patience; await turn()) {
    const gone = await presence.sweep()
    if (gone.length > 0) return shortly(gone)
  }
  throw new Error('nobody was swept')
}

void t.test('a node that dies: what it touched goes after the time to live, told once', async t => {
  const redis = await ownRedis(t)
  const [dead, one, other] = [opened(t, redis.url), opened(t, redis.url, 300), opened(t, redis.url, 300)]
  for (const { driver } of [dead, one, other]) await driver.check(5_000)
  const [ann, bob] = [clientOf('ann'), clientOf('bob')]
  const short = opened(t, redis.url, 300)
  await short.driver.check(5_000)
  await short.presence.touch([ann, bob])
  await short.driver.close()
  const both: Transition[] = []
  for (const patience = Date.now() + 10_000; both.length === 0 && Date.now() < patience;) {
    t.same(await other.presence.touch([{ ...bob, connection: 'elsewhere' }]), [])
    const all = await Promise.all([one.presence.sweep(), other.presence.sweep(), one.presence.sweep()])
    both.push(...all.flat())
  }
  t.same(shortly(both), [['ann', false]])
  t.same((await one.presence.of(['ann', 'bob'])).online, new Set(['bob']))
})

void t.test('when everything was lost, all who were there before are no news, and who is new is', async t => {
  const redis = await ownRedis(t)
  const { presence, driver, logged, count } = opened(t, redis.url)
  await driver.check(5_000)
  const here = ['ann', 'bob', 'cher'].map(user => clientOf(user))
  t.equal((await presence.touch(here)).length, 3)
  await redis.kill()
  await logged(LOST)
  const calls: Promise<unknown>[] = [
    presence.touch(here),
    presence.of(['ann']),
    presence.sweep(),
    presence.off(here, 0),
  ]
  for (const call of calls) {
    await t.rejects(call, { code: 'PRESENCE_UNAVAILABLE' })
  }
  await redis.start()
  await logged(FOUND, 2)
  await driver.check(5_000)
  // They were told of as gone when nobody could hear it: so that they are new.
  t.equal((await presence.touch(here)).length, 3)
  await operate(redis, 'FLUSHALL')
  await t.rejects(presence.sweep(), { code: 'PRESENCE_UNAVAILABLE' }, 'whoever sweeps learns of it')
  t.same(shortly(await presence.touch([...here, clientOf('dan'), clientOf('ann')])), [['dan', true]])
  t.same(await presence.sweep(), [])
  t.same((await presence.of(['ann', 'dan'])).online, new Set(['ann', 'dan']))
  t.same([count(LOST), count(FOUND)], [1, 2])
})

void t.test('after a break nothing that is old has gone, until the others can have come to touch it', async t => {
  const redis = await ownRedis(t)
  const [one, other] = [opened(t, redis.url), opened(t, redis.url)]
  for (const { driver } of [one, other]) await driver.check(5_000)
  const [ann, bob] = [clientOf('ann'), clientOf('bob')]
  await one.presence.touch([ann])
  await other.presence.touch([bob])
  // As if it had been there for nobody, for longer than the time to live.
  for (const { user, connection } of [ann, bob]) {
    await operate(redis, 'ZADD', 'hoofbeat:presence:1:beats', '1', `${user}\0${connection}`)
  }
  await operate(redis, 'CLIENT', 'KILL', 'TYPE', 'normal')
  await Promise.all([one.logged(FOUND, 2), other.logged(FOUND, 2)])
  t.same(await one.presence.sweep(), [])
  t.same(await one.presence.touch([ann]), [])
  t.same(await other.presence.touch([bob]), [])
  t.same(await one.presence.off([ann], 1), [])
  t.same(await swept(other.presence), [['ann', false]], 'who has left has gone all the same')
})

void t.test('a node that was cut off alone says who of its own is there again', async t => {
  const redis = await ownRedis(t)
  const [cut, other] = [opened(t, redis.url, 300), opened(t, redis.url, 300)]
  for (const { driver } of [cut, other]) await driver.check(5_000)
  const ann = clientOf('ann')
  await cut.presence.touch([ann])
  t.same(await swept(other.presence), [['ann', false]])
  t.same(shortly(await cut.presence.touch([ann])), [['ann', true]])
})

void t.test('a replica is not used', async t => {
  const redis = await ownRedis(t)
  await operate(redis, 'REPLICAOF', '127.0.0.1', '1')
  const { driver, logged, lines } = opened(t, redis.url)
  await logged(LOST)
  t.match(lines[0], /not a primary/)
  await operate(redis, 'REPLICAOF', 'NO', 'ONE')
  await driver.check(10_000)
})

void t.test('one that hangs counts as away', async t => {
  const redis = await ownRedis(t)
  const { presence, driver, logged } = opened(t, redis.url)
  await driver.check(5_000)
  redis.signal('SIGSTOP')
  await t.rejects(presence.of(['ann']), { code: 'PRESENCE_UNAVAILABLE' })
  await logged(LOST)
  redis.signal('SIGCONT')
  await driver.check(10_000)
  t.same((await presence.of(['ann'])).online, new Set())
})

void t.test('away from the start', async t => {
  const redis = await ownRedis(t)
  await redis.kill()
  const { presence, driver, count } = opened(t, redis.url)
  await t.rejects(presence.touch([clientOf('ann')]), { code: 'PRESENCE_UNAVAILABLE' })
  await t.rejects(driver.check(50), { code: 'PRESENCE_UNAVAILABLE' })
  t.equal(count(LOST), 1)
  await redis.start()
  await driver.check(10_000)
  t.equal((await presence.touch([clientOf('ann')])).length, 1)
})
