import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { openLevelLog } from '../drivers/level/room-log.ts'
import { openAccess } from '../drivers/open.ts'
import { fail } from '../errors.ts'
import type { Access, AccessChange } from '../ports/access.ts'
import type { RoomLog } from '../ports/room-log.ts'
import { silent } from '../testkit/database.ts'
import { scratch, startBridge, until } from '../testkit/node.ts'
import { Probe, wire, type Received, type TransportName } from '../testkit/probe.ts'

/** Access whose rights a test takes away, and whose answers it may hold up. Whoever is `someone else` keeps them. */
class Rights implements Access {
  readonly authenticate = openAccess().port.authenticate
  /** What is answered of reading; absent: yes. */
  reading: (() => boolean | Promise<boolean>) | undefined
  /** Rooms that only the other one may use. */
  readonly lost = new Set<string>()
  readonly #listeners = new Set<(change: AccessChange) => void>()

  #may(user: string, room: string): boolean {
    return user === OTHER || !this.lost.has(room)
  }

  mayRead({ user }: { user: string }, room: string): boolean | Promise<boolean> {
    return this.#may(user, room) && (user === OTHER || !this.reading || this.reading())
  }

  maySend({ user }: { user: string }, room: string): boolean {
    return this.#may(user, room)
  }

  changes(listener: (change: AccessChange) => void): void {
    this.#listeners.add(listener)
  }

  /** Takes a room away, and says so as `change`. */
  end(room: string, change: AccessChange = { user: USER, room }): void {
    this.lost.add(room)
    this.tell(change)
  }

  tell(change: AccessChange): void {
    for (const listener of this.#listeners) listener(change)
  }
}

const USER = 'ann'
const OTHER = 'someone else'

const setUp = async (t: Test, env: Record<string, string> = {}, wrap = (log: RoomLog) => log) => {
  const rights = new Rights()
  const own = await openLevelLog({
    folder: await scratch(t),
    roomsMax: 1000,
    idempotencyWindow: 1000,
    logger: silent,
  })
  t.teardown(() => own.close())
  const node = await startBridge(t, env, { access: rights, log: wrap(own.port) })
  return { rights, node, log: own.port }
}

const to = (room: string) => ({ destination: `/topic/${room}` })
const room = (of: Received) => (JSON.parse(of.body.toString()) as { room: string }).room

/** Somebody who is told of removals, and subscribed to a room that is never taken away. */
const connect = async (t: Test, transport: TransportName, at: { port: number; stompPort: number }, login = USER) => {
  const probe = await Probe.connect(t, transport, at, { login })
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await probe.request('SUBSCRIBE', { id: 'stays', ...to('stays') })
  return probe
}

wire(t, '[S-72] [S-73] a right that ends takes its subscriptions with it, silently', async (t, transport) => {
  const { rights, node } = await setUp(t)
  const probe = await connect(t, transport, node)
  const other = await connect(t, transport, node, OTHER)
  await probe.request('SUBSCRIBE', { id: 'r', ...to('r'), ack: 'client-individual' })
  await probe.request('SUBSCRIBE', { id: 'again', ...to('r') })
  await other.request('SUBSCRIBE', { id: 'r', ...to('r') })
  await other.request('SEND', to('r'), 'before')
  const [one] = (await probe.messages(2)).filter(({ headers }) => headers['subscription'] === 'r')
  rights.end('r')
  const told = await probe.next('MESSAGE')
  t.match(told.headers, { 'type': 'removed', 'subscription': 'q', 'content-type': 'application/json' })
  t.equal(room(told), 'r')
  await other.request('SEND', to('r'), 'after')
  await other.request('SEND', to('stays'), 'barrier')
  t.same(await probe.bodiesUntil('barrier'), ['barrier'], 'nothing of the room, and told once')
  t.same(await other.bodiesUntil('barrier'), ['before', 'after', 'barrier'])
  await probe.request('ACK', { id: one!.headers['ack']! })
  await probe.request('UNSUBSCRIBE', { id: 'r' })
  await probe.request('UNSUBSCRIBE', { id: 'again' })
  await probe.request('SUBSCRIBE', { id: 'r', ...to('stays') })
  probe.send('SEND', { ...to('r'), receipt: 's' }, 'no')
  t.match((await probe.error()).headers, { 'code': 'FORBIDDEN', 'receipt-id': 's' })
})

wire(t, '[S-72] the right to any room of a user, or of anyone to a room', async (t, transport) => {
  const { rights, node } = await setUp(t)
  const probe = await connect(t, transport, node)
  const plain = await Probe.connect(t, transport, node, { login: USER })
  const waiting = await Probe.open(t, transport, node)
  for (const id of ['a', 'b', 'c']) await probe.request('SUBSCRIBE', { id, ...to(id) })
  await probe.request('SUBSCRIBE', { id: 'signals', destination: '/signal/b' })
  await plain.request('SUBSCRIBE', { id: 'a', ...to('a') })
  rights.lost.add('a').add('b')
  rights.tell({ user: 'somebody' })
  rights.tell({ user: USER, room: 'c' })
  rights.tell({ room: 'stays' })
  rights.tell({ user: USER })
  const lost = [room(await probe.next('MESSAGE')), room(await probe.next('MESSAGE'))]
  t.same(lost.toSorted(), ['a', 'b'])
  rights.end('c', { room: 'c' })
  rights.tell({ user: USER })
  t.equal(room(await probe.next('MESSAGE')), 'c')
  await probe.settled()
  t.same(probe.frames, [], 'once, however often it is looked at')
  await plain.settled()
  t.same(plain.frames, [], 'who did not subscribe to the queue is told nothing')
  waiting.send('CONNECT', { 'accept-version': '1.2', 'login': USER })
  await waiting.next('CONNECTED')
})

wire(t, '[S-72] a SUBSCRIBE that is under way when the right ends', async (t, transport) => {
  const gate = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  const { rights, node } = await setUp(t, {}, log => ({
    ...bound(log),
    tail: async (room, from, sink) => {
      if (room === 'r') {
        reached.resolve()
        await gate.promise
      }
      return log.tail(room, from, sink)
    },
  }))
  const probe = await connect(t, transport, node)
  const other = await connect(t, transport, node, OTHER)
  await other.request('SEND', to('r'), 'first')
  probe.send('SUBSCRIBE', { id: 'r', ...to('r'), receipt: 'late' })
  await reached.promise
  rights.end('r')
  t.equal(room(await probe.next('MESSAGE')), 'r')
  gate.resolve()
  t.match((await probe.next('RECEIPT')).headers, { 'receipt-id': 'late' })
  await other.request('SEND', to('r'), 'second')
  await other.request('SEND', to('stays'), 'barrier')
  t.same(await probe.bodiesUntil('barrier'), ['barrier'])
})

wire(t, '[S-73] a renewal does not ask for what has ended already', async (t, transport) => {
  const { rights, node } = await setUp(t)
  const probe = await connect(t, transport, node)
  await probe.request('SUBSCRIBE', { id: 'r', ...to('r') })
  rights.end('r')
  await probe.next('MESSAGE')
  const authenticate = rights.authenticate
  Object.assign(rights, { authenticate: () => authenticate({ login: USER }) })
  await probe.request('SEND', { destination: '/session/renew' }, 'a token')
})

wire(t, '[S-74] each page of history is asked for anew', async (t, transport) => {
  const { rights, node, log } = await setUp(t, { OUTBOX_BYTES: '65536' })
  const probe = await connect(t, transport, node)
  await log.create(['r'])
  const body = Buffer.alloc(200_000, 'x')
  const records = Array.from({ length: 100 }, () => ({ sender: OTHER, headers: new Map(), body }))
  for (let i = 0; i < 100; i += 4) await log.append('r', records.slice(i, i + 4))
  let asked = 0
  const held = Promise.withResolvers<boolean>()
  rights.reading = () => (++asked < 4 ? Promise.resolve(true) : held.promise)
  await probe.request('SUBSCRIBE', { id: 'r', ...to('r'), last: 100 })
  await until(() => asked === 4)
  await probe.settled()
  const before = probe.frames.length
  t.ok(before > 0 && before < 100, `${before} of them had come`)
  held.resolve(false)
  const told = await probe.take(({ headers }) => headers['type'] === 'removed', 'removed')
  t.equal(room(told), 'r')
  const other = await connect(t, transport, node, OTHER)
  await other.request('SEND', to('stays'), 'barrier')
  t.equal((await probe.bodiesUntil('barrier')).length, before + 1, 'no page came after that')
})

wire(t, '[S-74] where nobody can tell whether a page may be read, the connection ends', async (t, transport) => {
  const { rights, node } = await setUp(t)
  const unavailable = fail('DATABASE_UNAVAILABLE')
  const answers: (() => boolean | Promise<boolean>)[] = [
    () => Promise.reject(unavailable),
    () => {
      throw unavailable
    },
  ]
  for (const answer of answers) {
    rights.reading = undefined
    const probe = await connect(t, transport, node)
    let asked = 0
    rights.reading = () => ++asked === 1 || answer()
    probe.send('SUBSCRIBE', { id: 'r', ...to('r') })
    t.match((await probe.error()).headers, { code: 'DATABASE_UNAVAILABLE' })
  }
  rights.reading = undefined
  const probe = await connect(t, transport, node)
  await probe.request('SUBSCRIBE', { id: 'r', ...to('r') })
  rights.reading = () => Promise.reject(unavailable)
  rights.tell({ user: USER, room: 'r' })
  t.match((await probe.error()).headers, { code: 'DATABASE_UNAVAILABLE' }, 'nor may what is live go on')
})

/** Somebody in both rooms who has stopped reading, with a hundred messages of `from` on the way, which a witness has had. */
const flooded = async (t: Test, transport: TransportName, from: string) => {
  const parts = await setUp(t)
  const probe = await connect(t, transport, parts.node)
  const witness = await connect(t, transport, parts.node)
  for (const each of [probe, witness]) await each.request('SUBSCRIBE', { id: 'r', ...to('r') })
  const body = Buffer.alloc(200_000, 'x')
  probe.pause(true)
  // More than all buffers of the system on the way, and than may wait here.
  for (let i = 0; i < 100; i++) await parts.log.append(from, [{ sender: OTHER, headers: new Map(), body }])
  await witness.messages(100)
  return { ...parts, probe, witness }
}

wire(t, '[S-72] what waits of the room is dropped, what waits of others is not', async (t, transport) => {
  const { rights, node, log, probe, witness } = await flooded(t, transport, 'r')
  await log.append('stays', [{ sender: OTHER, headers: new Map(), body: Buffer.from('of another room') }])
  await witness.next('MESSAGE')
  const waiting = node.node.gauges().outboxBytes
  t.ok(waiting > 700_000, `${waiting} bytes wait`)
  rights.end('r')
  t.equal(room(await witness.next('MESSAGE')), 'r')
  t.ok(node.node.gauges().outboxBytes < waiting / 2, 'but for what is in the socket')
  probe.pause(false)
  await setImmediate()
  await log.append('stays', [{ sender: OTHER, headers: new Map(), body: Buffer.from('barrier') }])
  const got: string[] = []
  for (let last = ''; last !== 'barrier';) {
    const { headers, body } = await probe.next('MESSAGE')
    last = headers['destination'] === '/topic/r' ? 'r' : headers['type'] === 'removed' ? 'removed' : body.toString()
    got.push(last)
  }
  const rest = got.filter(each => each !== 'r')
  t.ok(got.length - rest.length < 100, `${got.length - rest.length} of 100 were on their way already`)
  t.ok(rest.includes('of another room'))
  if (got.includes('removed')) t.notOk(got.slice(got.indexOf('removed')).includes('r'), 'after that none')
})

wire(t, '[S-72] that a right has ended is told to who does not keep up, too', async (t, transport) => {
  const { rights, probe, witness } = await flooded(t, transport, 'stays')
  rights.end('r')
  t.equal(room(await witness.next('MESSAGE')), 'r')
  probe.pause(false)
  t.equal(room(await probe.take(({ headers }) => headers['type'] === 'removed', 'removed')), 'r')
  await probe.when(() => probe.frames.length === 100, 'all of the other room')
})

/** A log's methods, which belong to it. */
const bound = (log: RoomLog): RoomLog => ({
  create: rooms => log.create(rooms),
  append: (room, records) => log.append(room, records),
  tail: (room, from, sink) => log.tail(room, from, sink),
  read: (room, from, limit) => log.read(room, from, limit),
  bounds: room => log.bounds(room),
  remove: (room, before) => log.remove(room, before),
})
