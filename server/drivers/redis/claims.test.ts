import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mock } from 'node:test'
import { inspect } from 'node:util'
import t, { type Test } from 'tap'
import { claimsContract } from '../../ports/claims.contract.ts'
import type { Claims } from '../../ports/claims.ts'
import { ownRedis, redisUrl } from '../../testkit/services.ts'
import { openRedisClaims } from './claims.ts'
import { operate, recording } from './testkit/redis.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const LOST = 'Redis does not answer: what is sent with an idempotency key waits'
const FOUND = 'Redis answers: idempotency keys hold on all nodes'

const shared = await redisUrl(t)
claimsContract(t, async ({ window }) => openRedisClaims({ url: shared, window, timeout: 5_000, logger: silent }))

/** A driver with what it logs. */
const opened = (t: Test, url: string, options: { window?: number; timeout?: number } = {}) => {
  const { logger, ...recorded } = recording()
  const driver = openRedisClaims({ url, window: 60_000, timeout: 10_000, logger, ...options })
  t.teardown(() => driver.close())
  return { claims: driver.port, driver, ...recorded }
}

const kindOf = async (claims: Claims, room: string, id: string): Promise<string> =>
  (await claims.claim(room, [id])).kind

void t.test('two nodes share the claims', async t => {
  const redis = await ownRedis(t)
  const [one, two] = [opened(t, redis.url), opened(t, redis.url)]
  await one.driver.check(5_000)
  await one.claims.known('a', one.claims.since!)
  const claiming = await one.claims.claim('a', ['x'])
  t.equal(claiming.kind, 'taken')
  if (claiming.kind !== 'taken') return
  t.match(await two.claims.claim('a', ['x']), { kind: 'held', by: claiming.claim })
  await one.claims.settle(claiming.claim, new Map([['x', 3n]]))
  t.match(await two.claims.claim('a', ['x']), { settled: new Map([['x', 3n]]) })
  t.equal(two.claims.since, one.claims.since)
})

void t.test('as long as it has not remembered for the window, rooms that are not known are told apart', async t => {
  const redis = await ownRedis(t)
  const { claims, driver } = opened(t, redis.url)
  await driver.check(5_000)
  const { since } = claims
  t.match(await claims.claim('a', ['x']), { kind: 'young', since })
  await claims.known('a', since! - 1)
  t.equal(await kindOf(claims, 'a', 'x'), 'young', 'what was known of another life counts for nothing')
  await claims.known('a', since!)
  t.equal(await kindOf(claims, 'a', 'x'), 'taken')
  t.equal(await kindOf(claims, 'b', 'y'), 'young')

  await operate(redis, 'FLUSHALL')
  const emptied = await claims.claim('a', ['x'])
  t.equal(emptied.kind, 'young')
  t.ok(emptied.kind === 'young' && emptied.since > since! && emptied.age >= 0)
  t.equal(claims.since, emptied.kind === 'young' && emptied.since)

  await claims.known('a', claims.since!)
  t.equal(await kindOf(claims, 'a', 'x'), 'taken')
  await redis.kill()
  await redis.start()
  t.equal(await kindOf(claims, 'a', 'x'), 'young', 'started again')

  const short = opened(t, redis.url, { window: 1 })
  let kind: string
  do kind = await kindOf(short.claims, 'c', 'z')
  while (kind === 'young')
  t.equal(kind, 'taken', 'in time it has remembered long enough')
})

void t.test('a replica that is made the primary remembers since then', async t => {
  const [redis, other] = [await ownRedis(t), await ownRedis(t)]
  const { claims, driver, lines, logged } = opened(t, redis.url)
  await driver.check(5_000)
  const { since } = claims
  await claims.known('a', since!)
  await operate(redis, 'REPLICAOF', '127.0.0.1', String(other.port))
  const waiting = kindOf(claims, 'a', 'x')
  await logged(LOST)
  t.match(lines.at(-1), /READONLY|not a primary/)
  await operate(redis, 'REPLICAOF', 'NO', 'ONE')
  t.equal(await waiting, 'young')
  t.ok(claims.since! > since!)
})

void t.test('away for a while: what is asked waits, and one line says so, another when it is over', async t => {
  const redis = await ownRedis(t)
  const { claims, driver, count, logged } = opened(t, redis.url)
  await driver.check(5_000)
  for (let round = 1; round <= 2; round++) {
    await redis.kill()
    const waiting = [kindOf(claims, 'a', 'x'), kindOf(claims, 'b', 'y'), claims.remember(new Map())]
    await logged(LOST, round)
    t.equal(claims.since, undefined)
    await redis.start()
    t.same((await Promise.all(waiting)).slice(0, 2), ['young', 'young'])
    t.same([count(LOST), count(FOUND)], [round, round + 1])
  }
})

void t.test('away for too long, from the start', async t => {
  const redis = await ownRedis(t)
  await redis.kill()
  const { claims, driver, lines, count } = opened(t, redis.url, { timeout: 300 })
  const calls: Promise<unknown>[] = [claims.claim('a', ['x']), claims.known('a', 0), driver.check(100)]
  for (const each of await Promise.allSettled(calls)) {
    t.match(each, { status: 'rejected', reason: { code: 'LOG_UNAVAILABLE' } })
  }
  t.equal(count(LOST), 1)
  t.match(lines[0], /ECONNREFUSED/)
  await redis.start()
  await driver.check(10_000)
  t.equal(await kindOf(claims, 'a', 'x'), 'young')
})

void t.test('one that hangs counts as away; a claim whose answer did not come is not in its own way', async t => {
  const redis = await ownRedis(t)
  const { claims, driver, logged } = opened(t, redis.url, { timeout: 4_000 })
  await driver.check(5_000)
  await claims.known('a', claims.since!)
  redis.signal('SIGSTOP')
  const waiting = claims.claim('a', ['x', 'y'])
  await logged(LOST)
  redis.signal('SIGCONT')
  t.match(await waiting, { kind: 'taken' })
  t.equal(await kindOf(claims, 'a', 'x'), 'held')
})

void t.test('one that answers later than anybody waits', async t => {
  const redis = await ownRedis(t)
  const { claims, driver } = opened(t, redis.url, { timeout: 200 })
  await driver.check(5_000)
  redis.signal('SIGSTOP')
  await t.rejects(claims.claim('a', ['x']), { code: 'LOG_UNAVAILABLE' })
  redis.signal('SIGCONT')
})

void t.test('clocks that differ are warned of', async t => {
  mock.timers.enable({ apis: ['Date'], now: Date.now() - 60_000 })
  t.teardown(() => mock.timers.reset())
  const { logged } = opened(t, shared)
  await logged('the clocks of Redis and of this node differ, ms')
  t.pass()
})

void t.test('closing while it is away', async t => {
  const redis = await ownRedis(t)
  const { claims, driver } = opened(t, redis.url)
  await driver.check(5_000)
  await redis.kill()
  const waiting = claims.claim('a', ['x'])
  const refused = t.rejects(waiting, { code: 'LOG_UNAVAILABLE' })
  await driver.close()
  await refused
})

void t.test('its memory is full: refused until there is room; one that would forget is warned of', async t => {
  const redis = await ownRedis(t)
  const { claims, driver, lines, logged } = opened(t, redis.url, { timeout: 500 })
  await driver.check(5_000)
  await claims.known('a', claims.since!)
  t.equal(lines.length, 1)
  await operate(redis, 'CONFIG', 'SET', 'maxmemory', '1')
  await t.rejects(claims.claim('a', ['x']), { code: 'LOG_UNAVAILABLE' })
  t.match(lines.at(-1), /OOM/)
  await operate(redis, 'CONFIG', 'SET', 'maxmemory', '0', 'maxmemory-policy', 'volatile-lru')
  // A session that began meanwhile may have read the policy before.
  await operate(redis, 'CLIENT', 'KILL', 'TYPE', 'normal')
  await logged('this Redis may forget idempotency keys: it needs noeviction {"policy":"volatile-lru"}')
  t.equal(await kindOf(claims, 'a', 'x'), 'taken')
  await operate(redis, 'SCRIPT', 'FLUSH')
  t.equal(await kindOf(claims, 'a', 'x'), 'held', 'scripts are loaded again')
})

void t.test('a password is used, and never shown', async t => {
  const redis = await ownRedis(t)
  await operate(redis, 'CONFIG', 'SET', 'requirepass', 'open-sesame')
  const url = (password: string): string => redis.url.replace('//', `//:${password}@`)
  const right = opened(t, url('open-sesame'))
  await right.driver.check(5_000)
  const wrong = opened(t, url('guessed-word'), { timeout: 200 })
  await wrong.logged(LOST)
  const refusal: unknown = await wrong.claims.claim('a', ['x']).catch((error: unknown) => error)
  t.match(refusal, { code: 'LOG_UNAVAILABLE' })
  t.notMatch(inspect(refusal), /guessed-word|open-sesame/)
  t.match(wrong.lines[0], /WRONGPASS/)
  t.notMatch([...wrong.lines, ...right.lines].join(), /guessed-word|open-sesame/)
})

void t.test('nothing of it keeps a process alive', async t => {
  const file = JSON.stringify(new URL('claims.ts', import.meta.url).href)
  const source = `import { openRedisClaims } from ${file}
    const logger = { debug() {}, info() {}, warn() {}, error() {} }
    const driver = openRedisClaims({ url: ${JSON.stringify(shared)}, window: 1000, timeout: 1000, logger })
    await driver.check(5000)
    await driver.close()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: 'inherit' })
  t.same(await once(child, 'exit'), [0, null])
})
