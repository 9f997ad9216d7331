import { randomBytes } from 'node:crypto'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { openAccess } from '../drivers/open.ts'
import type { Credentials } from '../ports/access.ts'
import { startBridge, startNode, until } from '../testkit/node.ts'
import { Probe, transports, wire, type TransportName } from '../testkit/probe.ts'
import { StillTransport } from '../testkit/still-transport.ts'

const node = await startNode(t)

const subscribed = async (t: Test, transport: TransportName, destination: string, login = 'ann'): Promise<Probe> => {
  const probe = await Probe.connect(t, transport, node, { login })
  await probe.request('SUBSCRIBE', { id: 's', destination })
  return probe
}

wire(
  t,
  '[checklist 33] [S-27] SEND needs destination; a SEND that cannot be processed gets ERROR, then close',
  async (t, transport) => {
    const long = 'x'.repeat(121)
    const bad: [string | undefined, string][] = [
      [undefined, 'MISSING_HEADER'],
      ...[
        '',
        '/',
        '/topic',
        '/topic/',
        `/topic/${long}`,
        '/topic/a b',
        '/topic/가',
        '/topic/a*',
        '/topic/a?',
        '/Topic/a',
        'topic/a',
        '/queue/a',
        '/exchange/a',
        '/user/queue/session',
        '/user/queue/other',
        '/session/other',
        '//topic/a',
        ' /topic/a',
        '/topic/a ',
        '/topic/a\\nb',
      ].map(destination => [destination, 'BAD_DESTINATION'] as [string, string]),
    ]
    for (const [destination, code] of bad) {
      const probe = await Probe.connect(t, transport, node)
      probe.send('SEND', { receipt: 'r', ...(destination === undefined ? {} : { destination }) }, 'body')
      t.match((await probe.error()).headers, { code, 'receipt-id': 'r' }, destination ?? 'none')
      t.same(probe.frames, [], 'no RECEIPT for a frame that failed')
    }
    const probe = await Probe.connect(t, transport, node)
    for (const room of ['a', 'x'.repeat(120), 'A-Z.0_9/b:c', '.', '..', '-', '/']) {
      await probe.request('SEND', { destination: `/topic/${room}` })
    }
  },
)

wire(t, '[checklist 34] [S-46] MUST pass user headers through', async (t, transport) => {
  const destination = `/topic/headers-${transport}`
  const probe = await subscribed(t, transport, destination)
  const headers = {
    'x-one': '1',
    'empty': '',
    'priority': '9',
    'expires': '0',
    'persistent': 'true',
    'type': 'note',
    'UPPER': 'Case',
    'version': '9',
    'session': 'mine',
    'code': 'x',
    'message': 'y',
    '__proto__x': 'z',
    'constructor': 'c',
  }
  probe.send('SEND', { destination, ...headers, 'content-type': 'text/plain' }, 'body')
  const { lines } = await probe.next('MESSAGE')
  t.same(
    lines.filter(([name]) => name in headers),
    Object.entries(headers),
    'each once, in order',
  )
  probe.raw(`SEND\ndestination:${destination}\n__proto__:p\n\n\0`)
  const message = await probe.next('MESSAGE')
  t.same(
    message.lines.find(([name]) => name === '__proto__'),
    ['__proto__', 'p'],
  )
})

wire(
  t,
  '[checklist 41] [S-46] [S-48] MESSAGE has destination as in SEND, a unique message-id, subscription, timestamp, sender',
  async (t, transport) => {
    const destination = `/topic/A.b_c-/${transport}:1`
    const before = Date.now()
    const probe = await subscribed(t, transport, destination, 'ann')
    const other = await Probe.connect(t, transport, node, { login: 'bob' })
    await other.request('SUBSCRIBE', { id: 'else', destination })
    const ids: string[] = []
    for (let i = 0; i < 20; i++)
      ids.push((await probe.request('SEND', { destination }, `m${i}`)).headers['message-id']!)
    t.equal(new Set(ids).size, 20)
    for (const [reader, subscription] of [
      [probe, 's'],
      [other, 'else'],
    ] as const) {
      for (const [i, { headers, body }] of (await reader.messages(20)).entries()) {
        t.match(headers, {
          destination: destination.replace(':', '\\c'),
          subscription,
          'message-id': ids[i],
          'sender': 'ann',
        })
        t.equal(body.toString(), `m${i}`)
        t.match(headers['message-id'], /^[A-Za-z0-9]+-\d+$/)
        const time = Number(headers['timestamp'])
        t.ok(time >= before - 1 && time <= Date.now() + 1)
      }
    }
  },
)

wire(t, '[checklist 44] [S-47] what a sender forges does not get through', async (t, transport) => {
  const destination = `/topic/forged-${transport}`
  const probe = await subscribed(t, transport, destination, 'ann')
  const forged = {
    'sender': 'root',
    'sender-name': 'Root',
    'erased': 'true',
    'message-id': 'x-1',
    'subscription': 'other',
    'timestamp': '1',
    'ack': 'x-1@s',
    'id': 'x',
    'recovered': 'false',
    'first': 'x-1',
    'idempotency-key': 'key',
    'entry-id': 'x',
  }
  probe.send('SEND', { ...forged, destination, 'receipt': 'r', 'content-length': 4 }, 'body')
  const { lines, headers } = await probe.take(frame => frame.command === 'MESSAGE', 'MESSAGE')
  t.same(lines.map(([name]) => name).sort(), [
    'content-length',
    'destination',
    'message-id',
    'sender',
    'subscription',
    'timestamp',
  ])
  t.match(headers, { 'sender': 'ann', 'subscription': 's', 'content-length': '4' })
  t.not(headers['message-id'], 'x-1')
  await probe.next('RECEIPT')
  // In another spelling, which some client may take for the same.
  probe.send('SEND', { destination, 'sende\\r': 'x' })
  const { headers: close } = await probe.next('MESSAGE')
  t.equal(close['sender'], 'ann')
})

wire(t, '[S-75] whoever has a name sends with it, and nobody with another one', async (t, transport) => {
  const open = openAccess().port
  const access = {
    ...open,
    authenticate: async (credentials: Credentials) => ({
      ...(await open.authenticate(credentials)),
      name: 'Änn: b',
    }),
  }
  const bridge = await startBridge(t, {}, { access })
  const ann = await Probe.connect(t, transport, bridge, { login: 'u1' })
  const plain = await Probe.connect(t, transport, bridge, { 'login': 'u2', 'accept-version': '1.0' })
  for (const probe of [ann, plain]) await probe.request('SUBSCRIBE', { id: 's', destination: '/topic/names' })
  const forged = { 'sender-name': 'Root', ' sender-name': 'Root' }
  await ann.request('SEND', { destination: '/topic/names', type: 'message', ...forged }, 'one')
  await ann.request('BEGIN', { transaction: 't' })
  await ann.request('SEND', { destination: '/topic/names', transaction: 't', ...forged }, 'two')
  await ann.request('COMMIT', { transaction: 't' })
  for (const [probe, name] of [
    [ann, 'Änn\\c b'],
    [plain, 'Änn: b'],
  ] as const) {
    for (const text of ['one', 'two']) {
      const { headers, lines, body } = await probe.next('MESSAGE')
      t.equal(body.toString(), text)
      t.match(headers, { 'sender': 'u1', 'sender-name': name })
      t.equal(lines.filter(([header]) => header.trim() === 'sender-name').length, 1)
    }
  }
})

wire(
  t,
  '[checklist 43, 67] a body of 1 MiB arrives unchanged on both transports, one byte more is FRAME_TOO_LARGE',
  async (t, transport) => {
    const destination = `/topic/large-${transport}`
    const readers = await Promise.all(transports.map(other => subscribed(t, other, destination)))
    const bodies = [randomBytes(1024 * 1024), Buffer.alloc(1024 * 1024, 0), Buffer.alloc(1024 * 1024, 'é')]
    const sender = await Probe.connect(t, transport, node)
    for (const body of bodies) {
      sender.send('SEND', { destination, 'receipt': 'r', 'content-length': body.length }, body)
      await sender.next('RECEIPT')
      for (const reader of readers) t.ok((await reader.next('MESSAGE')).body.equals(body))
    }
    const text = 'x'.repeat(1024 * 1024)
    sender.send('SEND', { destination, receipt: 'by NUL' }, text)
    await sender.next('RECEIPT')
    const over = await Probe.connect(t, transport, node)
    over.send('SEND', { destination, 'receipt': 'r', 'content-length': text.length + 1 }, `${text}x`)
    t.match((await over.error()).headers, { code: 'FRAME_TOO_LARGE' })
    const endless = await Probe.connect(t, transport, node)
    endless.send('SEND', { destination, receipt: 'r' }, `${text}x`)
    t.match((await endless.error()).headers, { code: 'FRAME_TOO_LARGE' })
    await sender.request('SEND', { destination }, 'barrier')
    for (const reader of readers) t.same((await reader.bodiesUntil('barrier')).length, 2)
  },
)

wire(
  t,
  '[checklist 67] [S-49] both transports share destinations; one order for all, the sender included',
  async (t, transport) => {
    const destination = `/topic/shared-${transport}`
    const probes = await Promise.all([...transports, ...transports].map(each => subscribed(t, each, destination)))
    for (let i = 0; i < 100; i++)
      for (const [n, probe] of probes.entries()) probe.send('SEND', { destination }, `${n}:${i}`)
    const seen = await Promise.all(
      probes.map(async probe => (await probe.messages(400)).map(({ body }) => body.toString())),
    )
    for (const bodies of seen) t.same(bodies, seen[0])
    for (const n of probes.keys()) {
      t.same(
        seen[0]!.filter(body => body.startsWith(`${n}:`)),
        Array.from({ length: 100 }, (_, i) => `${n}:${i}`),
        'and the order of each sender',
      )
    }
  },
)

wire(t, '[S-33] the sends of a connection keep their order, with and without receipts', async (t, transport) => {
  const destination = `/topic/order-${transport}`
  const reader = await subscribed(t, transport, destination)
  const sender = await Probe.connect(t, transport, node)
  const stream = Array.from({ length: 500 }, (_, i) => {
    const receipt = i % 3 === 0 ? `receipt:${i}\n` : ''
    const elsewhere = i % 5 === 0 ? `SEND\ndestination:${destination}/${i}\n\n\0` : ''
    return `${elsewhere}SEND\ndestination:${destination}\n${receipt}\n${i}\0`
  })
  sender.raw(stream.join(''))
  t.same(
    (await reader.messages(500)).map(({ body }) => Number(body)),
    Array.from({ length: 500 }, (_, i) => i),
  )
  const receipts: number[] = []
  while (receipts.length < 167) receipts.push(Number((await sender.next('RECEIPT')).headers['receipt-id']))
  t.same(
    receipts,
    receipts.toSorted((a, b) => a - b),
    'the receipts of one room in order too',
  )
})

wire(t, '[checklist 37] [S-33] a SEND waits for the pending SUBSCRIBE of its own connection', async (t, transport) => {
  for (let i = 0; i < 20; i++) {
    const destination = `/topic/own-${transport}-${i}`
    const probe = await Probe.connect(t, transport, node)
    probe.raw(`SUBSCRIBE\nid:s\ndestination:${destination}\n\n\0SEND\ndestination:${destination}\n\nmine\0`)
    t.equal((await probe.next('MESSAGE')).body.toString(), 'mine')
  }
})

wire(t, '[S-30] the RECEIPT of a SEND carries the message-id of its MESSAGE', async (t, transport) => {
  const destination = `/topic/receipts-${transport}`
  const probe = await subscribed(t, transport, destination)
  const receipt = await probe.request('SEND', { destination }, 'x')
  t.equal((await probe.next('MESSAGE')).headers['message-id'], receipt.headers['message-id'])
})

wire(t, '[S-32] idempotency-key: a repeat is one message and the same RECEIPT', async (t, transport) => {
  const destination = `/topic/keys-${transport}`
  const reader = await subscribed(t, transport, destination)
  const ann = await Probe.connect(t, transport, node, { login: 'ann' })
  const ann2 = await Probe.connect(t, 'tcp', node, { login: 'ann' })
  const bob = await Probe.connect(t, transport, node, { login: 'bob' })
  const send = async (probe: Probe, key: string, body: string, room = destination) =>
    (await probe.request('SEND', { 'destination': room, 'idempotency-key': key }, body)).headers['message-id']
  const first = await send(ann, 'k', 'first')
  t.equal(await send(ann, 'k', 'again'), first, 'from the same connection')
  t.equal(await send(ann2, 'k', 'again'), first, 'from another one of the same user')
  const concurrent = await Promise.all([ann, ann2, ann, ann2].map(probe => send(probe, 'c', 'concurrent')))
  t.equal(new Set(concurrent).size, 1, 'while the first is under way')
  t.not(await send(bob, 'k', 'of another sender'), first)
  t.not(await send(ann, 'K', 'of another key'), first)
  t.not(await send(ann, 'k', 'of another room', `${destination}/other`), first)
  t.not(await send(ann, 'x'.repeat(64), 'long'), first)
  t.not(await send(ann, '🐎'.repeat(64), 'characters, not their halves'), first)
  await reader.request('SEND', { destination }, 'barrier')
  t.same(await reader.bodiesUntil('barrier'), [
    'first',
    'concurrent',
    'of another sender',
    'of another key',
    'long',
    'characters, not their halves',
    'barrier',
  ])
  for (const key of ['', 'x'.repeat(65), '🐎'.repeat(65)]) {
    const probe = await Probe.connect(t, transport, node)
    probe.send('SEND', { destination, 'idempotency-key': key, 'receipt': 'r' })
    t.match((await probe.error()).headers, { 'code': 'BAD_HEADER', 'receipt-id': 'r' })
  }
})

t.test('[S-61] also what is fleeting, however long ago the client has left', async t => {
  const gate = Promise.withResolvers<boolean>()
  const maySend = (_who: unknown, room: string) => (room === 'slow' ? gate.promise : true)
  const { node, log, ...bridge } = await startBridge(
    t,
    { UNSETTLED_APPENDS: '1' },
    { access: { ...openAccess().port, maySend } },
  )
  const hears = await Probe.connect(t, 'tcp', bridge)
  await hears.request('SUBSCRIBE', { id: 's', destination: '/signal/a' })
  const connection = node.accept(new StillTransport())
  connection.receive(Buffer.from('CONNECT\nlogin:leaves\n\n\0'))
  await until(() => connection.user === 'leaves')
  connection.receive(
    Buffer.from(
      'SEND\ndestination:/topic/slow\n\n\0SEND\ndestination:/signal/a\ntype:typing\n\n\0SEND\ndestination:/topic/last\n\n\0',
    ),
  )
  mock.timers.enable({ apis: ['setTimeout'] })
  node.closed(connection)
  // What was known of the user's rates is forgotten.
  mock.timers.tick(60_000)
  mock.timers.reset()
  gate.resolve(true)
  t.match((await hears.next('MESSAGE')).headers, { type: 'typing', sender: 'leaves' })
  const lengthOf = (room: string) =>
    log.port.bounds(room).then(
      ({ next }) => next,
      () => 0n,
    )
  await until(async () => (await lengthOf('last')) === 1n)
})

wire(t, '[checklist 57] [S-61] frames that were received before a client left are processed', async (t, transport) => {
  const destination = `/topic/left-${transport}`
  const here = await startNode(t, { UNSETTLED_APPENDS: '2' })
  const reader = await Probe.connect(t, transport, here)
  await reader.request('SUBSCRIBE', { id: 's', destination })
  for (let round = 0; round < 3; round++) {
    const leaver = await Probe.connect(t, transport, here)
    // More than may be under way at a time: the rest waits in the node when the client is gone.
    leaver.raw(
      Array.from({ length: 50 }, (_, i) => `SEND\ndestination:${destination}\n\n${round}.${i}\0`).join('') +
        `SUBSCRIBE\nid:1\ndestination:${destination}\n\n\0SEND\ndestination:${destination}\n\n${round}.50\0`,
    )
    leaver.end()
  }
  const bodies = (await reader.messages(153)).map(({ body }) => body.toString())
  for (let round = 0; round < 3; round++) {
    t.same(
      bodies.filter(body => body.startsWith(`${round}.`)),
      Array.from({ length: 51 }, (_, i) => `${round}.${i}`),
    )
  }
})
