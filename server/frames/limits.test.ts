import t, { type Test } from 'tap'
import type { RoomLog } from '../ports/room-log.ts'
import { longestFrame } from '../stomp/parser.ts'
import { startBridge, startNode, until } from '../testkit/node.ts'
import { Probe, wire, type TransportName } from '../testkit/probe.ts'

// Most of them wait for time to go by.
t.jobs = 8

/** Opens a transport and CONNECTs, whatever comes of it. */
const knock = async (
  t: Test,
  transport: TransportName,
  node: Parameters<typeof Probe.open>[2],
  login = 'ann',
): Promise<Probe> => {
  const probe = await Probe.open(t, transport, node)
  probe.send('CONNECT', { 'accept-version': '1.2', login })
  return probe
}

wire(t, '[checklist 17] BODY_BYTES, HEADERS, HEADER_BYTES: at the limit, and one past it', async (t, transport) => {
  const node = await startNode(t, { BODY_BYTES: '100', HEADERS: '8', HEADER_BYTES: '256' })
  const destination = '/topic/a'
  const probe = await Probe.connect(t, transport, node)
  await probe.request('SUBSCRIBE', { id: 's', destination })
  probe.send('SEND', { destination }, 'x'.repeat(100))
  t.equal((await probe.next('MESSAGE')).body.length, 100)
  probe.send('SEND', { destination, 'content-length': 100 }, 'x'.repeat(100))
  t.equal((await probe.next('MESSAGE')).body.length, 100)
  probe.send('SEND', { destination, 'header-': 'x'.repeat(256 - 8) })
  t.equal((await probe.next('MESSAGE')).headers['header-']!.length, 248)
  const headers = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`h${i}`, String(i)]))
  const { h7: _h7, h8: _h8, ...seven } = headers
  probe.send('SEND', { destination, ...seven })
  t.match((await probe.next('MESSAGE')).headers, seven)
  const past: [() => [Record<string, string | number>, string], string][] = [
    [() => [{ destination }, 'x'.repeat(101)], 'FRAME_TOO_LARGE'],
    [() => [{ destination, 'content-length': 101 }, 'x'.repeat(101)], 'FRAME_TOO_LARGE'],
    [() => [{ destination, 'header-': 'x'.repeat(257 - 8) }, ''], 'FRAME_TOO_LARGE'],
    [() => [{ destination, ...seven, h7: '7' }, ''], 'TOO_MANY_HEADERS'],
  ]
  for (const [frame, code] of past) {
    const wrong = await Probe.connect(t, transport, node)
    wrong.send('SEND', ...frame())
    t.match((await wrong.error()).headers, { code })
  }
  // Where no end comes at all, the limit is the end.
  const endless = await Probe.connect(t, transport, node)
  endless.raw(`SEND\n${'x'.repeat(300)}`)
  t.match((await endless.error()).headers, { code: 'FRAME_TOO_LARGE' })
})

t.test('[S-04] the largest message is the largest frame with CR LF for line ends', async t => {
  const node = await startNode(t, { BODY_BYTES: '100', HEADERS: '1024', HEADER_BYTES: '256' })
  const probe = await Probe.connect(t, 'websocket', node)
  const lines = Array.from({ length: 1022 }, (_, i) => `${i}:`.padEnd(256, 'x'))
  const frame = ['SEND', 'destination:/topic/a', 'receipt:r', ...lines, '', 'x'.repeat(100)].join('\r\n')
  const most = longestFrame({ bodyBytes: 100, headers: 1024, headerBytes: 256 })
  probe.raw(`${frame}\0`.padEnd(most, '\n'))
  t.equal((await probe.next('RECEIPT')).headers['receipt-id'], 'r')
  probe.raw('\n'.repeat(most + 1))
  t.equal(await probe.ended(), 1009)
})

wire(t, 'SUBSCRIPTIONS: at the limit, and one past it', async (t, transport) => {
  const node = await startNode(t, { SUBSCRIPTIONS: '3' })
  const probe = await Probe.connect(t, transport, node)
  for (const id of ['a', 'b']) await probe.request('SUBSCRIBE', { id, destination: '/topic/a' })
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
  await probe.request('UNSUBSCRIBE', { id: 'a' })
  await probe.request('SUBSCRIBE', { id: 'c', destination: '/topic/c' })
  probe.send('SUBSCRIBE', { id: 'd', destination: '/topic/a', receipt: 'r' })
  t.match((await probe.error()).headers, { 'code': 'TOO_MANY_SUBSCRIPTIONS', 'receipt-id': 'r' })
})

wire(
  t,
  '[S-19] CONNECTIONS_PER_USER, CONNECTIONS_PER_ADDRESS, CONNECTIONS_WAITING: at the limit, and one past it',
  async (t, transport) => {
    const users = await startNode(t, { CONNECTIONS_PER_USER: '2' })
    const [first, second] = await Promise.all([1, 2].map(() => knock(t, transport, users)))
    for (const probe of [first!, second!]) await probe.next('CONNECTED')
    const third = await knock(t, transport, users)
    t.match((await third.error()).headers, { code: 'TOO_MANY_CONNECTIONS', message: /of this user/ })
    await (await knock(t, transport, users, 'bob')).next('CONNECTED')
    first!.send('DISCONNECT')
    await first!.ended()
    await admitted(t, transport, users)

    const addresses = await startNode(t, { CONNECTIONS_PER_ADDRESS: '2' })
    const waiting = await Probe.open(t, transport, addresses)
    const one = await knock(t, transport, addresses)
    await one.next('CONNECTED')
    const over = await Probe.open(t, transport, addresses)
    t.match((await over.error()).headers, { code: 'TOO_MANY_CONNECTIONS', message: /from this address/ })
    waiting.end()
    await admitted(t, transport, addresses)

    const crowd = await startNode(t, { CONNECTIONS_WAITING: '2' })
    const [a, b] = await Promise.all([1, 2].map(() => Probe.open(t, transport, crowd)))
    const c = await Probe.open(t, transport, crowd)
    t.match((await c.error()).headers, { code: 'TOO_MANY_CONNECTIONS', message: /waiting/ })
    a!.send('CONNECT')
    await a!.next('CONNECTED')
    const d = await knock(t, transport, crowd)
    await d.next('CONNECTED')
    b!.end()
    for (let i = 0; i < 3; i++) await admitted(t, transport, crowd)
  },
)

/** Connects as soon as the node has seen that another has gone. */
const admitted = async (t: Test, transport: TransportName, node: Parameters<typeof Probe.open>[2]): Promise<Probe> => {
  for (let turn = 0; turn < 200; turn++) {
    const probe = await knock(t, transport, node)
    await probe.when(() => probe.frames.length > 0, 'an answer')
    if (probe.frames[0]!.command === 'CONNECTED') return probe
    t.match(await probe.error(), { headers: { code: 'TOO_MANY_CONNECTIONS' } })
  }
  throw new Error('not admitted')
}

wire(t, '[S-28] ROOMS_MAX: at the limit, and one past it', async (t, transport) => {
  const node = await startNode(t, { ROOMS_MAX: '3' })
  const probe = await Probe.connect(t, transport, node)
  await probe.request('SEND', { destination: '/topic/a' })
  await probe.request('SUBSCRIBE', { id: 's', destination: '/topic/b' })
  await probe.request('BEGIN', { transaction: 't' })
  await probe.request('SEND', { destination: '/topic/c', transaction: 't' })
  await probe.request('COMMIT', { transaction: 't' })
  for (const room of ['a', 'b', 'c']) await probe.request('SEND', { destination: `/topic/${room}` })
  for (const headers of [{ destination: '/topic/d' }, { destination: '/topic/e', id: '1' }]) {
    const over = await Probe.connect(t, transport, node)
    over.send('id' in headers ? 'SUBSCRIBE' : 'SEND', { ...headers, receipt: 'r' })
    t.match((await over.error()).headers, { 'code': 'TOO_MANY_ROOMS', 'receipt-id': 'r' })
  }
})

/** How many new rooms `login` can make before it is refused, where none of them is made in another minute. */
const makeRooms = async (
  t: Test,
  transport: TransportName,
  node: Parameters<typeof Probe.open>[2],
  login: string,
): Promise<number> => {
  const probe = await Probe.connect(t, transport, node, { login })
  for (let made = 0; ; made++) {
    probe.send('SEND', { destination: `/topic/${login}-${Math.random()}`, receipt: made })
    await probe.when(() => probe.frames.length > 0, 'an answer')
    if (probe.frames[0]!.command === 'RECEIPT') probe.frames.shift()
    else {
      t.match((await probe.error()).headers, { 'code': 'TOO_MANY_ROOMS', 'receipt-id': String(made) })
      return made
    }
  }
}

wire(t, '[S-28] ROOMS_PER_MINUTE: per user and per address, at the limit and one past it', async (t, transport) => {
  let minute: number
  do {
    const node = await startNode(t, { ROOMS_PER_MINUTE: '3' })
    minute = Math.floor(Date.now() / 60_000)
    const made = [
      await makeRooms(t, transport, node, 'ann'),
      await makeRooms(t, transport, node, 'ann'),
      await makeRooms(t, transport, node, 'bob'),
    ]
    if (Math.floor(Date.now() / 60_000) === minute) t.same(made, [3, 0, 0], 'bob comes from the same address')
  } while (Math.floor(Date.now() / 60_000) !== minute)
})

wire(t, '[S-28] ROOMS=declared: rooms of ROOM_NAMES only', async (t, transport) => {
  const node = await startNode(t, { ROOMS: 'declared', ROOM_NAMES: 'general, team/a' })
  const probe = await Probe.connect(t, transport, node)
  for (const room of ['general', 'team/a']) {
    await probe.request('SUBSCRIBE', { id: room, destination: `/topic/${room}` })
    await probe.request('SEND', { destination: `/topic/${room}` }, room)
    t.equal((await probe.next('MESSAGE')).body.toString(), room)
  }
  for (const [command, headers] of [
    ['SEND', {}],
    ['SUBSCRIBE', { id: '1' }],
  ] as const) {
    const other = await Probe.connect(t, transport, node)
    other.send(command, { ...headers, destination: '/topic/General', receipt: 'r' })
    t.match((await other.error()).headers, { 'code': 'NO_SUCH_ROOM', 'receipt-id': 'r', 'message': /General$/ })
  }
})

wire(
  t,
  '[S-34] UNSETTLED_APPENDS, LOG_QUEUE_BYTES: past them a connection is read more slowly, and nothing is lost',
  async (t, transport) => {
    for (const env of [
      { UNSETTLED_APPENDS: '1' },
      { UNSETTLED_APPENDS: '3' },
      { LOG_QUEUE_BYTES: String(2 * 1024 * 1024) },
    ]) {
      const node = await startNode(t, { SENDS_PER_SECOND: '100000', ...env })
      const destination = '/topic/a'
      const [reader, ...senders] = await Promise.all([1, 2, 3].map(() => Probe.connect(t, transport, node)))
      await reader!.request('SUBSCRIBE', { id: 's', destination })
      const body = 'x'.repeat(16 * 1024)
      for (let i = 0; i < 100; i++)
        for (const [n, sender] of senders.entries())
          sender.send('SEND', { destination, n, i, ...(i === 99 ? { receipt: 'last' } : {}) }, body)
      for (const sender of senders) await sender.next('RECEIPT')
      const messages = await reader!.messages(200)
      for (const n of ['0', '1']) {
        t.same(
          messages.filter(({ headers }) => headers['n'] === n).map(({ headers }) => Number(headers['i'])),
          Array.from({ length: 100 }, (_, i) => i),
        )
      }
      senders[0]!.send('DISCONNECT', { receipt: 'bye' })
      t.equal((await senders[0]!.next('RECEIPT')).headers['receipt-id'], 'bye')
      await senders[0]!.ended()
    }
  },
)

wire(t, '[S-34] all of a frame counts while it is under way, not its body alone', async (t, transport) => {
  const taken = Promise.withResolvers<void>()
  const log: Pick<RoomLog, 'bounds' | 'create' | 'append'> = {
    bounds: room => here.log.port.bounds(room),
    create: rooms => here.log.port.create(rooms),
    append: async (room, records) => {
      await taken.promise
      return here.log.port.append(room, records)
    },
  }
  const here = await startBridge(t, {}, { log: log as RoomLog })
  const probe = await Probe.connect(t, transport, here)
  const lines = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`h${i}`, 'x'.repeat(8000)]))
  probe.send('SEND', { destination: '/topic/a', ...lines }, 'x'.repeat(1000))
  await until(() => here.node.gauges().unsettledBytes > 481_000)
  taken.resolve()
  await until(() => here.node.gauges().unsettledBytes === 0)
})

wire(t, '[S-35] SENDS_PER_SECOND: past them a user is read at that pace; others do not wait', async (t, transport) => {
  const destination = '/topic/a'
  // At one a second this is more than a test may take, however busy the machine is.
  const many = 600
  const slow = await startBridge(t, { SENDS_PER_SECOND: '1' }, { ratePatience: 600_000 })
  const ann = await Probe.connect(t, transport, slow, { login: 'ann' })
  const bob = await Probe.connect(t, transport, slow, { login: 'bob' })
  for (let i = 0; i < many; i++) ann.send('SEND', { destination, receipt: i })
  await ann.next('RECEIPT')
  await bob.request('SEND', { destination })
  t.ok(ann.frames.length < many - 1, 'she is held up, he is not')
  const node = await startNode(t, { SENDS_PER_SECOND: '50' })
  const carol = await Probe.connect(t, transport, node, { login: 'carol' })
  for (let i = 0; i < 80; i++) carol.send('SEND', { destination, receipt: i })
  for (let i = 0; i < 80; i++) t.equal((await carol.next('RECEIPT')).headers['receipt-id'], String(i))
})

wire(
  t,
  '[S-35] RATE_LIMITED with retry-after-ms, when it has gone on for the time of patience, also at one a second',
  async (t, transport) => {
    for (const rate of ['1', '20']) {
      const node = await startBridge(t, { SENDS_PER_SECOND: rate }, { ratePatience: 1200 })
      const probe = await Probe.connect(t, transport, node)
      for (let i = 0; i < 1000; i++) probe.send('SEND', { destination: '/topic/a' })
      const { headers } = await probe.error()
      t.match(headers, { 'code': 'RATE_LIMITED', 'retry-after-ms': /^[1-9]\d*$/ })
      const patient = await Probe.connect(t, transport, node, { login: 'bob' })
      for (let i = 0; i < 2; i++) await patient.request('SEND', { destination: '/topic/a' })
      // A flood that its sender does not wait for is not told, and does not go on for ever either.
      const leaver = await Probe.connect(t, transport, node, { login: 'carol' })
      for (let i = 0; i < 1000; i++) leaver.send('SEND', { destination: '/topic/a' })
      leaver.end()
    }
  },
)
