import t, { type Test } from 'tap'
import { startBridge, startNode } from '../testkit/node.ts'
import { Probe, wire, type Received, type TransportName } from '../testkit/probe.ts'

const node = await startNode(t)

/** A room with messages `0` to `count - 1`; returns their ids. */
const fill = async (t: Test, destination: string, count: number): Promise<string[]> => {
  const probe = await Probe.connect(t, 'tcp', node)
  for (let i = 0; i < count; i++) probe.send('SEND', { destination, receipt: i }, String(i))
  const ids: string[] = []
  while (ids.length < count) ids.push((await probe.next('RECEIPT')).headers['message-id']!)
  probe.end()
  return ids
}

const numbers = (messages: Received[]): number[] => messages.map(({ body }) => Number(body))
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

/** A peer whose SUBSCRIBE with `headers` was answered. */
const subscribe = async (
  t: Test,
  transport: TransportName,
  destination: string,
  headers: Record<string, string | number>,
) => {
  const probe = await Probe.connect(t, transport, node)
  const receipt = await probe.request('SUBSCRIBE', { id: 's', destination, ...headers })
  return { probe, receipt: receipt.headers }
}

wire(t, '[S-39] last: the newest n first, then live', async (t, transport) => {
  const destination = `/topic/last-${transport}`
  const ids = await fill(t, destination, 1005)
  for (const last of [1, 2, 50, 999, 1000]) {
    const { probe, receipt } = await subscribe(t, transport, destination, { last })
    t.notOk('recovered' in receipt, 'nothing was to be recovered')
    const messages = await probe.messages(last)
    t.same(numbers(messages), range(1005 - last, 1005), `last ${last}`)
    t.same(
      messages.map(({ headers }) => headers['message-id']),
      ids.slice(1005 - last),
    )
    t.notOk(messages.some(({ headers }) => 'recovered' in headers || 'first' in headers))
  }
  const small = `/topic/small-${transport}`
  await fill(t, small, 3)
  const { probe } = await subscribe(t, transport, small, { last: 1000 })
  await probe.request('SEND', { destination: small }, '3')
  t.same(numbers(await probe.messages(4)), [0, 1, 2, 3], 'more than there are')
  const { probe: early } = await subscribe(t, transport, `/topic/empty-${transport}`, { last: 10 })
  await early.request('SEND', { destination: `/topic/empty-${transport}` }, '0')
  t.same(numbers(await early.messages(1)), [0], 'none there yet')
})

wire(
  t,
  '[S-40] [S-41] after: everything since that message, then live; RECEIPT says recovered:true',
  async (t, transport) => {
    const destination = `/topic/after-${transport}`
    const ids = await fill(t, destination, 300)
    for (const index of [0, 150, 298, 299]) {
      const { probe, receipt } = await subscribe(t, transport, destination, { after: ids[index]! })
      t.equal(receipt['recovered'], 'true')
      t.notOk('first' in receipt)
      await probe.request('SEND', { destination: `${destination}/barrier` })
      const messages = await probe.messages(299 - index)
      t.same(numbers(messages), range(index + 1, 300), `after ${index}`)
      t.notOk(messages.some(({ headers }) => 'recovered' in headers))
    }
    const { probe, receipt } = await subscribe(t, transport, destination, { after: ids[290]!, last: 1000 })
    t.equal(receipt['recovered'], 'true')
    t.same(numbers(await probe.messages(9)), range(291, 300), 'after goes before last')
  },
)

wire(
  t,
  '[S-41] recovered:false with first, where the place is not there any more; then from the earliest',
  async (t, transport) => {
    const destination = `/topic/unknown-${transport}`
    const ids = await fill(t, destination, 20)
    const epoch = ids[0]!.split('-')[0]!
    const places = [
      'deadbeef-3',
      'nonsense',
      '',
      `${epoch}-`,
      `${epoch}-x`,
      `${epoch}--1`,
      `${epoch}-21`,
      `${epoch}-00`,
      `${epoch}-01`,
      `${epoch}-9999999999999999999`,
      `${epoch}-99999999999999999999`,
      `${epoch.toUpperCase()}X-1`,
      'a'.repeat(1000),
    ]
    for (const after of places) {
      const { probe, receipt } = await subscribe(t, transport, destination, { after })
      t.match(receipt, { recovered: 'false', first: ids[0] }, after.slice(0, 40))
      const messages = await probe.messages(20)
      t.same(numbers(messages), range(0, 20))
      t.notOk(
        messages.some(({ headers }) => 'recovered' in headers),
        'RECEIPT has said it',
      )
    }
    const fresh = `/topic/unknown-fresh-${transport}`
    const { probe, receipt } = await subscribe(t, transport, fresh, { after: ids[3]! })
    t.equal(receipt['recovered'], 'false')
    const { headers } = await probe.request('SEND', { destination: fresh }, '0')
    t.equal(receipt['first'], headers['message-id'], 'of an empty room: what comes first')
  },
)

wire(t, '[S-41] where no RECEIPT was asked for, the first MESSAGE says it', async (t, transport) => {
  const destination = `/topic/quiet-${transport}`
  const ids = await fill(t, destination, 5)
  const asked: [string, object, number[]][] = [
    [ids[2]!, { recovered: 'true', first: undefined }, [3, 4]],
    ['nonsense', { recovered: 'false', first: ids[0] }, [0, 1, 2, 3, 4]],
  ]
  for (const [after, expected, bodies] of asked) {
    const probe = await Probe.connect(t, transport, node)
    probe.send('SUBSCRIBE', { id: 's', destination, after })
    const messages = await probe.messages(bodies.length)
    t.same(numbers(messages), bodies)
    t.match({ recovered: messages[0]!.headers['recovered'], first: messages[0]!.headers['first'] }, expected)
    t.notOk(
      messages.slice(1).some(({ headers }) => 'recovered' in headers || 'first' in headers),
      'once',
    )
  }
  const live = await Probe.connect(t, transport, node)
  live.send('SUBSCRIBE', { id: 's', destination: `${destination}/2`, after: 'nonsense' })
  await live.settled()
  await live.request('SEND', { destination: `${destination}/2` }, '0')
  const { headers } = await live.next('MESSAGE')
  t.match(headers, { recovered: 'false', first: headers['message-id'] }, 'however late it comes')
})

wire(t, '[S-40] without a gap or a repeat while messages pour in, over and over', async (t, transport) => {
  const destination = `/topic/pouring-${transport}`
  const sender = await Probe.connect(t, 'tcp', node)
  let [sent, pouring] = [0, true]
  const done = (async () => {
    while (pouring) {
      for (let i = 0; i < 20; i++) sender.send('SEND', { destination }, String(sent++))
      await sender.settled()
    }
  })()
  const got: number[] = []
  const ids = new Set<string>()
  let after: string | undefined
  for (let round = 0; round < 15; round++) {
    const probe = await Probe.connect(t, transport, node)
    const start = after === undefined ? { last: 1000 } : { after }
    if (round % 2 === 0) await probe.request('SUBSCRIBE', { id: 's', destination, ...start })
    else probe.send('SUBSCRIBE', { id: 's', destination, ...start })
    for (const { headers, body } of await probe.messages(7 * round + 1)) {
      got.push(Number(body))
      ids.add(headers['message-id']!)
      after = headers['message-id']
      if (headers['recovered'] !== undefined) t.equal(headers['recovered'], 'true')
    }
    probe.end()
  }
  pouring = false
  await done
  t.same(got, range(got[0]!, got[0]! + got.length))
  t.equal(ids.size, got.length)
})

wire(t, '[S-45] a slow client gets everything, in order and once, while others are served', async (t, transport) => {
  const here = await startNode(t, { OUTBOX_BYTES: '65536', RECENT_BYTES: '1048576' })
  const destination = '/topic/slow'
  const [slow, quick, sender] = await Promise.all([1, 2, 3].map(() => Probe.connect(t, transport, here)))
  for (const probe of [slow!, quick!]) await probe.request('SUBSCRIBE', { id: 's', destination })
  slow!.pause(true)
  // Far more than sockets, outbox and recent memory hold together.
  const body = Buffer.alloc(64 * 1024, 'x')
  const many = 250
  for (let i = 0; i < many; i++)
    sender!.send('SEND', { destination, n: i, ...(i % 50 === 49 ? { receipt: i } : {}) }, body)
  const seen = await quick!.messages(many)
  t.same(
    seen.map(({ headers }) => Number(headers['n'])),
    range(0, many),
    'others are served meanwhile',
  )
  slow!.pause(false)
  const late = await slow!.messages(many)
  t.same(
    late.map(({ headers }) => Number(headers['n'])),
    range(0, many),
  )
  t.ok(late.every(({ headers }) => !('recovered' in headers)))
  await sender!.request('SEND', { destination, n: 'live' })
  t.equal((await slow!.next('MESSAGE')).headers['n'], 'live', 'and is live again')
})

wire(
  t,
  '[S-50] after a break in the log the next MESSAGE says recovered:false, and where it goes on',
  async (t, transport) => {
    const here = await startBridge(t, { RECENT_BYTES: '1048576' })
    const destination = '/topic/broken'
    const [probe, sender] = await Promise.all([1, 2].map(() => Probe.connect(t, transport, here)))
    await probe!.request('SUBSCRIBE', { id: 's', destination, ack: 'client', window: 1 })
    const ids: string[] = []
    // More than is kept in memory, so that what comes next has to be read from the log.
    const body = Buffer.alloc(64 * 1024, 'x')
    for (let i = 0; i < 40; i++)
      ids.push((await sender!.request('SEND', { destination, n: i }, body)).headers['message-id']!)
    const held = await probe!.next('MESSAGE')
    t.equal(held.headers['n'], '0')
    await here.log.port.remove('broken', 10n)
    probe!.send('ACK', { id: held.headers['ack']! })
    const { headers } = await probe!.next('MESSAGE')
    t.match(headers, { n: '10', recovered: 'false', first: ids[10] })
    probe!.send('ACK', { id: headers['ack']! })
    const following = await probe!.next('MESSAGE')
    t.match(following.headers, { n: '11' })
    t.notOk('recovered' in following.headers, 'said once')
    const { headers: receipt } = await sender!.request('SUBSCRIBE', { id: 'back', destination, after: ids[3]! })
    t.match(receipt, { recovered: 'false', first: ids[10] }, 'who comes back is told as well')
    t.equal((await sender!.next('MESSAGE')).headers['n'], '10')
  },
)
