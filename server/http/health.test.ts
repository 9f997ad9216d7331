import { setImmediate } from 'node:timers/promises'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { healthRoutes } from './health.ts'

/** A node whose parts can be broken, and whose clock stands still. */
const setUp = async (t: Test) => {
  const node = {
    requests: 0,
    gate: Promise.resolve(),
    asked: [] as string[],
    timeouts: [] as number[],
    broken: new Map<string, Error>(),
    draining: false,
    now: 0,
  }
  const logged: unknown[] = []
  const log = (fields: object, message: string): void => void logged.push({ ...fields, message })
  const part = (name: string) => async (timeout: number) => {
    node.asked.push(name)
    node.timeouts.push(timeout)
    await node.gate
    const error = node.broken.get(name)
    if (error) throw error
  }
  const app = fastify()
  app.addHook('onRequest', async () => void node.requests++)
  healthRoutes(app, {
    roles,
    checks: { log: part('log'), keys: part('keys') },
    draining: () => node.draining,
    logger: { debug: log, info: log, warn: log, error: log },
    now: () => node.now,
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const ask = async (path: string) => {
    const response = await fetch(url + path)
    t.equal(response.headers.get('cache-control'), 'no-store')
    return { status: response.status, body: await response.json() }
  }
  return { node, logged, ask }
}
const roles = ['bridge']
const ready = { status: 200, body: { status: 'ready', roles, checks: { log: 'ok', keys: 'ok' } } }

void t.test('live, whatever else is wrong', async t => {
  const { node, ask } = await setUp(t)
  node.broken.set('log', new Error('away'))
  node.draining = true
  t.same(await ask('/health/live'), { status: 200, body: { status: 'live' } })
  t.same(node.asked, [])
})

void t.test('ready when every part answers', async t => {
  const { node, ask, logged } = await setUp(t)
  t.same(await ask('/health/ready'), ready)
  t.same(node.asked, ['log', 'keys'])
  t.ok(
    node.timeouts.every(timeout => timeout > 0 && timeout < 1000),
    'within what a probe waits',
  )
  t.same(logged, [])
})

void t.test('not ready: which part, and why only in the log', async t => {
  const { node, ask, logged } = await setUp(t)
  const error = new Error('connect ECONNREFUSED 10.1.2.3:9092')
  node.broken.set('log', error)
  const checks = { log: 'the log cannot be reached', keys: 'ok' }
  t.same(await ask('/health/ready'), { status: 503, body: { status: 'not ready', roles, checks } })
  t.same(logged, [{ part: 'log', err: error, message: 'not ready' }])
  node.now += 1000
  t.equal((await ask('/health/ready')).status, 503)
  t.equal(logged.length, 1, 'once, however often it is asked for')
  node.broken.clear()
  node.now += 1000
  t.same(await ask('/health/ready'), ready)
  t.same(logged.slice(1), [{ part: 'log', message: 'ready again' }])
})

void t.test('however many ask, the parts are asked once a second', async t => {
  const { node, ask } = await setUp(t)
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask('/health/ready')))
  t.same(answers[49], ready)
  t.same(node.asked, ['log', 'keys'])
  node.broken.set('keys', new Error('away'))
  node.now += 999
  t.same(await ask('/health/ready'), ready, 'still the first answer')
  node.now += 1
  t.match(await ask('/health/ready'), { status: 503, body: { checks: { keys: 'the keys cannot be reached' } } })
  node.broken.clear()
  node.now += 999
  t.match(await ask('/health/ready'), { status: 503 })
  node.now += 1
  t.same(await ask('/health/ready'), ready)
  t.equal(node.asked.length, 6)
})

void t.test('whoever asks while the parts are being asked waits for the same answer', async t => {
  const { node, ask } = await setUp(t)
  await ask('/health/ready')
  node.now += 1_000
  const gate = Promise.withResolvers<void>()
  node.gate = gate.promise
  const answers = []
  for (const requests of [2, 3, 4]) {
    answers.push(ask('/health/ready'))
    while (node.requests < requests) await setImmediate()
    node.now += 1_000
  }
  await setImmediate()
  gate.resolve()
  t.same(await Promise.all(answers), [ready, ready, ready])
  t.equal(node.asked.length, 4)
})

void t.test('draining is told at once, and no part is asked', async t => {
  const { node, ask } = await setUp(t)
  t.same(await ask('/health/ready'), ready)
  node.draining = true
  t.same(await ask('/health/ready'), { status: 503, body: { status: 'draining', roles, checks: {} } })
  node.now += 10_000
  t.match(await ask('/health/ready'), { status: 503 })
  t.equal(node.asked.length, 2)
})
