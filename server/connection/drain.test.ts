import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { openAccess } from '../drivers/open.ts'
import { startBridge, startNode, until } from '../testkit/node.ts'
import { Probe, wire } from '../testkit/probe.ts'

wire(
  t,
  '[S-63] [S-64] drain: the user queue is told, receipts arrive, then DRAINING with the same retry-after-ms',
  async (t, transport) => {
    const node = await startNode(t)
    const destination = '/topic/a'
    const [watcher, sender, waiting] = await Promise.all([
      Probe.connect(t, transport, node),
      Probe.connect(t, transport, node),
      Probe.open(t, transport, node),
    ])
    await watcher.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
    await watcher.request('SUBSCRIBE', { id: 's', destination })
    for (let i = 0; i < 100; i++) sender.send('SEND', { destination, receipt: i }, String(i))
    await sender.next('RECEIPT')
    const stopped = node.stop()
    const notice = await watcher.take(({ headers }) => headers['type'] === 'draining', 'the notice')
    t.match(notice.headers, { 'subscription': 'q', 'destination': '/user/queue/session', 'retry-after-ms': /^\d+$/ })
    const after = Number(notice.headers['retry-after-ms'])
    t.ok(after <= 3 * 2, 'spread over the connections')
    t.match((await watcher.error()).headers, { 'code': 'DRAINING', 'retry-after-ms': String(after) })
    t.match((await sender.error()).headers, { 'code': 'DRAINING', 'retry-after-ms': /^\d+$/ })
    t.match((await waiting.error()).headers, { code: 'DRAINING' }, 'who had not logged in, too')
    for (const probe of [watcher, sender, waiting]) t.equal(await probe.closed, transport === 'tcp' ? 0 : 1012)
    await stopped
    const receipts = sender.frames.map(({ headers }) => Number(headers['receipt-id']))
    t.same(
      receipts,
      Array.from({ length: receipts.length }, (_, i) => i + 1),
      'in order, without a hole',
    )
    await t.rejects(Probe.open(t, transport, node), { code: 'ECONNREFUSED' })
  },
)

wire(
  t,
  '[S-64] what is under way is settled, with its RECEIPT, before DRAINING; what was not taken is not',
  async (t, transport) => {
    const gates = { a: Promise.withResolvers<void>(), b: Promise.withResolvers<void>() }
    const maySend = async (_who: unknown, room: string) => {
      await gates[room === 'a' ? 'a' : 'b'].promise
      return true
    }
    const access = { ...openAccess().port, maySend }
    const { node, ...here } = await startBridge(t, { UNSETTLED_APPENDS: '3' }, { access })
    const probe = await Probe.connect(t, transport, here)
    const reader = await Probe.connect(t, transport, here)
    await reader.request('SUBSCRIBE', { id: 's', destination: '/topic/a' })
    for (let i = 0; i < 6; i++) probe.send('SEND', { destination: '/topic/a', receipt: i }, String(i))
    const leaver = await Probe.connect(t, transport, here)
    leaver.raw('SEND\ndestination:/topic/a\n\n\0DISCONNECT\nreceipt:bye\n\n\0')
    const gone = await Probe.connect(t, transport, here)
    gone.send('SEND', { destination: '/topic/b' })
    await until(() => node.gauges().unsettledBytes > 2500)
    gone.end()
    await until(() => node.gauges().connections === 3)
    let over = false
    const drained = node.drain().then(() => (over = true))
    const late = await Probe.open(t, transport, here)
    const again = { 'code': 'DRAINING', 'retry-after-ms': /^\d+$/ }
    t.match((await late.error()).headers, again, 'a connection that comes now')
    t.match((await reader.error()).headers, { code: 'DRAINING' })
    t.equal(probe.frames.length, 0)
    gates.a.resolve()
    t.match((await probe.error()).headers, { code: 'DRAINING' })
    t.same(
      probe.frames.map(({ headers }) => headers['receipt-id']),
      ['0', '1', '2'],
    )
    t.equal(await leaver.ended(), transport === 'tcp' ? 0 : 1000)
    t.same(
      leaver.frames.map(({ command, headers }) => [command, headers['receipt-id']]),
      [['RECEIPT', 'bye']],
      "DISCONNECT's RECEIPT is the last",
    )
    await until(() => node.gauges().connections === 0)
    await setImmediate()
    t.notOk(over, 'what somebody sent who has gone is waited for, too')
    gates.b.resolve()
    await drained
    t.equal((await here.log.port.bounds('a')).next, 4n)
    t.equal((await here.log.port.bounds('b')).next, 1n)
  },
)

wire(t, '[S-64] all of it takes at most DRAIN_SECONDS, whatever does not settle', async (t, transport) => {
  const access = { ...openAccess().port, maySend: () => new Promise<boolean>(() => {}) }
  const { node, ...here } = await startBridge(t, { DRAIN_SECONDS: '1' }, { access })
  const probe = await Probe.connect(t, transport, here)
  probe.send('SEND', { destination: '/topic/a', receipt: 'never' })
  await until(() => node.gauges().unsettledBytes > 0)
  await node.drain()
  t.match((await probe.error()).headers, { code: 'DRAINING' })
  t.same(probe.frames, [])
})
