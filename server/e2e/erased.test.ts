import { Client, type IMessage } from '@stomp/stompjs'
import t, { type Test } from 'tap'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { makeRoom, PASSWORD, person, sharedServices, to, type Person } from '../testkit/product.ts'
import type { Probe, Received } from '../testkit/probe.ts'

t.setTimeout(180_000)
const { brokers, env } = await sharedServices(t)
const many = { ...env, LAST_MAX: '5000', SENDS_PER_SECOND: '1000000' }
const [one, two] = (await startFleet(t, 2, brokers, many)) as [FleetNode, FleetNode]

/** Writes messages of `who`, one after the other, and resolves when all are in the log. */
const write = async (t: Test, who: Person, node: FleetNode, room: string, texts: readonly string[]): Promise<void> => {
  const probe = await who.connect(t, 'tcp', node)
  for (const text of texts.slice(0, -1)) probe.send('SEND', { ...to(room), 'content-type': 'text/plain' }, text)
  await probe.request('SEND', to(room), texts.at(-1)!)
}

/** What the server says of the room is no message of anybody's. */
const isMessage = ({ headers }: Received): boolean => headers['type'] !== 'system'

/** A room in whose log it stands that `member` has joined: then only messages follow. */
const roomOf = async (t: Test, owner: Person, member: Person): Promise<string> => {
  const room = await makeRoom(one, owner, 'public', [member])
  const probe = await owner.connect(t, 'tcp', one)
  await probe.request('SUBSCRIBE', { id: 's', ...to(room), last: 1 })
  const joined = await probe.next('MESSAGE')
  t.match(joined.headers, { 'type': 'system', 'sender': member.id, 'sender-name': undefined })
  return room
}

/** What somebody who asks for it is shown of a room: the messages among the newest n. */
const last = async (t: Test, who: Person, node: FleetNode, room: string, n: number): Promise<Received[]> => {
  const probe = await who.connect(t, 'websocket', node)
  await probe.request('SUBSCRIBE', { id: 's', ...to(room), last: n })
  const messages = await probe.messages(n)
  probe.end()
  return messages.filter(isMessage)
}

const isShown = ({ headers, body }: Received, by: Person): boolean => {
  const shown = body.length > 0
  const { sender, erased, 'sender-name': name, 'content-type': type } = headers
  if (sender !== by.id) throw new Error(`by ${sender}`)
  if (shown ? name !== by.name || erased : (name ?? type ?? erased !== 'true')) throw new Error(JSON.stringify(headers))
  return shown
}
const idsOf = (messages: readonly Received[]): (string | undefined)[] =>
  messages.map(({ headers }) => headers['message-id'])

/** Resolves when a node shows nothing any more of what `by` wrote in `room`. */
const untilErased = async (t: Test, who: Person, node: FleetNode, room: string, by: Person): Promise<void> => {
  // That they have left may stand there too.
  for (const end = Date.now() + 20_000; isShown((await last(t, who, node, room, 2))[0]!, by);) {
    if (Date.now() > end) throw new Error('it is still shown')
  }
}

void t.test('[S-75] [S-76] an account is deleted while others catch up with what it wrote, on two nodes', async t => {
  const [ann, cat] = [await person(one, 'ann'), await person(two, 'cat')]
  const room = await roomOf(t, ann, cat)
  const texts = Array.from({ length: 5_000 }, (_, i) => `words ${i}`)
  await write(t, cat, one, room, texts)

  // Of each what is under way is known: as much as its window lets through.
  const start = async (node: FleetNode): Promise<Probe> => {
    const probe = await ann.connect(t, 'tcp', node)
    await probe.request('SUBSCRIBE', { id: 's', ...to(room), last: 5_000, ack: 'client', window: 500 })
    return probe
  }
  const probes = await Promise.all([start(one), start(two)])
  const before = await Promise.all(probes.map(probe => probe.messages(500)))
  for (const messages of before) t.ok(messages.every(message => isShown(message, cat)))

  await cat.does(two, 'POST', '/me/deletion', { password: PASSWORD })
  for (const node of [one, two]) await untilErased(t, ann, node, room, cat)
  const all = await Promise.all(
    probes.map(async (probe, i) => {
      const messages = before[i]!
      while (messages.length < 5_000) {
        probe.send('ACK', { id: messages.at(-1)!.headers['ack']! })
        const next = (await probe.messages(500)).filter(isMessage)
        if (next.some(message => isShown(message, cat))) throw new Error('it is shown')
        messages.push(...next)
      }
      return messages
    }),
  )
  t.same(idsOf(all[0]!), idsOf(all[1]!), 'the same ids in the same order on both')
  const offsets = idsOf(all[0]!).map(id => Number(id!.split('-')[1]))
  t.same(
    offsets,
    offsets.toSorted((a, b) => a - b),
  )
})

void t.test('[S-76] what nodes had kept in memory, what they read, and what a new node reads', async t => {
  const [ann, cat] = [await person(one, 'ann'), await person(one, 'cat')]
  const room = await roomOf(t, ann, cat)
  // Live on both: all of it is kept.
  const live = await Promise.all([one, two].map(node => ann.connect(t, 'websocket', node)))
  for (const probe of live) await probe.request('SUBSCRIBE', { id: 's', ...to(room) })
  await write(
    t,
    cat,
    two,
    room,
    Array.from({ length: 100 }, (_, i) => `words ${i}`),
  )
  const ids = await Promise.all(live.map(async probe => idsOf(await probe.messages(100))))
  t.same(ids[0], ids[1])
  const before = await Promise.all([one, two].map(node => last(t, ann, node, room, 50)))
  for (const messages of before) t.ok(messages.every(message => isShown(message, cat)))

  await cat.does(one, 'POST', '/me/deletion', { password: PASSWORD })
  for (const node of [one, two]) await untilErased(t, ann, node, room, cat)
  const fresh = await startFleet(t, 1, brokers, many)
  for (const node of [one, two, ...fresh]) {
    for (const n of [50, 100]) {
      const messages = await last(t, ann, node, room, n)
      t.notOk(messages.some(message => isShown(message, cat)))
      t.ok(messages.length >= n - 1)
      t.same(idsOf(messages), ids[0]!.slice(-messages.length))
    }
    const probe = await ann.connect(t, 'tcp', node)
    const { headers } = await probe.request('SUBSCRIBE', { id: 's', ...to(room), after: ids[0]![9]! })
    t.equal(headers['recovered'], 'true')
    t.notOk((await probe.messages(90)).some(message => isShown(message, cat)))
  }
  // What others write goes on as ever, with their names.
  await write(t, ann, two, room, ['still here'])
  for (const probe of live) {
    const message = await probe.take(({ body }) => body.toString() === 'still here', 'still here')
    t.match(message.headers, { 'sender': ann.id, 'sender-name': ann.name, 'erased': undefined })
  }
})

void t.test('[S-75] @stomp/stompjs shows the name, whatever is in it', async t => {
  const kim = await person(one, '김.하나')
  const room = await makeRoom(one, kim, 'private')
  const client = new Client({
    brokerURL: `ws://localhost:${two.port}/ws`,
    connectHeaders: { passcode: kim.token },
    reconnectDelay: 0,
  })
  t.teardown(() => client.deactivate())
  const message = new Promise<IMessage>((resolve, reject) => {
    client.onStompError = frame => reject(new Error(frame.headers['message']))
    client.onConnect = () => {
      client.subscribe(to(room).destination, resolve)
      client.publish({ ...to(room), body: 'hello' })
    }
  })
  client.activate()
  t.match((await message).headers, { 'sender': kim.id, 'sender-name': kim.name })
})
