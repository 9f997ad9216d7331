import { createClient } from 'redis'
import t from 'tap'
import { proxiedKafka } from '../../kafka/testkit/proxied.ts'
import { FleetNode } from '../testkit/fleet.ts'
import { Probe } from '../testkit/probe.ts'
import { freshRoom, ownRedis } from '../testkit/services.ts'

t.setTimeout(180_000)
const { brokers, proxied, proxy } = await proxiedKafka(t)
const redis = await ownRedis(t)
const env = { KAFKA_REPLICATION: '1', LOG_TIMEOUT: '3000', REDIS_URL: redis.url }
const [one, two, three] = await Promise.all(
  [proxied, brokers, brokers].map(KAFKA_BROKERS => FleetNode.start(t, { ...env, KAFKA_BROKERS })),
)
const client = await createClient({ url: redis.url }).connect()
t.teardown(() => client.destroy())

/** Resolves when somebody has claimed a key that is not settled. */
const claimed = async (): Promise<void> => {
  for (;;) {
    const names = await client.keys('hoofbeat:claim:*')
    const values = names.length > 0 ? await client.mGet(names) : []
    if (values.some(value => value?.split(' ').length === 2)) return
  }
}

t.test('[S-32] a node stopped between claim and append; the client repeats elsewhere; then it wakes up', async t => {
  const destination = `/topic/${freshRoom('keys')}`
  const reader = await Probe.connect(t, 'websocket', three!)
  await reader.request('SUBSCRIBE', { id: 'a', destination })
  const first = await Probe.connect(t, 'tcp', one!, { login: 'ann' })
  await first.request('SEND', { destination, 'idempotency-key': 'k0' }, 'before')
  await reader.next('MESSAGE')

  // The claim goes out, the append does not get to the broker.
  proxy.hold = true
  t.teardown(() => (proxy.hold = false))
  const send = { destination, 'idempotency-key': 'k1' }
  first.send('SEND', { ...send, receipt: 'r1' }, 'hello')
  await claimed()
  one!.process.kill('SIGSTOP')
  t.teardown(() => one!.process.kill('SIGCONT'))
  const second = await Probe.connect(t, 'websocket', two!, { login: 'ann' })
  const third = await Probe.connect(t, 'tcp', three!, { login: 'ann' })
  const receipts = await Promise.all([second.request('SEND', send, 'hello'), third.request('SEND', send, 'hello')])
  const id = receipts[0].headers['message-id']
  t.equal(receipts[1].headers['message-id'], id)
  const message = await reader.next('MESSAGE')
  t.match(message.headers, { 'sender': 'ann', 'message-id': id })

  one!.process.kill('SIGCONT')
  proxy.hold = false
  // What it had written comes too late, and it says that it does not know.
  t.match((await first.error()).headers, { 'code': 'LOG_UNAVAILABLE', 'receipt-id': 'r1' })
  const again = await Probe.connect(t, 'tcp', one!, { login: 'ann' })
  t.equal((await again.request('SEND', send, 'hello')).headers['message-id'], id)
  await again.request('SEND', { destination }, 'barrier')
  t.equal((await reader.next('MESSAGE')).body.toString(), 'barrier')
  for (const [i, node] of [one!, two!, three!].entries()) {
    const late = await Probe.connect(t, 'tcp', node, { login: `late-${i}` })
    await late.request('SUBSCRIBE', { id: 'a', destination, last: 100 })
    t.same(await late.bodiesUntil('barrier'), ['before', 'hello', 'barrier'], 'one message, and no barrier of the log')
  }
})

t.test('a node killed with -9 after it wrote and before anyone heard of it', async t => {
  const destination = `/topic/${freshRoom('keys')}`
  const victim = await FleetNode.start(t, { ...env, KAFKA_BROKERS: proxied })
  const first = await Probe.connect(t, 'tcp', victim, { login: 'ann' })
  await first.request('SEND', { destination }, 'before')
  const send = { destination, 'idempotency-key': 'k1' }
  const cut = proxy.cutNextAnswer()
  first.send('SEND', send, 'hello')
  await cut
  await victim.kill()
  const second = await Probe.connect(t, 'websocket', two!, { login: 'ann' })
  await second.request('SEND', send, 'hello')
  await second.request('SUBSCRIBE', { id: 'a', destination, last: 100 })
  await second.request('SEND', { destination }, 'barrier')
  t.same(await second.bodiesUntil('barrier'), ['before', 'hello', 'barrier'])
})

t.test(
  'without REDIS_URL a node on Kafka says that keys hold on it alone; with it, no line shows the password',
  async t => {
    const WARNING = 'no REDIS_URL: an idempotency-key holds on one node only'
    const alone = await FleetNode.start(t, { KAFKA_BROKERS: brokers, KAFKA_REPLICATION: '1' })
    t.equal(alone.lines.filter(line => line.includes(WARNING)).length, 1)
    const secret = redis.url.replace('//', '//ann:not-to-be-seen@')
    const wrong = await FleetNode.start(t, { ...env, KAFKA_BROKERS: brokers, REDIS_URL: secret, LOG_LEVEL: 'debug' })
    t.notOk(wrong.lines.some(line => line.includes(WARNING)))
    t.ok(wrong.lines.some(line => line.includes('Redis does not answer') && line.includes('WRONGPASS')))
    t.equal(await wrong.ready(), 200, 'a node without Redis is still of use')
    const probe = await Probe.connect(t, 'tcp', wrong)
    const destination = `/topic/${freshRoom('keys')}`
    await probe.request('SEND', { destination }, 'without a key')
    probe.send('SEND', { destination, 'idempotency-key': 'k', 'receipt': 'r' }, 'with one')
    t.match((await probe.error()).headers, { code: 'LOG_UNAVAILABLE' })
    t.notOk(wrong.lines.some(line => line.includes('not-to-be-seen')))
    const metrics = await (await fetch(`${wrong.url}/metrics`)).text()
    t.match(metrics, /^hoofbeat_keys_reachable 0$/m)
    t.match(await (await fetch(`${two!.url}/metrics`)).text(), /^hoofbeat_keys_reachable 1$/m)
  },
)
