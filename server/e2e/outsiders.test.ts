import kafkajs from 'kafkajs'
import t from 'tap'
import { topicOf } from '../../kafka/topics.ts'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { Probe } from '../testkit/probe.ts'
import { freshRoom, kafkaBrokers } from '../testkit/services.ts'
import { connectStompit, listen, say } from '../testkit/stompit.ts'

t.setTimeout(120_000)
const brokers = await kafkaBrokers(t)
const [one, two] = (await startFleet(t, 2, brokers)) as [FleetNode, FleetNode]
const kafka = new kafkajs.Kafka({
  clientId: 'outsider',
  brokers: brokers.split(','),
  logLevel: kafkajs.logLevel.NOTHING,
})

t.test('kafkajs, as an outsider, reads the messages of a room from its topic', async t => {
  const room = freshRoom('read_by:outsiders')
  const probe = await Probe.connect(t, 'websocket', one, { login: 'ann' })
  const ids: string[] = []
  for (const body of ['one', 'zwei', '세']) {
    const receipt = await probe.request('SEND', { destination: `/topic/${room}`, mood: 'so\\c-so' }, body)
    ids.push(receipt.headers['message-id']!)
  }
  const consumer = kafka.consumer({ groupId: room.replaceAll(/[^a-z0-9-]/g, '-') })
  t.teardown(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topic: topicOf(room), fromBeginning: true })
  const seen: kafkajs.KafkaMessage[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  await consumer.run({
    eachMessage: async ({ message }) => {
      if (seen.push(message) === 3) resolve()
    },
  })
  await promise
  t.same(
    seen.map(({ value }) => value?.toString()),
    ['one', 'zwei', '세'],
  )
  t.same(
    seen.map(({ offset }) => offset),
    ids.map(id => id.split('-')[1]),
    'an offset is the second half of a message-id',
  )
  for (const { key, headers } of seen) {
    t.equal(key?.toString(), 'ann')
    t.equal(headers?.['mood']?.toString(), 'so:-so')
  }
})

t.test('what an outsider writes with kafkajs is delivered; malformed things do no harm [S-47]', async t => {
  const room = freshRoom('written')
  const destination = `/topic/${room}`
  const probe = await Probe.connect(t, 'tcp', two)
  await probe.request('SUBSCRIBE', { id: 'sub-0', destination })
  const producer = kafka.producer()
  t.teardown(() => producer.disconnect())
  await producer.connect()
  const notUtf8 = Buffer.from([0xff, 0xfe, 0x41])
  const send = (message: kafkajs.Message) => producer.send({ topic: topicOf(room), messages: [message] })
  await send({ key: 'weather', value: 'rain', headers: { city: 'Busan' } })
  await send({ key: notUtf8, value: notUtf8, headers: { bad: notUtf8, good: 'yes' } })
  await send({ key: null, value: null })
  await send({
    key: 'forger',
    value: 'forged',
    headers: {
      'sender': 'admin',
      'message-id': '1-1',
      'subscription': 'sub-9',
      'content-length': '1',
      'destination': '/topic/x',
    },
  })
  await send({
    key: 'forger',
    value: 'broken',
    headers: { 'a\nsender': 'admin\n\nboo\0MESSAGE', 'twice': ['1', '2'], '': 'x' },
  })
  await probe.request('SEND', { destination }, 'barrier')
  const messages = await probe.messages(6)
  const [rain, binary, empty, forged, broken, barrier] = messages
  t.equal(rain!.body.toString(), 'rain')
  t.match(rain!.headers, { sender: 'weather', city: 'Busan' })
  t.same(binary!.body, notUtf8)
  t.equal(binary!.headers['good'], 'yes')
  t.equal(binary!.headers['bad'], undefined)
  t.equal(empty!.body.length, 0)
  t.equal(forged!.body.toString(), 'forged')
  t.match(forged!.headers, { sender: 'forger', destination, subscription: 'sub-0' })
  for (const message of messages) {
    const names = message.lines.map(([name]) => name)
    t.equal(new Set(names).size, names.length, 'no header twice')
  }
  t.equal(broken!.body.toString(), 'broken')
  t.equal(broken!.headers['sender'], 'forger')
  t.equal(barrier!.body.toString(), 'barrier')
})

t.test('stompit over TCP on one node chats with a WebSocket client on another', async t => {
  const destination = `/topic/${freshRoom('stompit')}`
  const client = await connectStompit(t, two, 'bob')
  const heard: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  listen(client, destination, text => heard.push(text) === 2 && resolve())
  const probe = await Probe.connect(t, 'websocket', one, { login: 'ann' })
  await probe.request('SUBSCRIBE', { id: 'sub-0', destination })
  await say(client, destination, 'hello from TCP')
  t.match(await probe.next('MESSAGE'), { headers: { sender: 'bob' } })
  await probe.request('SEND', { destination }, '안녕')
  await promise
  t.same(heard, ['hello from TCP', '안녕'], 'its own message comes back through the log too')
})
