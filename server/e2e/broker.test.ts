import t from 'tap'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { Probe } from '../testkit/probe.ts'
import { freshRoom, ownKafka } from '../testkit/services.ts'
import { Follower, Sender } from '../testkit/traffic.ts'

t.setTimeout(180_000)
const kafka = await ownKafka(t)
const nodes = await startFleet(t, 2, kafka.brokers, { LOG_TIMEOUT: '20000' })
const [one, two] = nodes as [FleetNode, FleetNode]

const readyTurns = async (node: FleetNode, status: number): Promise<void> => {
  while ((await node.ready()) !== status) await new Promise(resolve => setTimeout(resolve, 200))
}

t.test(
  'the broker killed with -9 under traffic and started again: the nodes go on by themselves, without loss or repeat',
  async t => {
    const room = freshRoom('broker')
    const readers = nodes.map(
      (node, i) => new Follower(t, { transport: 'websocket', nodes: () => [node], room, login: `r${i}` }),
    )
    await Promise.all(readers.map(reader => reader.subscribed))
    const senders = nodes.map(
      (node, i) => new Sender(t, { transport: 'tcp', nodes: () => [node], room, login: `s${i}` }),
    )
    await Promise.all(senders.map(sender => sender.until(50)))
    await kafka.nodes[0]!.kill()
    await Promise.all(nodes.map(node => readyTurns(node, 503)))
    t.equal((await fetch(`${one.url}/health/live`)).status, 200, 'the node stays up')
    const before = senders.map(sender => sender.acknowledged.size)
    await kafka.nodes[0]!.start()
    await Promise.all(senders.map((sender, i) => sender.until(before[i]! + 50)))
    await Promise.all(nodes.map(node => readyTurns(node, 200)))
    await Promise.all(senders.map(sender => sender.stop()))
    const probe = await Probe.connect(t, 'tcp', two)
    await probe.request('SEND', { destination: `/topic/${room}` }, 'barrier')
    await Promise.all(readers.map(reader => reader.until('barrier')))
    for (const reader of readers) {
      reader.stop()
      t.equal(reader.resumed, 0, 'no client had to come back')
      t.equal(new Set(reader.ids).size, reader.ids.length, 'no message-id twice')
      t.equal(new Set(reader.bodies).size, reader.bodies.length, 'no message kept twice')
      const got = new Set(reader.ids)
      t.same(
        senders.flatMap(sender => [...sender.acknowledged]).filter(([, id]) => !got.has(id)),
        [],
        'nothing lost',
      )
      t.same(reader.ids, readers[0]!.ids, 'one order')
    }
  },
)

t.test('[S-31] the broker away for longer than LOG_TIMEOUT: LOG_UNAVAILABLE', async t => {
  const short = await startFleet(t, 1, kafka.brokers, { LOG_TIMEOUT: '2000' })
  const destination = `/topic/${freshRoom('away')}`
  const probe = await Probe.connect(t, 'tcp', short[0]!)
  await probe.request('SEND', { destination }, 'before')
  await kafka.nodes[0]!.kill()
  probe.send('SEND', { destination, receipt: 'r1' }, 'meanwhile')
  t.match((await probe.error()).headers, { 'code': 'LOG_UNAVAILABLE', 'receipt-id': 'r1' })
  await kafka.nodes[0]!.start()
  await readyTurns(short[0]!, 200)
  const again = await Probe.connect(t, 'websocket', short[0]!)
  await again.request('SUBSCRIBE', { id: 'a', destination, last: 10 })
  await again.request('SEND', { destination }, 'after')
  t.ok((await again.bodiesUntil('after')).includes('before'))
})

t.test('[S-64] the broker away with a SEND under way: the node ends after DRAIN_SECONDS, not LOG_TIMEOUT', async t => {
  const [node] = await startFleet(t, 1, kafka.brokers, { LOG_TIMEOUT: '600000', DRAIN_SECONDS: '1' })
  const destination = `/topic/${freshRoom('ending')}`
  const probe = await Probe.connect(t, 'tcp', node!)
  await probe.request('SEND', { destination }, 'before')
  await kafka.nodes[0]!.kill()
  probe.send('SEND', { destination, receipt: 'r1' }, 'meanwhile')
  // Its RECEIPT says that the frame before it was taken.
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
  t.equal(await node!.stop(), 0)
  t.ok(node!.lines.some(line => line.includes('"stopped"')))
})
