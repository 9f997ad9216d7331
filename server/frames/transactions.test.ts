import t, { type Test } from 'tap'
import { startNode } from '../testkit/node.ts'
import { Probe, wire, type TransportName } from '../testkit/probe.ts'

const node = await startNode(t)

const listener = async (t: Test, transport: TransportName, ...destinations: string[]): Promise<Probe> => {
  const probe = await Probe.connect(t, transport, node, { login: 'listener' })
  for (const destination of destinations) await probe.request('SUBSCRIBE', { id: destination, destination })
  return probe
}

wire(t, '[checklist 50] [S-55] transaction is REQUIRED, must be open, and not open twice', async (t, transport) => {
  const wrong: [string[], string, Record<string, string>, string][] = [
    [[], 'BEGIN', {}, 'MISSING_HEADER'],
    [[], 'COMMIT', {}, 'MISSING_HEADER'],
    [[], 'ABORT', {}, 'MISSING_HEADER'],
    [[], 'COMMIT', { transaction: 't' }, 'UNKNOWN_TRANSACTION'],
    [[], 'ABORT', { transaction: 't' }, 'UNKNOWN_TRANSACTION'],
    [[], 'SEND', { destination: '/topic/t', transaction: 't' }, 'UNKNOWN_TRANSACTION'],
    [['BEGIN'], 'BEGIN', { transaction: 't' }, 'DUPLICATE_TRANSACTION'],
    [['BEGIN'], 'COMMIT', { transaction: 'T' }, 'UNKNOWN_TRANSACTION'],
    [['BEGIN', 'COMMIT'], 'COMMIT', { transaction: 't' }, 'UNKNOWN_TRANSACTION'],
    [['BEGIN', 'COMMIT'], 'SEND', { destination: '/topic/t', transaction: 't' }, 'UNKNOWN_TRANSACTION'],
    [['BEGIN', 'ABORT'], 'ABORT', { transaction: 't' }, 'UNKNOWN_TRANSACTION'],
    [['BEGIN'], 'SEND', { transaction: 't' }, 'MISSING_HEADER'],
    [['BEGIN'], 'SEND', { destination: '/queue/t', transaction: 't' }, 'BAD_DESTINATION'],
    [['BEGIN'], 'SEND', { destination: '/session/renew', transaction: 't' }, 'BAD_DESTINATION'],
  ]
  for (const [before, command, headers, code] of wrong) {
    const probe = await Probe.connect(t, transport, node)
    for (const each of before) await probe.request(each, { transaction: 't' })
    probe.send(command, { ...headers, receipt: 'r' })
    t.match((await probe.error()).headers, { code, 'receipt-id': 'r' }, `${before.join()} ${command}`)
  }
  const probe = await Probe.connect(t, transport, node)
  for (const end of ['COMMIT', 'ABORT', 'COMMIT']) {
    await probe.request('BEGIN', { transaction: '' })
    await probe.request(end, { transaction: '' })
  }
})

wire(t, '[checklist 51] [S-56] COMMIT makes sends visible, in order, and not before', async (t, transport) => {
  const destination = `/topic/commit-${transport}`
  const reader = await listener(t, transport, destination)
  const probe = await Probe.connect(t, transport, node, { login: 'ann' })
  await probe.request('BEGIN', { transaction: 't' })
  for (let i = 0; i < 20; i++) {
    const { headers } = await probe.request('SEND', { destination, transaction: 't', k: i }, `parked ${i}`)
    t.same(Object.keys(headers), ['receipt-id'], 'parked, so there is no message-id yet')
  }
  await probe.request('SEND', { destination }, 'at once')
  t.same(await reader.bodiesUntil('at once'), ['at once'])
  probe.send('SEND', { destination }, 'before COMMIT')
  await probe.request('COMMIT', { transaction: 't' })
  await probe.request('SEND', { destination }, 'after COMMIT')
  const messages = await reader.messages(22)
  t.same(
    messages.map(({ body }) => body.toString()),
    ['before COMMIT', ...Array.from({ length: 20 }, (_, i) => `parked ${i}`), 'after COMMIT'],
  )
  t.match(messages[3]!.headers, { k: '2', sender: 'ann' })
  t.notOk('transaction' in messages[3]!.headers)
})

wire(t, '[S-56] the messages of each room come together, whatever others send meanwhile', async (t, transport) => {
  const rooms = [1, 2, 3].map(n => `/topic/together-${transport}-${n}`)
  const reader = await listener(t, transport, ...rooms)
  const [probe, noise] = await Promise.all([1, 2].map(() => Probe.connect(t, transport, node)))
  for (let round = 0; round < 5; round++) {
    probe!.send('BEGIN', { transaction: 't' })
    for (let i = 0; i < 30; i++)
      probe!.send('SEND', { destination: rooms[i % 3]!, transaction: 't' }, `parked ${round}.${i}`)
    for (let i = 0; i < 10; i++) for (const destination of rooms) noise!.send('SEND', { destination }, 'noise')
    await probe!.request('COMMIT', { transaction: 't' })
    for (let i = 0; i < 10; i++) for (const destination of rooms) noise!.send('SEND', { destination }, 'noise')
  }
  const messages = await reader.messages(5 * 90)
  for (const [n, destination] of rooms.entries()) {
    const bodies = messages
      .filter(({ headers }) => headers['destination'] === destination)
      .map(({ body }) => body.toString())
    for (let round = 0; round < 5; round++) {
      const at = bodies.indexOf(`parked ${round}.${n}`)
      t.same(
        bodies.slice(at, at + 10),
        Array.from({ length: 10 }, (_, i) => `parked ${round}.${i * 3 + n}`),
      )
    }
  }
})

wire(t, '[checklist 52] [S-57] ABORT discards; DISCONNECT or a lost connection aborts', async (t, transport) => {
  const destination = `/topic/abort-${transport}`
  const reader = await listener(t, transport, destination)
  for (const end of ['ABORT', 'DISCONNECT', 'cut']) {
    const probe = await Probe.connect(t, transport, node)
    await probe.request('BEGIN', { transaction: 't' })
    await probe.request('SEND', { destination, transaction: 't' }, end)
    if (end === 'cut') probe.end()
    else await probe.request(end, { transaction: 't' })
    if (end === 'ABORT') await probe.request('SEND', { destination }, 'goes on')
  }
  await reader.request('SEND', { destination }, 'barrier')
  t.same(await reader.bodiesUntil('barrier'), ['goes on', 'barrier'])
})

wire(t, '[checklist 53] transactions are separate, and scoped to the connection', async (t, transport) => {
  const destination = `/topic/separate-${transport}`
  const reader = await listener(t, transport, destination)
  const [one, two] = await Promise.all([1, 2].map(() => Probe.connect(t, transport, node, { login: 'ann' })))
  for (const probe of [one!, two!]) for (const transaction of ['a', 'b']) await probe.request('BEGIN', { transaction })
  await one!.request('SEND', { destination, transaction: 'a' }, 'one a')
  await one!.request('SEND', { destination, transaction: 'b' }, 'one b')
  await one!.request('SEND', { destination, transaction: 'a' }, 'one a again')
  await two!.request('SEND', { destination, transaction: 'a' }, 'two a')
  await one!.request('COMMIT', { transaction: 'b' })
  await two!.request('ABORT', { transaction: 'a' })
  await one!.request('COMMIT', { transaction: 'a' })
  await two!.request('COMMIT', { transaction: 'b' })
  await two!.request('SEND', { destination }, 'barrier')
  t.same(await reader.bodiesUntil('barrier'), ['one b', 'one a', 'one a again', 'barrier'])
})

wire(t, '[S-58] at most TRANSACTIONS are open, with TRANSACTION_BYTES together', async (t, transport) => {
  const here = await startNode(t, { TRANSACTIONS: '3', TRANSACTION_BYTES: '2000' })
  const probe = await Probe.connect(t, transport, here)
  for (const transaction of ['a', 'b', 'c']) await probe.request('BEGIN', { transaction })
  await probe.request('ABORT', { transaction: 'a' })
  await probe.request('BEGIN', { transaction: 'd' })
  probe.send('BEGIN', { transaction: 'e', receipt: 'r' })
  t.match((await probe.error()).headers, { 'code': 'TOO_MANY_TRANSACTIONS', 'receipt-id': 'r' })
  // Each SEND counts for 256 bytes beside its text.
  for (const size of [488, 489]) {
    const sender = await Probe.connect(t, transport, here)
    for (const transaction of ['a', 'b', 'c']) await sender.request('BEGIN', { transaction })
    await sender.request('SEND', { destination: '/topic/x', transaction: 'a' }, 'x'.repeat(1000 - 256))
    await sender.request('ABORT', { transaction: 'a' })
    await sender.request('SEND', { destination: '/topic/x', transaction: 'b', header: 'x'.repeat(1000 - 256 - 6) })
    const last = { destination: '/topic/x', transaction: 'c', receipt: 'r' }
    sender.send('SEND', last, 'x'.repeat(size))
    sender.send('SEND', last)
    if (size === 489) t.match((await sender.error()).headers, { 'code': 'FRAME_TOO_LARGE', 'receipt-id': 'r' })
    else {
      await sender.next('RECEIPT')
      await sender.next('RECEIPT')
      await sender.request('COMMIT', { transaction: 'c' })
    }
  }
})

wire(
  t,
  '[checklist 59] a COMMIT that is refused is what ERROR names, and nothing after it is done',
  async (t, transport) => {
    const here = await startNode(t, { ROOMS: 'declared', ROOM_NAMES: 'there' })
    const reader = await Probe.connect(t, transport, here)
    await reader.request('SUBSCRIBE', { id: 's', destination: '/topic/there' })
    for (let i = 0; i < 5; i++) {
      const probe = await Probe.connect(t, transport, here)
      probe.raw(
        'BEGIN\ntransaction:t\n\n\0SEND\ndestination:/topic/missing\ntransaction:t\n\n\0COMMIT\ntransaction:t\nreceipt:commit\n\n\0' +
          'SEND\ndestination:/topic/missing\nreceipt:send\n\n\0SUBSCRIBE\nid:1\ndestination:/topic/missing\nreceipt:subscribe\n\n\0',
      )
      t.match((await probe.error()).headers, { 'code': 'NO_SUCH_ROOM', 'receipt-id': 'commit' })
      t.same(probe.frames, [])
    }
  },
)
