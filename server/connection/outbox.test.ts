import { mock } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { lay } from '../stomp/framing.ts'
import { StillTransport } from '../testkit/still-transport.ts'
import { framing } from '../transport/websocket.ts'
import { Outbox } from './outbox.ts'
import { Turn } from './turn.ts'

const setUp = (highWater = 1000) => {
  const transport = new StillTransport()
  const counts = new Map<string, number>()
  const meter = {
    add: (name: string, amount = 1) => void counts.set(name, (counts.get(name) ?? 0) + amount),
    observe() {},
  }
  const outbox = new Outbox({ transport, turn: new Turn(), meter, highWater })
  return { transport, outbox, counts }
}
const turn = (): Promise<void> => new Promise(setImmediate)
const text = (length: number): Buffer => Buffer.alloc(length, 'x')

t.test('all that gathers in a turn is one write, in order', async t => {
  const { transport, outbox, counts } = setUp()
  outbox.push(Buffer.from('a'), 1)
  outbox.answer(Buffer.from('b'))
  outbox.push(Buffer.from('c'), 3)
  t.same(transport.writes, [])
  await turn()
  t.same(transport.writes, ['abc'])
  t.same(
    [...counts],
    [
      ['deliveries', 4],
      ['bytesOut', 3],
    ],
  )
  t.equal(outbox.size, 0)
})

t.test('the MESSAGE frames of one destination are dropped, whatever their bodies say', async t => {
  const { transport, outbox } = setUp(200)
  transport.full = true
  const message = (destination: string, body = '') =>
    Buffer.from(`MESSAGE\nsubscription:1\ndestination:${destination}\nmessage-id:1\n\n${body}\0`)
  const kept = [message('/topic/a2'), message('/topic/b', '\n\ndestination:/topic/a\n\n'), message('/topic')]
  const answer = message('/topic/a')
  for (const each of [message('/topic/a'), kept[0]!, message('/topic/a', 'x'), kept[1]!, kept[2]!]) outbox.push(each, 1)
  outbox.answer(answer)
  let opened = 0
  outbox.whenOpen(() => opened++)
  await turn()
  t.equal(opened, 0)
  outbox.dropLine('destination:/topic/a\n')
  t.equal(
    outbox.size,
    [...kept, answer].reduce((sum, { length }) => sum + length, 0),
  )
  transport.full = false
  await turn()
  t.same(transport.writes, [Buffer.concat([...kept, answer]).toString()])
  t.equal(opened, 1, 'those who waited for room are called')
})

t.test('[S-72] what waits is dropped also where its length on a WebSocket looks like an empty line', async t => {
  const { transport, outbox } = setUp(1 << 20)
  transport.full = true
  const laid = (destination: string, length: number): Buffer => {
    const frame = Buffer.alloc(length, 'x')
    frame.write(`MESSAGE\ndestination:${destination}\n\n`)
    return lay(framing, frame, true)
  }
  for (const length of [2_570, 68_106]) {
    t.ok(laid('/topic/a', length).subarray(0, 10).includes('\n\n'), 'such a length')
    for (const destination of ['/topic/a', '/topic/b']) outbox.push(laid(destination, length), 1)
  }
  await turn()
  outbox.dropLine('destination:/topic/a\n')
  transport.full = false
  await turn()
  t.same(
    transport.writes.flatMap(piece => piece.match(/destination:.*/g) ?? []),
    ['destination:/topic/b', 'destination:/topic/b'],
  )
})

t.test('connections with the same parts share the joined piece, others do not', async t => {
  const turns = new Turn()
  const outboxes = ['one', 'two', 'three'].map(() => {
    const transport = new StillTransport()
    const pieces: Buffer[] = []
    transport.write = bytes => void pieces.push(bytes)
    const outbox = new Outbox({ transport, turn: turns, meter: { add() {}, observe() {} }, highWater: 1000 })
    return { outbox, pieces }
  })
  const [a, b, c] = [Buffer.from('a'), Buffer.from('b'), Buffer.from('c')]
  for (const { outbox } of outboxes.slice(0, 2)) for (const part of [a, b]) outbox.push(part, 1)
  for (const part of [a, c]) outboxes[2]!.outbox.push(part, 1)
  await turn()
  t.same(
    outboxes.map(({ pieces }) => pieces.map(String)),
    [['ab'], ['ab'], ['ac']],
  )
  t.equal(outboxes[0]!.pieces[0], outboxes[1]!.pieces[0])
})

t.test('small parts are joined up to 16 KiB, and writes stop where the socket has enough', async t => {
  const { transport, outbox } = setUp(10_000_000)
  for (let i = 0; i < 5; i++) outbox.push(text(7_000), 1)
  outbox.push(text(100_000), 1)
  transport.write = bytes => {
    transport.writes.push(String(bytes.length))
    transport.full = transport.writes.length % 2 === 0
  }
  await turn()
  t.same(transport.writes, ['14000', '14000'])
  t.equal(outbox.size, 107_000)
  transport.full = false
  outbox.drained()
  t.same(transport.writes, ['14000', '14000', '7000', '100000'], 'a large frame is a write of its own')
})

t.test('it is open below its high water, and who waits is called at half of it', async t => {
  const { transport, outbox } = setUp(1000)
  transport.full = true
  outbox.push(text(999), 1)
  t.equal(outbox.open, true)
  outbox.push(text(1), 1)
  t.equal(outbox.open, false)
  let called = 0
  outbox.whenOpen(() => called++)
  await turn()
  t.equal(called, 0)
  transport.full = false
  transport.buffered = 500
  outbox.flush()
  t.equal(called, 0, 'what the socket has not taken counts')
  transport.buffered = 499
  outbox.flush()
  outbox.flush()
  t.equal(called, 1, 'once')
  outbox.whenOpen(() => called++)
  t.equal(called, 1, 'not in the same turn')
  await turn()
  t.equal(called, 2)
})

t.test('messages that wait can be dropped; answers cannot', async t => {
  const { transport, outbox } = setUp()
  transport.full = true
  outbox.push(Buffer.from('message'), 1)
  outbox.answer(Buffer.from('receipt'))
  outbox.push(Buffer.from('message'), 1)
  await turn()
  outbox.dropMessages()
  t.equal(outbox.size, 7)
  outbox.answer(Buffer.from(' error'))
  let finished = false
  outbox.finish(() => (finished = true))
  await turn()
  t.equal(finished, false)
  transport.full = false
  outbox.drained()
  t.same(transport.writes, ['receipt error'])
  t.equal(finished, true)
})

t.test('what was written is not kept, however long something waits', async t => {
  const { transport, outbox } = setUp(10_000_000)
  const written = new FinalizationRegistry<number>(() => collected++)
  let collected = 0
  for (let i = 0; i < 100; i++) {
    const answer = text(70_000)
    written.register(answer, i)
    outbox.answer(answer)
    outbox.push(text(70_000), 1)
    // One more is taken each time, and one more waits: it is never empty.
    transport.write = () => (transport.full = true)
    transport.full = false
    if (i > 0) outbox.flush()
    outbox.flush()
  }
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  for (let i = 0; i < 50 && collected < 40; i++) {
    gc()
    await turn()
  }
  t.ok(collected >= 40, `${collected} of about 50 were let go`)
})

t.test('[S-45] progress: when the socket took something, or had nothing to take', async t => {
  mock.timers.enable({ apis: ['Date'], now: 0 })
  t.teardown(() => mock.timers.reset())
  const { transport, outbox } = setUp()
  t.equal(outbox.stuckFor(50_000), 0, 'idle is not stuck')
  transport.full = true
  outbox.push(text(10), 1)
  t.equal(outbox.stuckFor(51_000), 1000)
  t.equal(outbox.stuckFor(60_000), 10_000)
  mock.timers.setTime(61_000)
  outbox.drained()
  t.equal(outbox.stuckFor(61_500), 500)
  transport.full = false
  mock.timers.setTime(62_000)
  outbox.flush()
  t.equal(outbox.stuckFor(90_000), 0)
  transport.buffered = 1
  t.equal(outbox.stuckFor(91_000), 1000, 'what the socket itself writes counts, from when it came')
})
