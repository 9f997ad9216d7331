import t, { type Test } from 'tap'
import { openAccess } from '../drivers/open.ts'
import { memorySignals } from '../drivers/memory/signals.ts'
import { openRedisSignals } from '../drivers/redis/signals.ts'
import type { Access } from '../ports/access.ts'
import type { UserEvents } from '../ports/events.ts'
import type { Attendance } from '../ports/presence.ts'
import { roomChannel, type RoomSignal, type Signals, type UserEvent } from '../ports/signals.ts'
import { figures, startBridge, startNode, until } from '../testkit/node.ts'
import { redisUrl } from '../testkit/services.ts'
import { Probe, wire, type Target, type TransportName } from '../testkit/probe.ts'

const connect = (t: Test, transport: TransportName, target: Target, login = 'ann', headers = {}): Promise<Probe> =>
  Probe.connect(t, transport, target, { login, ...headers })
const listen = (probe: Probe, destination: string, id = 's'): Promise<unknown> =>
  probe.request('SUBSCRIBE', { id, destination })
const silent = { debug() {}, info() {}, warn() {}, error() {} }

wire(
  t,
  '[S-66] [S-67] what somebody types is told to those who are subscribed, and to nobody later',
  async (t, transport) => {
    const { log, ...bridge } = await startBridge(t)
    const [ann, bob, old] = [
      await connect(t, transport, bridge),
      await connect(t, transport, bridge, 'bob'),
      await connect(t, transport, bridge, 'old', { 'accept-version': '1.0' }),
    ]
    const destination = '/signal/a/b'
    await listen(bob, destination)
    await old.request('SUBSCRIBE', { destination })
    const headers = { destination, 'type': 'typing', 'content-type': 'application/json' }
    t.match(await ann.request('SEND', headers, '{"n":"ä"}'), { command: 'RECEIPT' })
    const before = Date.now()
    for (const [probe, subscription] of [
      [bob, 's'],
      [old, destination],
    ] as const) {
      const { headers: got, body } = await probe.next('MESSAGE')
      t.match(got, { destination, subscription, 'type': 'typing', 'sender': 'ann', 'content-type': 'application/json' })
      t.match(got['message-id'], /^[0-9a-f]+-1$/)
      t.ok(Math.abs(Number(got['timestamp']) - before) < 60_000)
      t.equal(body.toString(), '{"n":"ä"}')
    }
    const late = await connect(t, transport, bridge, 'late')
    await listen(late, destination)
    await ann.request('SEND', { destination, type: 'read' }, 'x')
    t.match((await late.next('MESSAGE')).headers, { 'type': 'read', 'content-type': undefined })
    t.equal((await bob.next('MESSAGE')).body.toString(), 'x')
    await t.rejects(log.port.bounds('a/b'), { code: 'NO_SUCH_ROOM' }, 'nothing of it is in the log')
  },
)

wire(t, '[S-66] after UNSUBSCRIBE nothing arrives, and the id is free', async (t, transport) => {
  const bridge = await startBridge(t)
  const [ann, bob] = [await connect(t, transport, bridge), await connect(t, transport, bridge, 'bob')]
  await listen(ann, '/signal/a')
  await listen(bob, '/signal/a')
  await ann.request('UNSUBSCRIBE', { id: 's' })
  await bob.request('SEND', { destination: '/signal/a', type: 'typing' }, '1')
  await bob.next('MESSAGE')
  await listen(ann, '/signal/a')
  await bob.request('SEND', { destination: '/signal/a', type: 'typing' }, '2')
  t.equal((await ann.next('MESSAGE')).body.toString(), '2')
})

wire(t, '[S-66] [S-67] it takes the rights of the room', async (t, transport) => {
  const access = {
    ...openAccess().port,
    mayRead: async (_who: unknown, room: string) => room !== 'closed',
    maySend: (_who: unknown, room: string) => room !== 'closed' && room !== 'read-only',
  }
  const bridge = await startBridge(t, {}, { access })
  const refused = async (command: string, headers: Record<string, string>): Promise<void> => {
    const probe = await connect(t, transport, bridge)
    probe.send(command, headers)
    t.match((await probe.error()).headers, { code: 'FORBIDDEN' }, JSON.stringify(headers))
  }
  await refused('SUBSCRIBE', { id: 's', destination: '/signal/closed' })
  await refused('SEND', { destination: '/signal/closed', type: 'typing' })
  await refused('SEND', { destination: '/signal/closed', type: 'read' })
  await refused('SEND', { destination: '/signal/read-only', type: 'typing' })
  const probe = await connect(t, transport, bridge)
  await listen(probe, '/signal/read-only')
  await probe.request('SEND', { destination: '/signal/read-only', type: 'read' }, 'x')
  t.equal((await probe.next('MESSAGE')).body.toString(), 'x')
})

wire(t, '[S-67] [S-69] what cannot be said or subscribed to so', async (t, transport) => {
  const bridge = await startBridge(t, { SIGNAL_BYTES: '4' })
  const refused = async (
    command: string,
    headers: Record<string, string>,
    code: string,
    body: Buffer | string = '',
  ): Promise<void> => {
    const probe = await connect(t, transport, bridge)
    if ('transaction' in headers) probe.send('BEGIN', { transaction: 't' })
    probe.send(command, headers, body)
    t.match((await probe.error()).headers, { code }, JSON.stringify(headers))
  }
  const destination = '/signal/a'
  await refused('SEND', { destination }, 'MISSING_HEADER')
  await refused('SEND', { destination, type: 'presence' }, 'BAD_HEADER')
  await refused('SEND', { destination, type: 'typing' }, 'FRAME_TOO_LARGE', '12345')
  await refused('SEND', { destination, type: 'typing' }, 'BAD_ENCODING', Buffer.from([0xff]))
  await refused('SEND', { destination, type: 'typing', transaction: 't' }, 'BAD_DESTINATION')
  await refused('SEND', { destination: '/user/queue/events', type: 'typing' }, 'BAD_DESTINATION')
  await refused('SUBSCRIBE', { id: 's', destination, ack: 'client' }, 'BAD_HEADER')
  await refused('SUBSCRIBE', { id: 's', destination: '/user/queue/events', ack: 'client' }, 'BAD_HEADER')
  await refused('SUBSCRIBE', { id: 's', destination: '/signal/' }, 'BAD_DESTINATION')
  const probe = await connect(t, transport, bridge)
  await listen(probe, destination)
  await probe.request('SEND', { destination, type: 'typing' }, '1234')
  t.equal((await probe.next('MESSAGE')).body.toString(), '1234', 'at the limit')
})

wire(t, '[S-68] SIGNALS_PER_SECOND: at the limit, and one past it', async (t, transport) => {
  const bridge = await startBridge(t, { SIGNALS_PER_SECOND: '3' })
  const [ann, bob] = [await connect(t, transport, bridge), await connect(t, transport, bridge, 'bob')]
  const destination = '/signal/a'
  await listen(bob, destination)
  // At once, so that no time passes in between.
  const send = (n: number): string => `SEND\ndestination:${destination}\ntype:typing\nreceipt:${n}\n\n${n}\0`
  ann.raw([1, 2, 3, 4].map(send).join(''))
  for (let n = 1; n <= 4; n++) t.equal((await ann.next('RECEIPT')).headers['receipt-id'], String(n))
  await bob.request('SEND', { destination, type: 'typing' }, 'end')
  t.same(await bob.bodiesUntil('end'), ['1', '2', '3', 'end'], 'the others are not held back')
  t.equal((await figures(bridge)).get('hoofbeat_signals_dropped_total{reason="rate"}'), 1)
})

wire(t, '[S-66] [S-68] a client that does not keep up goes without it', async (t, transport) => {
  const { node, ...bridge } = await startBridge(t, { OUTBOX_BYTES: '65536', SIGNALS_PER_SECOND: '1000000' })
  const [ann, bob] = [await connect(t, transport, bridge), await connect(t, transport, bridge, 'bob')]
  const [topic, signal] = ['/topic/a', '/signal/a']
  await listen(bob, topic, 't')
  await listen(bob, signal, 's')
  bob.pause(true)
  const body = Buffer.alloc(500_000, 'x')
  while (node.gauges().outboxBytes < 65_536) await ann.request('SEND', { destination: topic }, body)
  for (let n = 0; n < 100; n++) await ann.request('SEND', { destination: signal, type: 'typing' }, `typing ${n}`)
  await ann.request('SEND', { destination: topic }, 'end')
  bob.pause(false)
  const bodies = await bob.bodiesUntil('end')
  t.same(
    bodies.filter(each => each.startsWith('typing')),
    [],
    'none of it waited',
  )
  t.equal((await figures(bridge)).get('hoofbeat_signals_dropped_total{reason="slow"}'), 100)
  await ann.request('SEND', { destination: signal, type: 'typing' }, 'again')
  t.equal((await bob.next('MESSAGE')).body.toString(), 'again')
})

wire(t, '[S-66] on another node it is told too', async (t, transport) => {
  const url = await redisUrl(t)
  const open = async (): Promise<Target> => {
    const signals = openRedisSignals({ url, logger: silent })
    t.teardown(() => signals.close())
    await signals.check(5_000)
    return startBridge(t, {}, { signals: signals.port })
  }
  const [here, there] = [await open(), await open()]
  const room = crypto.randomUUID()
  const [ann, bob] = [await connect(t, transport, here), await connect(t, transport, there, 'bob')]
  await listen(bob, `/signal/${room}`)
  await ann.request('SEND', { destination: `/signal/${room}`, type: 'typing' }, 'x')
  t.match(await bob.next('MESSAGE'), { headers: { sender: 'ann', destination: `/signal/${room}` } })
})

wire(t, '[S-70] what the server says has no sender, and whom it is not for does not get it', async (t, transport) => {
  const signals = memorySignals().port
  const bridge = await startBridge(t, {}, { signals })
  const [ann, bob] = [await connect(t, transport, bridge), await connect(t, transport, bridge, 'bob')]
  for (const probe of [ann, bob]) await listen(probe, '/signal/a')
  const say = (signal: RoomSignal): void => signals.publish(roomChannel('a'), signal)
  const common = { type: 'presence', time: 1, contentType: 'application/json' }
  say({ ...common, id: 'x1', body: '{"user":"cher"}', except: ['bob'] })
  say({ ...common, id: 'x2', body: '{"user":"dan"}' })
  t.same(
    (await ann.messages(2)).map(({ headers }) => [headers['type'], headers['message-id'], headers['sender']]),
    [
      ['presence', 'x1', undefined],
      ['presence', 'x2', undefined],
    ],
  )
  t.match((await bob.next('MESSAGE')).headers, { 'message-id': 'x2', 'timestamp': '1' })
})

wire(t, '[S-70] what is for those inside comes to who may send, not to who may read alone', async (t, transport) => {
  const signals = memorySignals().port
  const { port } = openAccess()
  const answers: Record<string, () => boolean | Promise<boolean>> = {
    ann: () => true,
    bob: () => false,
    cher: () => Promise.resolve(true),
    dan: () => Promise.reject(new Error('nobody can tell')),
    eve: async () => {
      await gate.promise
      return true
    },
  }
  const gate = Promise.withResolvers<void>()
  const access: Access = {
    authenticate: credentials => port.authenticate(credentials),
    mayRead: () => true,
    maySend: ({ user }) => answers[user]!(),
    changes: () => undefined,
  }
  const bridge = await startBridge(t, {}, { signals, access })
  const common = { type: 'presence', time: 1, contentType: 'application/json', body: '{}' }
  const heard: Record<string, (string | undefined)[]> = {}
  const probes = new Map<string, Probe>()
  for (const user of Object.keys(answers)) {
    const probe = await connect(t, transport, bridge, user)
    await listen(probe, '/signal/a')
    probes.set(user, probe)
  }
  signals.publish(roomChannel('a'), { ...common, id: 'inside', inside: true })
  signals.publish(roomChannel('a'), { ...common, id: 'all' })
  for (const [user, probe] of probes) {
    await probe.when(() => probe.frames.some(({ headers }) => headers['message-id'] === 'all'), 'what all are told')
    await probe.settled()
    heard[user] = probe.frames.map(({ headers }) => headers['message-id']).toSorted()
  }
  const both = ['all', 'inside']
  t.same(heard, { ann: both, bob: ['all'], cher: both, dan: ['all'], eve: ['all'] })
  const eve = probes.get('eve')!
  await eve.request('UNSUBSCRIBE', { id: 's' })
  gate.resolve()
  await eve.settled()
  t.equal(eve.frames.length, 1, 'nothing comes to who has left meanwhile')
})

/** Events that a test makes. */
const someEvents = () => {
  const listeners = new Map<string, (event: UserEvent) => void>()
  const gate = Promise.withResolvers<void>()
  gate.resolve()
  const events = {
    gate: gate.promise,
    async subscribe({ user }: { user: string }, tell: (event: UserEvent) => void) {
      await events.gate
      listeners.set(user, tell)
      setImmediate(tell, { type: 'presence', body: { known: true } })
      return () => void listeners.delete(user)
    },
  } satisfies UserEvents & { gate: Promise<void> }
  return { events, listeners }
}

wire(t, '[S-69] the user queue `events`: what holds now first, then what changes, as JSON', async (t, transport) => {
  const { events, listeners } = someEvents()
  const { node, ...bridge } = await startBridge(t, {}, { events })
  const ann = await connect(t, transport, bridge)
  await listen(ann, '/user/queue/events', 'q')
  const first = await ann.next('MESSAGE')
  t.match(first.headers, { 'subscription': 'q', 'destination': '/user/queue/events', 'type': 'presence' })
  t.match(first.headers, { 'content-type': 'application/json' })
  t.equal(first.body.toString(), '{"known":true}')
  listeners.get('ann')!({ type: 'x', body: ['ä'] })
  const second = await ann.next('MESSAGE')
  t.match([second.headers['type'], second.body.toString()], ['x', '["ä"]'])
  t.not(second.headers['message-id'], first.headers['message-id'])
  node.tellAll({ type: 'announcement', body: { text: 'hear' } })
  t.match((await ann.next('MESSAGE')).headers, { type: 'announcement' })
  await ann.request('UNSUBSCRIBE', { id: 'q' })
  t.equal(listeners.size, 0)
  node.tellAll({ type: 'announcement', body: { text: 'too late' } })
  await ann.request('BEGIN', { transaction: 't' })
  t.same(ann.frames, [])
})

wire(t, '[S-69] a client that does not keep up is not told, which is counted', async (t, transport) => {
  const { events, listeners } = someEvents()
  const { node, ...bridge } = await startBridge(t, { OUTBOX_BYTES: '65536' }, { events })
  const [ann, bob] = [await connect(t, transport, bridge), await connect(t, transport, bridge, 'bob')]
  await listen(bob, '/topic/a', 't')
  await listen(bob, '/user/queue/events', 'q')
  await bob.next('MESSAGE')
  bob.pause(true)
  const body = Buffer.alloc(500_000, 'x')
  while (node.gauges().outboxBytes < 65_536) await ann.request('SEND', { destination: '/topic/a' }, body)
  for (let n = 0; n < 10; n++) listeners.get('bob')!({ type: 'x', body: n })
  await ann.request('SEND', { destination: '/topic/a' }, 'end')
  bob.pause(false)
  const { headers } = await bob.take(
    frame => frame.headers['type'] === 'x' || frame.body.toString() === 'end',
    'the end, or an event',
  )
  t.equal(headers['destination'], '/topic/a')
  t.equal((await figures(bridge)).get('hoofbeat_signals_dropped_total{reason="slow"}'), 10)
})

wire(t, '[S-69] UNSUBSCRIBE and the end of a connection, while SUBSCRIBE is under way', async (t, transport) => {
  const { events, listeners } = someEvents()
  const { node, ...bridge } = await startBridge(t, {}, { events })
  const gate = Promise.withResolvers<void>()
  events.gate = gate.promise
  const [ann, bob] = [await connect(t, transport, bridge), await connect(t, transport, bridge, 'bob')]
  ann.send('SUBSCRIBE', { id: 'q', destination: '/user/queue/events', receipt: 'late' })
  await ann.request('UNSUBSCRIBE', { id: 'q' })
  bob.send('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await bob.request('BEGIN', { transaction: 't' })
  bob.end()
  await until(() => node.gauges().connections === 1)
  gate.resolve()
  await ann.take(({ headers }) => headers['receipt-id'] === 'late', 'RECEIPT of SUBSCRIBE')
  await until(() => listeners.size === 0)
  t.same(ann.frames, [])
})

/** Signals that are heard at once and stand later, as over a Redis that is far away. */
const slowSignals = () => {
  const { port } = memorySignals()
  const gate = Promise.withResolvers<void>()
  const signals: Signals = {
    publish: (channel, event) => port.publish(channel, event),
    async subscribe(channel, listener) {
      const leave = await port.subscribe(channel, listener)
      await gate.promise
      return leave
    },
  }
  return { signals, stand: gate.resolve }
}

wire(
  t,
  '[S-44] [S-66] [S-72] UNSUBSCRIBE, and the end of the right, while SUBSCRIBE to signals is under way',
  async (t, transport) => {
    const { signals, stand } = slowSignals()
    const lost = new Set<string>()
    const listeners: ((change: { user: string; room: string }) => void)[] = []
    const access = {
      ...openAccess().port,
      mayRead: ({ user }: { user: string }) => !lost.has(user),
      changes: (listener: (change: { user: string; room: string }) => void) => void listeners.push(listener),
    }
    const bridge = await startBridge(t, {}, { signals, access })
    const [leaves, loses, says] = [
      await connect(t, transport, bridge, 'leaves'),
      await connect(t, transport, bridge, 'loses'),
      await connect(t, transport, bridge, 'says'),
    ]
    const both = [leaves, loses]
    const destination = '/signal/a'
    const say = (): Promise<unknown> => says.request('SEND', { destination, type: 'typing' })
    await listen(loses, '/user/queue/events', 'q')
    for (const probe of both) probe.send('SUBSCRIBE', { id: 's', destination, receipt: 'late' })
    for (const probe of both) await probe.settled()
    await say()
    for (const probe of both) t.match((await probe.next('MESSAGE')).headers, { destination })
    await leaves.request('UNSUBSCRIBE', { id: 's' })
    lost.add('loses')
    for (const listener of listeners) listener({ user: 'loses', room: 'a' })
    t.match((await loses.next('MESSAGE')).headers, { type: 'removed' })
    await say()
    stand()
    for (const probe of both) t.equal((await probe.next('RECEIPT')).headers['receipt-id'], 'late')
    await say()
    for (const probe of both) await probe.settled()
    t.same([leaves.frames, loses.frames], [[], []])
  },
)

wire(t, '[S-69] where nothing is known of users the queue stays empty', async (t, transport) => {
  const node = await startNode(t)
  const probe = await connect(t, transport, node)
  await listen(probe, '/user/queue/events', 'q')
  await probe.request('UNSUBSCRIBE', { id: 'q' })
  t.same(probe.frames, [])
})

wire(t, '[S-71] a connection that an admin ends gets ENDED_BY_ADMIN, and no other', async (t, transport) => {
  const seen: unknown[][] = []
  const attendance: Attendance = {
    arrived: (...all) => void seen.push(['arrived', ...all]),
    left: (...all) => void seen.push(['left', ...all]),
  }
  const { node, ...bridge } = await startBridge(t, {}, { attendance })
  const [ann, bob] = [await connect(t, transport, bridge), await connect(t, transport, bridge, 'bob')]
  await ann.request('SUBSCRIBE', { id: 's', destination: '/topic/a' })
  await ann.request('SUBSCRIBE', { id: 'x', destination: '/signal/b' })
  const [, id, who, at] = seen[0] as [string, string, unknown, { address: string; rooms(): Iterable<string> }]
  t.match(who, { user: 'ann' })
  t.match(at.address, /127\.0\.0\.1|::/)
  t.same([...at.rooms()], ['a'])
  node.disconnect('nobody')
  node.disconnect(id)
  t.match((await ann.error()).headers, { code: 'ENDED_BY_ADMIN' })
  await ann.closed
  await until(() => seen.length === 3)
  t.same(seen[2], ['left', id, false])
  await bob.request('BEGIN', { transaction: 't' })
})

wire(t, 'a session that ends counts at once, before its connection has closed', async (t, transport) => {
  const seen: unknown[][] = []
  const attendance: Attendance = { arrived: () => {}, left: (...all) => void seen.push(all) }
  const listeners: ((change: { session: string }) => void)[] = []
  const access = {
    ...openAccess().port,
    authenticate: async () => ({ user: 'ann', session: 's1' }),
    changes: (listener: (change: { session: string }) => void) => void listeners.push(listener),
  }
  const { node, ...bridge } = await startBridge(t, {}, { attendance, access })
  const ann = await connect(t, transport, bridge)
  for (const listener of listeners) listener({ session: 's1' })
  t.match(seen, [[String, true]])
  t.match((await ann.error()).headers, { code: 'SESSION_ENDED' })
  await until(() => node.gauges().connections === 0)
  t.match(seen, [
    [String, true],
    [String, false],
  ])
})
