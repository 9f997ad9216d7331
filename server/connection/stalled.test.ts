import t from 'tap'
import { figure, startNode } from '../testkit/node.ts'
import { startNarrows } from '../testkit/narrows.ts'
import { Probe, wire } from '../testkit/probe.ts'

// Most of them wait for time to go by.
t.jobs = 8

wire(
  t,
  '[S-45] STALLED: a client that takes nothing at all for STALL_SECONDS is closed, and only that one',
  async (t, transport) => {
    const node = await startNode(t, { STALL_SECONDS: '1', HEART_BEAT: '200', OUTBOX_BYTES: '65536' })
    const destination = '/topic/a'
    const [stalled, slow, sender] = await Promise.all([1, 2, 3].map(() => Probe.connect(t, transport, node)))
    for (const probe of [stalled!, slow!]) await probe.request('SUBSCRIBE', { id: 's', destination })
    stalled!.pause(true)
    const body = Buffer.alloc(256 * 1024, 'x')
    const many = 60
    for (let i = 0; i < many; i++) sender!.send('SEND', { destination, n: i }, body)
    t.same(
      (await slow!.messages(many)).map(({ headers }) => Number(headers['n'])),
      Array.from({ length: many }, (_, i) => i),
    )
    t.equal(await figure(node, 'hoofbeat_connections', value => value === 2), 2)
    t.equal(await figure(node, 'hoofbeat_errors_total{code="STALLED"}', value => value === 1), 1)
    t.ok(node.lines.some(line => line.includes('stalled')))
    stalled!.pause(false)
    await stalled!.ended()
    t.ok(stalled!.frames.length < many)
    await slow!.request('BEGIN', { transaction: 'the other goes on' })
  },
)

wire(
  t,
  '[S-45] a client that takes little is not stalled, though its socket shows nothing of it for longer than STALL_SECONDS',
  async (t, transport) => {
    // The clock is looked at four times in the time to log in.
    const node = await startNode(t, { STALL_SECONDS: '3', LOGIN_TIMEOUT: '2000', OUTBOX_BYTES: '65536' })
    const narrows = await startNarrows(t, transport === 'tcp' ? node.stompPort! : node.port)
    const destination = '/topic/a'
    const slow = await Probe.connect(t, transport, { port: narrows.port, stompPort: narrows.port })
    const sender = await Probe.connect(t, transport, node)
    await slow.request('SUBSCRIBE', { id: 's', destination })
    narrows.rate = 256 * 1024
    const body = Buffer.alloc(128 * 1024, 'x')
    const many = 80
    for (let i = 0; i < many; i++) await sender.request('SEND', { destination, n: i }, body)
    // A writer hears of room when a third of Linux's 4 MiB is free: every five seconds, at this pace.
    await slow.when(() => slow.frames.length >= 20, 'what the client takes within ten seconds')
    narrows.rate = Infinity
    t.same(
      (await slow.messages(many)).map(({ headers }) => Number(headers['n'])),
      Array.from({ length: many }, (_, i) => i),
    )
  },
)

wire(
  t,
  '[S-45] a client that asks without reading the answers is not read from while OUTBOX_BYTES of them wait',
  async (t, transport) => {
    const most = 65_536
    const node = await startNode(t, { OUTBOX_BYTES: String(most) })
    const deaf = await Probe.connect(t, transport, node)
    deaf.pause(true)
    const long = 'r'.repeat(8000)
    const many = 1500
    for (let i = 0; i < many; i++) {
      deaf.send('BEGIN', { transaction: 't', receipt: `${i}-${long}` })
      deaf.send('ABORT', { transaction: 't' })
    }
    await figure(node, 'hoofbeat_outbox_bytes', value => value >= most)
    // Beside the answers a piece of 64 KiB may be with the socket.
    for (let i = 0; i < 20; i++) t.ok((await figure(node, 'hoofbeat_outbox_bytes', () => true)) < 3 * most)
    deaf.pause(false)
    for (let i = 0; i < many; i++) t.equal(parseInt((await deaf.next('RECEIPT')).headers['receipt-id']!), i)
  },
)

wire(t, 'a client that does not read its ERROR, and does not close, is cut off', async (t, transport) => {
  const node = await startNode(t, { OUTBOX_BYTES: '65536' })
  const destination = '/topic/a'
  const [deaf, sender] = await Promise.all([1, 2].map(() => Probe.connect(t, transport, node)))
  await deaf!.request('SUBSCRIBE', { id: 's', destination })
  deaf!.pause(true)
  const body = Buffer.alloc(256 * 1024, 'x')
  for (let i = 0; i < 60; i++) await sender!.request('SEND', { destination }, body)
  deaf!.send('SEND', {})
  await figure(node, 'hoofbeat_errors_total{code="MISSING_HEADER"}', value => value === 1)
  t.equal(await figure(node, 'hoofbeat_connections', value => value === 1), 1)
})
