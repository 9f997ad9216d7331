import t from 'tap'
import { FleetNode, startFleet } from '../testkit/fleet.ts'
import { Probe, transports } from '../testkit/probe.ts'
import { freshRoom, kafkaBrokers } from '../testkit/services.ts'
import { Follower, Sender } from '../testkit/traffic.ts'

t.setTimeout(180_000)
const brokers = await kafkaBrokers(t)
const nodes = await startFleet(t, 3, brokers)
const [one, two, three] = nodes as [FleetNode, FleetNode, FleetNode]

for (const transport of transports) {
  t.test(`what is sent to one node arrives on every node (${transport})`, async t => {
    const destination = `/topic/${freshRoom('cross')}`
    const probes = await Promise.all(nodes.map((node, i) => Probe.connect(t, transport, node, { login: `user-${i}` })))
    await Promise.all(probes.map(probe => probe.request('SUBSCRIBE', { id: 'sub-0', destination })))
    const receipt = await probes[0]!.request('SEND', { destination, mood: 'good' }, 'hello')
    for (const probe of probes) {
      const message = await probe.next('MESSAGE')
      t.equal(message.body.toString(), 'hello')
      t.match(message.headers, { 'sender': 'user-0', 'mood': 'good', 'message-id': receipt.headers['message-id'] })
    }
  })
}

t.test('[S-49] ten concurrent senders, one order on all nodes', async t => {
  const room = freshRoom('order')
  const readers = nodes.map(
    (node, i) => new Follower(t, { transport: 'tcp', nodes: () => [node], room, login: `reader-${i}` }),
  )
  await Promise.all(readers.map(reader => reader.subscribed))
  const senders = Array.from({ length: 10 }, (_, i) => {
    const node = nodes[i % 3]!
    return new Sender(t, { transport: 'websocket', nodes: () => [node], room, login: `sender-${i}`, most: 50 })
  })
  await Promise.all(senders.map(sender => sender.finished()))
  const probe = await Probe.connect(t, 'tcp', one)
  await probe.request('SEND', { destination: `/topic/${room}` }, 'barrier')
  await Promise.all(readers.map(reader => reader.until('barrier')))
  const [first, ...others] = readers
  t.equal(first!.ids.length, 501)
  t.equal(new Set(first!.ids).size, 501, 'every message once')
  for (const other of others) t.same(other.ids, first!.ids)
  for (let i = 0; i < 10; i++) {
    const own = first!.bodies.filter(body => body.startsWith(`sender-${i}-`))
    t.same(
      own,
      Array.from({ length: 50 }, (_, n) => `sender-${i}-${n}`),
      'a sender keeps its order',
    )
  }
  for (const reader of readers) reader.stop()
})

t.test('[S-40] a late joiner gets the newest n, or all since a message, on any node', async t => {
  const destination = `/topic/${freshRoom('late')}`
  const sender = await Probe.connect(t, 'tcp', one)
  const ids: string[] = []
  for (let i = 0; i < 120; i++)
    ids.push((await sender.request('SEND', { destination }, `m${i}`)).headers['message-id']!)
  const bodies = (from: number): string[] => Array.from({ length: 120 - from }, (_, i) => `m${from + i}`)
  const late: Probe[] = []
  for (const [node, transport] of [
    [two, 'websocket'],
    [three, 'tcp'],
  ] as const) {
    const last = await Probe.connect(t, transport, node)
    await last.request('SUBSCRIBE', { id: 'a', destination, last: 50 })
    t.same(
      (await last.messages(50)).map(message => message.body.toString()),
      bodies(70),
    )
    const after = await Probe.connect(t, transport, node)
    const receipt = await after.request('SUBSCRIBE', { id: 'a', destination, after: ids[9]! })
    t.match(receipt.headers, { recovered: 'true' })
    t.same(
      (await after.messages(110)).map(message => message.body.toString()),
      bodies(10),
    )
    late.push(last, after)
  }
  await sender.request('SEND', { destination }, 'live')
  for (const probe of late) t.equal((await probe.next('MESSAGE')).body.toString(), 'live')
})

t.test(
  'a node killed with -9 mid-stream: its clients go on elsewhere, nothing acknowledged is lost, nothing comes twice',
  async t => {
    const room = freshRoom('kill')
    const victim = await FleetNode.start(t, { KAFKA_BROKERS: brokers, KAFKA_REPLICATION: '1' })
    let alive: FleetNode[] = [victim]
    const readers = [
      new Follower(t, { transport: 'websocket', nodes: () => alive, room, login: 'reader-ws' }),
      new Follower(t, { transport: 'tcp', nodes: () => alive, room, login: 'reader-tcp' }),
      new Follower(t, { transport: 'tcp', nodes: () => [two], room, login: 'bystander' }),
    ]
    await Promise.all(readers.map(reader => reader.subscribed))
    const senders = Array.from({ length: 8 }, (_, i) => {
      const transport = transports[i % 2]!
      return new Sender(t, { transport, nodes: () => alive, room, login: `sender-${i}` })
    })
    await Promise.all(senders.map(sender => sender.until(50)))
    alive = [one, two, three]
    await victim.kill()
    const sofar = senders.map(sender => sender.acknowledged.size)
    await Promise.all(senders.map((sender, i) => sender.until(sofar[i]! + 30)))
    await Promise.all(senders.map(sender => sender.stop()))
    const probe = await Probe.connect(t, 'tcp', three)
    await probe.request('SEND', { destination: `/topic/${room}` }, 'barrier')
    await Promise.all(readers.map(reader => reader.until('barrier')))
    for (const reader of readers) {
      reader.stop()
      t.equal(new Set(reader.ids).size, reader.ids.length, 'no message-id twice')
      t.equal(reader.unrecovered, 0)
      const got = new Set(reader.ids)
      const lost = senders.flatMap(sender => [...sender.acknowledged]).filter(([, id]) => !got.has(id))
      t.same(lost, [], 'nothing acknowledged is lost')
      t.same(reader.ids, readers[2]!.ids, 'the same order as who never lost its node')
    }
    t.ok(readers[0]!.resumed > 0 && readers[1]!.resumed > 0, 'both came back')
  },
)

t.test('[S-63] [S-64] a node drained by SIGTERM: its clients are told, lose nothing, and it exits 0', async t => {
  const room = freshRoom('drain')
  const leaving = await FleetNode.start(t, { KAFKA_BROKERS: brokers, KAFKA_REPLICATION: '1' })
  let alive: FleetNode[] = [leaving]
  const watcher = await Probe.connect(t, 'websocket', leaving)
  await watcher.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
  const reader = new Follower(t, { transport: 'websocket', nodes: () => alive, room, login: 'reader' })
  await reader.subscribed
  const sender = new Sender(t, { transport: 'tcp', nodes: () => alive, room, login: 'sender' })
  await sender.until(50)
  alive = [one]
  const ended = leaving.stop()
  const notice = await watcher.next('MESSAGE')
  t.match(notice.headers, { 'type': 'draining', 'retry-after-ms': /^\d+$/ })
  t.match((await watcher.error()).headers, { 'code': 'DRAINING', 'retry-after-ms': notice.headers['retry-after-ms'] })
  t.equal(await watcher.closed, 1012)
  t.equal(await ended, 0)
  await sender.until(100)
  await sender.stop()
  const probe = await Probe.connect(t, 'tcp', two)
  await probe.request('SEND', { destination: `/topic/${room}` }, 'barrier')
  await reader.until('barrier')
  reader.stop()
  t.equal(new Set(reader.ids).size, reader.ids.length)
  const got = new Set(reader.ids)
  t.same(
    [...sender.acknowledged].filter(([, id]) => !got.has(id)),
    [],
  )
})
