import t, { type Test } from 'tap'
import { figure, startNode } from '../testkit/node.ts'
import { Probe, wire, type Received, type TransportName } from '../testkit/probe.ts'

const node = await startNode(t)
const VERSIONS = ['1.0', '1.1', '1.2'] as const

/** A peer that is subscribed as `s` with `headers`, and as `live` without acknowledgements. */
const acknowledging = async (
  t: Test,
  transport: TransportName,
  destination: string,
  headers: Record<string, string | number>,
  version = '1.2',
): Promise<Probe> => {
  const probe = await Probe.connect(t, transport, node, { 'accept-version': version })
  await probe.request('SUBSCRIBE', { id: 'live', destination })
  await probe.request('SUBSCRIBE', { id: 's', destination, ...headers })
  return probe
}

const bodies = (probe: Probe, subscription = 's'): string[] =>
  probe.frames.filter(({ headers }) => headers['subscription'] === subscription).map(({ body }) => body.toString())

/** The next MESSAGE for subscription `s`. */
const next = (probe: Probe): Promise<Received> =>
  probe.take(({ command, headers }) => command === 'MESSAGE' && headers['subscription'] === 's', 'MESSAGE for s')

const sendAll = async (probe: Probe, destination: string, ...all: (string | number)[]): Promise<void> => {
  for (const body of all) await probe.request('SEND', { destination }, String(body))
  await probe.take(
    ({ body, headers }) => headers['subscription'] === 'live' && body.toString() === String(all.at(-1)),
    'the last one, live',
  )
}

/** That nothing more has come for `s`: whatever is under way would be there after another message has gone all the way. */
const nothingMore = async (t: Test, probe: Probe, destination: string): Promise<void> => {
  const barrier = `barrier ${Math.random()}`
  await sendAll(probe, destination, barrier)
  await probe.settled()
  t.same(bodies(probe), [])
}

const ackHeaders = (version: string, { headers }: Received): Record<string, string> => {
  if (version === '1.2') return { id: headers['ack']! }
  return { 'message-id': headers['message-id']!, ...(version === '1.1' ? { subscription: 's' } : {}) }
}

wire(
  t,
  '[checklist 42, 45] [S-43] [S-51] MESSAGE has ack in client modes; ACK is by id (1.2), message-id and subscription (1.1), message-id (1.0)',
  async (t, transport) => {
    for (const version of VERSIONS) {
      for (const command of ['ACK', 'NACK']) {
        const destination = `/topic/versions-${transport}-${version}-${command}`
        const probe = await acknowledging(t, transport, destination, { ack: 'client-individual', window: 1 }, version)
        await sendAll(probe, destination, 1, 2, 3)
        for (const body of ['1', '2', '3']) {
          const message = await next(probe)
          t.equal(message.body.toString(), body)
          t.ok(message.headers['ack'])
          t.same(bodies(probe), [], 'one at a time')
          await probe.request(command, ackHeaders(version, message))
        }
        await nothingMoreBut(t, probe, destination)
        const named = await Probe.connect(t, transport, node, { 'accept-version': '1.0' })
        await named.request('SUBSCRIBE', { id: 'x', destination, ack: 'client', last: 1 })
        const { headers } = await named.next('MESSAGE')
        await named.request('ACK', { 'message-id': headers['message-id']!, 'subscription': 'x' })
      }
    }
  },
)

/** After everything was acknowledged, one more message comes at once. */
const nothingMoreBut = async (t: Test, probe: Probe, destination: string): Promise<void> => {
  await sendAll(probe, destination, 'one more')
  t.equal((await next(probe)).body.toString(), 'one more')
}

wire(t, '[checklist 46] [S-43] [S-52] client is cumulative', async (t, transport) => {
  const destination = `/topic/cumulative-${transport}`
  const probe = await acknowledging(t, transport, destination, { ack: 'client', window: 3 })
  await sendAll(probe, destination, 1, 2, 3, 4, 5, 6, 7)
  const [one, two, three] = [await next(probe), await next(probe), await next(probe)]
  await nothingMore(t, probe, destination)
  await probe.request('ACK', { id: two.headers['ack']! })
  const [four, five] = [await next(probe), await next(probe)]
  t.same(
    [four, five].map(({ body }) => body.toString()),
    ['4', '5'],
  )
  await nothingMore(t, probe, destination)
  // Covered already, out of order: no error, and no room in the window either.
  await probe.request('ACK', { id: one.headers['ack']! })
  await probe.request('NACK', { id: two.headers['ack']! })
  await nothingMore(t, probe, destination)
  await probe.request('ACK', { id: five.headers['ack']! })
  await probe.request('ACK', { id: three.headers['ack']! })
  t.same([await next(probe), await next(probe), await next(probe)].map(({ body }) => body.toString()).slice(0, 2), [
    '6',
    '7',
  ])
})

wire(t, '[checklist 46] [S-52] client-individual is not cumulative, in any order', async (t, transport) => {
  const destination = `/topic/individual-${transport}`
  const probe = await acknowledging(t, transport, destination, { ack: 'client-individual', window: 3 })
  await sendAll(probe, destination, 1, 2, 3, 4, 5, 6)
  const held = [await next(probe), await next(probe), await next(probe)]
  await nothingMore(t, probe, destination)
  for (const [index, body] of [
    [2, '4'],
    [0, '5'],
    [1, '6'],
  ] as const) {
    await probe.request('ACK', { id: held[index]!.headers['ack']! })
    t.equal((await next(probe)).body.toString(), body)
    await nothingMore(t, probe, destination)
  }
  probe.send('ACK', { id: held[0]!.headers['ack']!, receipt: 'twice' })
  t.match((await probe.error()).headers, { 'code': 'UNKNOWN_ACK', 'receipt-id': 'twice' })
})

wire(t, '[checklist 47] [S-54] unknown or missing ids are errors', async (t, transport) => {
  const destination = `/topic/unknown-${transport}`
  const attempt = async (version: string, ack: string, of: (message: Received) => Record<string, string>) => {
    const probe = await acknowledging(t, transport, destination, { ack }, version)
    await sendAll(probe, destination, 'x')
    const headers = of(await next(probe))
    probe.send('ACK', { ...headers, receipt: 'r' })
    const error = (await probe.error()).headers
    t.equal(error['receipt-id'], 'r')
    if (headers['id'] && !headers['id'].includes('@')) t.match(error['message'], headers['id'], 'named as it came')
    return error['code']
  }
  const epochOf = ({ headers }: Received) => headers['message-id']!.split('-')[0]!
  const wrong: ((message: Received) => string)[] = [
    () => 'nonsense',
    () => '',
    () => '@',
    () => 's',
    () => '@s',
    ({ headers }) => headers['message-id']!,
    ({ headers }) => `${headers['message-id']}@`,
    ({ headers }) => `${headers['message-id']}@live`,
    ({ headers }) => `${headers['message-id']}@other`,
    message => `${epochOf(message)}-999999@s`,
    message => `${epochOf(message)}-@s`,
    message => `${epochOf(message)}-x@s`,
    message => `${epochOf(message)}-0x0@s`,
    message => `${epochOf(message)}- 0@s`,
    message => `${epochOf(message)}--1@s`,
    () => 'abc-0@s',
  ]
  for (const ack of ['client', 'client-individual']) {
    for (const id of wrong)
      t.equal(await attempt('1.2', ack, message => ({ id: id(message) })), 'UNKNOWN_ACK', `${ack} ${id.toString()}`)
  }
  const id = ({ headers }: Received) => headers['message-id']!
  t.equal(await attempt('1.2', 'auto', message => ({ id: `${id(message)}@s` })), 'UNKNOWN_ACK', 'auto waits for none')
  t.equal(await attempt('1.2', 'client', () => ({})), 'MISSING_HEADER')
  t.equal(await attempt('1.2', 'client', message => ({ 'message-id': id(message) })), 'MISSING_HEADER')
  t.equal(await attempt('1.1', 'client', message => ({ 'message-id': id(message) })), 'MISSING_HEADER')
  t.equal(await attempt('1.1', 'client', () => ({ subscription: 's' })), 'MISSING_HEADER')
  t.equal(
    await attempt('1.1', 'client', message => ({ 'message-id': id(message), 'subscription': 'live' })),
    'UNKNOWN_ACK',
  )
  t.equal(
    await attempt('1.1', 'client', message => ({ 'message-id': id(message), 'subscription': 'no' })),
    'UNKNOWN_ACK',
  )
  t.equal(await attempt('1.0', 'client', () => ({})), 'MISSING_HEADER')
  t.equal(await attempt('1.0', 'client', () => ({ 'message-id': 'x' })), 'UNKNOWN_ACK')
})

wire(t, '[checklist 48] each delivery has its own ack', async (t, transport) => {
  const destination = `/topic/each-${transport}`
  const probe = await Probe.connect(t, transport, node)
  const ids = ['a', 'b@c', 'd:e']
  for (const id of ids)
    await probe.request('SUBSCRIBE', { id: id.replace(':', '\\c'), destination, ack: 'client-individual', window: 1 })
  await probe.request('SEND', { destination }, '1')
  await probe.request('SEND', { destination }, '2')
  const first = await probe.messages(3)
  t.equal(new Set(first.map(({ headers }) => headers['ack'])).size, 3)
  for (const { headers } of first) {
    await probe.request('ACK', { id: headers['ack']! })
    const { headers: following, body } = await probe.next('MESSAGE')
    t.equal(following['subscription'], headers['subscription'])
    t.equal(body.toString(), '2')
  }
})

wire(
  t,
  '[checklist 48] [S-56] ACK in a transaction takes effect at COMMIT, not before, and never after ABORT',
  async (t, transport) => {
    for (const ack of ['client', 'client-individual']) {
      const destination = `/topic/parked-${transport}-${ack}`
      const probe = await acknowledging(t, transport, destination, { ack, window: 1 })
      await sendAll(probe, destination, 1, 2, 3)
      const one = await next(probe)
      await probe.request('BEGIN', { transaction: 't' })
      await probe.request('ACK', { id: one.headers['ack']!, transaction: 't' })
      await nothingMore(t, probe, destination)
      await probe.request('ABORT', { transaction: 't' })
      await nothingMore(t, probe, destination)
      await probe.request('BEGIN', { transaction: 't' })
      await probe.request('ACK', { id: one.headers['ack']!, transaction: 't' })
      await probe.request('NACK', { id: one.headers['ack']!, transaction: 't' })
      await probe.request('COMMIT', { transaction: 't' })
      const two = await next(probe)
      t.equal(two.body.toString(), '2')
      await probe.request('BEGIN', { transaction: 'u' })
      await probe.request('ACK', { id: two.headers['ack']!, transaction: 'u' })
      await probe.request('UNSUBSCRIBE', { id: 's' })
      await probe.request('COMMIT', { transaction: 'u' })
      await nothingMore(t, probe, destination)
      probe.send('BEGIN', { transaction: 'v' })
      probe.send('ACK', { id: two.headers['ack']!, transaction: 'v', receipt: 'r' })
      t.match((await probe.error()).headers, { 'code': 'UNKNOWN_ACK', 'receipt-id': 'r' })
    }
    const probe = await acknowledging(t, transport, `/topic/parked-${transport}`, { ack: 'client' })
    await sendAll(probe, `/topic/parked-${transport}`, 1)
    const { headers } = await next(probe)
    probe.send('ACK', { id: headers['ack']!, transaction: 'none', receipt: 'r' })
    t.match((await probe.error()).headers, { 'code': 'UNKNOWN_TRANSACTION', 'receipt-id': 'r' })
    const unknown = await acknowledging(t, transport, `/topic/parked-${transport}`, { ack: 'client' })
    await unknown.request('BEGIN', { transaction: 't' })
    unknown.send('ACK', { id: 'x-1@s', transaction: 't', receipt: 'r' })
    t.match((await unknown.error()).headers, { 'code': 'UNKNOWN_ACK', 'receipt-id': 'r' })
  },
)

wire(
  t,
  '[S-54] in mode client an ACK in a transaction for what an earlier one has covered is no error',
  async (t, transport) => {
    const destination = `/topic/covered-${transport}`
    const probe = await acknowledging(t, transport, destination, { ack: 'client' })
    await sendAll(probe, destination, 1, 2)
    const [one, two] = [await next(probe), await next(probe)]
    await probe.request('ACK', { id: two.headers['ack']! })
    await probe.request('BEGIN', { transaction: 't' })
    await probe.request('ACK', { id: one.headers['ack']!, transaction: 't' })
    await probe.request('COMMIT', { transaction: 't' })
  },
)

wire(
  t,
  '[checklist 49] [S-53] what was not acknowledged is in the room still, and NACK redelivers nothing',
  async (t, transport) => {
    const destination = `/topic/kept-${transport}`
    const probe = await acknowledging(t, transport, destination, { ack: 'client' })
    const { headers } = await probe.request('SEND', { destination }, '0')
    await sendAll(probe, destination, 1, 2, 3)
    await probe.request('NACK', { id: (await next(probe)).headers['ack']! })
    probe.end()
    const again = await Probe.connect(t, transport, node)
    await again.request('SUBSCRIBE', { id: 's', destination, ack: 'client', after: headers['message-id']! })
    t.same(
      (await again.messages(3)).map(({ body }) => body.toString()),
      ['1', '2', '3'],
    )
  },
)

wire(
  t,
  '[S-43] a window that is full for long is counted, not closed; the messages wait in the log',
  async (t, transport) => {
    const here = await startNode(t, { WINDOW: '2', RECENT_BYTES: '1048576' })
    const destination = '/topic/never'
    const [probe, sender] = await Promise.all([1, 2].map(() => Probe.connect(t, transport, here)))
    await probe!.request('SUBSCRIBE', { id: 'never', destination, ack: 'client-individual' })
    await sender!.request('SUBSCRIBE', { id: 'live', destination })
    // More than the recent records that are kept in memory.
    const body = Buffer.alloc(64 * 1024, 'x')
    for (let i = 0; i < 40; i++) await sender!.request('SEND', { destination, n: i }, body)
    await sender!.take(({ headers }) => headers['n'] === '39', 'the last one')
    await probe!.settled()
    t.equal(probe!.frames.length, 2, 'WINDOW of them')
    t.ok((await figure(here, 'hoofbeat_window_full_total', () => true)) >= 1)
    for (let i = 0; i < 40; i++) {
      const { headers } = await probe!.next('MESSAGE')
      t.equal(headers['n'], String(i))
      probe!.send('ACK', { id: headers['ack']! })
    }
    const wide = await Probe.connect(t, transport, here)
    await wide.request('SUBSCRIBE', { id: 'wide', destination, ack: 'client', window: 100_000, last: 40 })
    t.equal((await wide.messages(40)).length, 40)
  },
)
