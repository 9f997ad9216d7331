import t from 'tap'
import { fail } from '../errors.ts'
import { fanOut, turns, until, type Fan, type FanOut } from '../testkit/fan.ts'
import { Reader } from '../testkit/reader.ts'

const numbered = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `${from + i}`)
const notices = ({ reader }: Fan): (string | undefined)[] =>
  reader.frames.map(({ headers }) => headers.get('recovered'))
const epochOf = ({ log }: FanOut): string => log.rooms.get('room')!.epoch
const stepAll = ({ log }: FanOut): void => {
  for (const call of [...log.calls]) call.step()
}

// ── Coming back with after ──

void t.test('after: everything since then, then live, from memory where it is there', async t => {
  const fan = fanOut()
  await fan.join('room')
  await turns()
  fan.log.say('room', ...numbered(0, 10))
  const two = await fan.join('room', { after: { epoch: epochOf(fan), offset: 6n } })
  t.equal(two.recovered, true)
  t.equal(two.first, undefined)
  await turns()
  fan.log.say('room', '10')
  t.same(two.reader.bodies, ['7', '8', '9', '10'])
  t.same([fan.log.counts.read, fan.log.counts.bounds], [0, 0])
  t.same(notices(two), [undefined, undefined, undefined, undefined])
})

void t.test('after: everyone who comes back at the same time is filled from the log once', async t => {
  const fan = fanOut()
  fan.log.add('room', numbered(0, 500), 1)
  const all = await Promise.all(
    Array.from({ length: 100 }, () => fan.join('room', { after: { epoch: epochOf(fan), offset: 399n } })),
  )
  await until(() => all.every(({ subscription }) => subscription.live))
  t.equal(fan.log.counts.read, 1)
  for (const { reader, recovered } of all) {
    t.equal(recovered, true)
    t.equal(reader.frames.length, 300)
  }
  t.same(all[0]!.reader.bodies, numbered(200, 500))
})

void t.test(
  'after a message that retention took, of another life, beyond the end, or unknown: the earliest',
  async t => {
    const fan = fanOut()
    fan.log.add('room', numbered(0, 10))
    await fan.log.remove('room', 4n)
    const epoch = epochOf(fan)
    for (const after of [
      { epoch, offset: 2n },
      { epoch: 'x', offset: 5n },
      { epoch, offset: 10n },
      'unknown',
    ] as const) {
      const one = await fan.join('room', { after })
      t.equal(one.recovered, false)
      t.equal(one.first, `${epoch}-4`)
      await until(() => one.subscription.live)
      t.same(one.reader.bodies, numbered(4, 10))
    }
    const all = await fan.join('room', { after: { epoch, offset: 3n } })
    t.equal(all.recovered, true, 'what was had is missed by nobody')
  },
)

void t.test('regression: who is ahead of the tail gets nothing again', async t => {
  for (const recentBytes of [0, 1 << 20]) {
    const fan = fanOut(['room'], { recentBytes })
    await fan.join('room')
    fan.log.add('room', numbered(0, 6))
    // From a node whose tail is ahead of ours; and from the log, which is ahead of every tail.
    const told = await fan.join('room', { after: { epoch: epochOf(fan), offset: 2n } })
    await turns()
    fan.log.show('room', 2)
    fan.log.show('room', 3)
    const reads = await fan.join('room', { after: { epoch: epochOf(fan), offset: 0n } })
    await turns()
    fan.log.show('room')
    await until(() => reads.subscription.live && told.subscription.live)
    fan.log.say('room', '6')
    t.same(told.reader.bodies, numbered(3, 7))
    t.same(reads.reader.bodies, numbered(1, 7))
  }
})

void t.test('a hole before the first record of the tail is no gap', async t => {
  for (const extended of [false, true]) {
    const fan = fanOut()
    fan.log.add('room', ['0'])
    fan.log.rooms.get('room')!.next = 5n
    const one = await fan.join('room', { after: { epoch: epochOf(fan), offset: 0n } })
    one.subscription.extended = extended
    await until(() => one.subscription.live)
    fan.log.say('room', '5')
    t.same([one.recovered, one.reader.bodies, notices(one)], [true, ['5'], [undefined]])
    t.equal(one.subscription.next, 6n)
  }
})

// ── The newest n ──

void t.test('last: the newest n, whatever gaps there are, from memory and from the log', async t => {
  const fan = fanOut()
  fan.log.add('room', numbered(0, 30), 99)
  for (const n of [1, 2, 9, 29, 30, 31]) {
    const one = await fan.join('room', { last: n })
    await until(() => one.subscription.live)
    t.same(one.reader.bodies, numbered(Math.max(0, 30 - n), 30))
    t.equal(one.recovered, undefined)
  }
  fan.log.say('room', '30')
  const two = await fan.join('room', { last: 2 })
  await until(() => two.subscription.live)
  t.same(two.reader.bodies, ['29', '30'])
})

void t.test('last: the records of many batches', async t => {
  const fan = fanOut()
  await fan.join('room')
  await turns()
  for (const text of numbered(0, 20)) fan.log.say('room', text)
  const one = await fan.join('room', { last: 7 })
  await turns()
  t.same(one.reader.bodies, numbered(13, 20))
  t.equal(fan.log.counts.read, 0)
})

void t.test('last in a room that is empty, and in one whose tail began at its start', async t => {
  const fan = fanOut()
  const one = await fan.join('room', { last: 3 })
  await turns()
  fan.log.say('room', '0', '1')
  const two = await fan.join('room', { last: 3 })
  await turns()
  t.same(one.reader.bodies, ['0', '1'])
  t.same(two.reader.bodies, ['0', '1'])
  t.equal(fan.log.counts.read, 0)
})

void t.test('regression: last while records come in', async t => {
  const fan = fanOut()
  await fan.join('room')
  await turns()
  fan.log.held = true
  const joining = fan.join('room', { last: 2 })
  await until(() => fan.log.calls.length === 1)
  fan.log.say('room', '0', '1', '2')
  stepAll(fan)
  stepAll(fan)
  const one = await joining
  fan.log.held = false
  await turns()
  fan.log.say('room', '3')
  t.same(one.reader.bodies, ['1', '2', '3'])
})

// ── What retention takes meanwhile ──

void t.test(
  'regression: what retention took while it was read is told, from the log and from the filled memory',
  async t => {
    for (const recentBytes of [0, 1 << 20]) {
      const fan = fanOut(['room'], { recentBytes })
      fan.log.add('room', numbered(0, 20))
      fan.log.held = true
      const joining = fan.join('room', { after: { epoch: epochOf(fan), offset: 2n } })
      for (let i = 0; i < 4; i++) {
        await turns()
        stepAll(fan)
      }
      const one = await joining
      t.equal(one.recovered, true)
      await fan.log.remove('room', 10n)
      fan.log.held = false
      for (let i = 0; i < 5; i++) {
        stepAll(fan)
        await turns()
      }
      t.same(one.reader.bodies, numbered(10, 20))
      t.equal(one.reader.frames[0]!.headers.get('first'), `${epochOf(fan)}-10`)
      t.same(notices(one), ['false', ...Array.from({ length: 9 })])
    }
  },
)

void t.test('when retention took all of it the next message says so', async t => {
  const fan = fanOut(['room'], { recentBytes: 0 })
  fan.log.add('room', numbered(0, 5))
  fan.log.held = true
  const joining = fan.join('room', { after: { epoch: epochOf(fan), offset: 1n } })
  for (let i = 0; i < 4; i++) {
    await turns()
    stepAll(fan)
  }
  const one = await joining
  await fan.log.remove('room', 5n)
  fan.log.held = false
  for (let i = 0; i < 5; i++) {
    stepAll(fan)
    await turns()
  }
  t.ok(one.subscription.live)
  fan.log.say('room', '5')
  await turns()
  t.same([one.reader.bodies, notices(one)], [['5'], ['false']])
})

// ── Breaks while the log is read ──

void t.test('regression: what is read while the tail is broken off is not taken for the life before', async t => {
  const fan = fanOut(['room'], { recentBytes: 0 })
  const old = epochOf(fan)
  fan.log.add('room', numbered(0, 10))
  const one = await fan.join('room', { after: { epoch: old, offset: 3n } }, { window: 2 })
  await turns()
  t.same(one.reader.bodies, ['4', '5'])
  fan.log.held = true
  const anew = fan.log.make('room').epoch
  fan.log.add('room', ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
  // The window opens while nobody knows which life the log is in.
  one.subscription.acknowledge(`${old}-4`)
  one.subscription.acknowledge(`${old}-5`)
  await until(() => fan.log.calls.some(call => call.method === 'tail'))
  t.notOk(fan.log.calls.some(call => call.method === 'read'))
  fan.log.held = false
  for (let i = 0; i < 20; i++) {
    stepAll(fan)
    fan.log.show('room')
    for (const { headers } of one.reader.frames) one.subscription.acknowledge(headers.get('message-id')!)
    await turns()
  }
  t.same(one.reader.bodies, ['4', '5', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
  t.equal(one.reader.frames[2]!.headers.get('first'), `${anew}-0`)
})

void t.test('what was being read when the tail broke off is read again', async t => {
  for (const recentBytes of [0, 1 << 20]) {
    const fan = fanOut(['room'], { recentBytes })
    fan.log.add('room', numbered(0, 10))
    const first = await fan.join('room')
    fan.log.held = true
    const joining = fan.join('room', { after: { epoch: epochOf(fan), offset: 3n } })
    for (let i = 0; i < 3; i++) {
      await turns()
      stepAll(fan)
    }
    const one = await joining
    await until(() => fan.log.calls.some(call => call.method === 'read'))
    stepAll(fan)
    fan.log.breakOff('room')
    fan.log.held = false
    for (let i = 0; i < 5; i++) {
      stepAll(fan)
      await turns()
    }
    await until(() => one.subscription.live)
    fan.log.say('room', '10')
    await turns()
    t.same(one.reader.bodies, numbered(4, 11))
    t.same(first.reader.bodies, ['10'])
  }
})

void t.test('a log that cannot be read is read again when it can; any other error ends the subscription', async t => {
  const fan = fanOut(['room'], { recentBytes: 0 })
  fan.log.add('room', numbered(0, 10))
  const [one, two] = [new Reader(), new Reader()]
  one.open = two.open = false
  const after = { epoch: epochOf(fan), offset: 3n }
  const [patient, refused] = [
    await fan.join('room', { after }, { reader: one }),
    await fan.join('room', { after }, { reader: two }),
  ]
  fan.log.held = true
  one.open = true
  for (let i = 0; i < 3; i++) {
    await until(() => fan.log.calls.length === 1)
    fan.log.calls[0]!.refuse(fail('LOG_UNAVAILABLE'))
  }
  fan.log.held = false
  stepAll(fan)
  await until(() => {
    stepAll(fan)
    return patient.subscription.live
  })
  t.same(one.bodies, numbered(4, 10))
  t.same(patient.ends, [])
  fan.log.held = true
  two.open = true
  await until(() => fan.log.calls.length === 1)
  fan.log.calls[0]!.refuse(new Error('a bug'))
  await until(() => refused.ends.length === 1)
  t.equal(refused.ends[0]!.code, 'INTERNAL')
  t.equal(refused.subscription.ended, true)
  t.equal(two.frames.length, 0)
})

// ── Filling memory backwards ──

void t.test('what is filled backwards is not too large', async t => {
  const fan = fanOut(['room'], { recentBytes: 64 << 20 })
  fan.log.add(
    'room',
    Array.from({ length: 120 }, (_, i) => `${i}`.padEnd(100_000)),
  )
  const one = await fan.join('room', { after: { epoch: epochOf(fan), offset: 9n } })
  await until(() => one.subscription.live)
  t.same(one.reader.bodies.map(Number), numbered(10, 120).map(Number))
  t.ok(fan.hub.recentBytes < 12 << 20, `${fan.hub.recentBytes} bytes, encoded and as they are`)
})

void t.test('what is filled backwards is given up where it would leave a hole', async t => {
  const fan = fanOut(['room', 'other'], { recentBytes: 60_000 })
  await fan.join('other')
  await fan.join('room')
  await turns()
  fan.log.say('room', ...numbered(0, 10))
  fan.log.rooms.get('room')!.all.splice(0)
  const one = await fan.join('room', 'now')
  const { room } = one.subscription
  fan.log.put('other', { body: Buffer.alloc(59_000) })
  fan.log.show('other')
  t.equal(room.recent.count, 0)
  fan.log.say('room', '10')
  t.equal(room.recent.first, 10n)
  fan.log.held = true
  const extended = room.extend()
  stepAll(fan)
  fan.log.put('other', { body: Buffer.alloc(59_000) })
  fan.log.show('other')
  for (let i = 0; i < 4; i++) {
    stepAll(fan)
    await turns()
  }
  await extended
  t.equal(room.recent.first, 11n)
})

// ── Slow clients, windows ──

void t.test('a slow client reads on from memory or from the log, and is live again', async t => {
  for (const recentBytes of [0, 3_000, 1 << 20]) {
    const fan = fanOut(['room'], { recentBytes })
    const [slow, fast] = [await fan.join('room'), await fan.join('room')]
    await turns()
    for (let round = 0, n = 0; round < 5; round++) {
      slow.reader.open = false
      for (const text of numbered(n, (n += 20))) fan.log.say('room', text)
      await turns()
      slow.reader.open = true
      await until(() => slow.subscription.live)
      fan.log.say('room', `${n++}`)
    }
    t.same(slow.reader.bodies, numbered(0, 105))
    t.same(fast.reader.bodies, numbered(0, 105))
    t.equal(fan.counted.get('slowSubscribers'), 5)
    t.equal(fan.counted.get('windowFull'), undefined)
  }
})

void t.test('a full window holds the rest back in the log until it is acknowledged', async t => {
  const fan = fanOut()
  const one = await fan.join('room', 'now', { window: 4 })
  await turns()
  fan.log.say('room', ...numbered(0, 3))
  fan.log.say('room', ...numbered(3, 10))
  await turns()
  t.same(one.reader.bodies, numbered(0, 4))
  t.equal(fan.counted.get('windowFull'), 1)
  const id = (i: number): string => `${epochOf(fan)}-${i}`
  t.equal(one.reader.frames[3]!.headers.get('ack'), `${id(3)}@sub-0`)
  t.equal(one.subscription.holds(id(2)), true)
  t.equal(one.subscription.acknowledge(id(2)), true)
  t.equal(one.subscription.holds(id(2)), false)
  t.equal(one.subscription.acknowledge(id(2)), false, 'individually: each once')
  await turns()
  t.same(one.reader.bodies, numbered(0, 5))
  for (let i = 0; i < 10; i++) {
    one.subscription.acknowledge(id(i))
    await turns()
  }
  t.same(one.reader.bodies, numbered(0, 10))
  t.ok(one.subscription.live)
  t.equal(one.subscription.acknowledge(id(9)), false)
})

void t.test('cumulative acknowledgements cover what came before, in whatever order they come', async t => {
  const fan = fanOut()
  const one = await fan.join('room', 'now', { window: 4, cumulative: true })
  await turns()
  fan.log.say('room', ...numbered(0, 8))
  await turns()
  const id = (i: number | string): string => `${epochOf(fan)}-${i}`
  t.equal(one.subscription.acknowledge(id(0)), true)
  t.equal(one.subscription.acknowledge(id(3)), true)
  t.equal(one.subscription.acknowledge(id(1)), true, 'covered')
  t.equal(one.subscription.acknowledge(id(9)), false, 'not sent')
  await turns()
  t.same(one.reader.bodies, numbered(0, 8))
  t.equal(one.subscription.acknowledge('other-1'), false)
})

void t.test('regression: an acknowledgement of what is no message-id is unknown, and no error of ours', async t => {
  const fan = fanOut()
  const one = await fan.join('room', 'now', { window: 4, cumulative: true })
  for (const id of ['', 'x', `${epochOf(fan)}-abc`, `${epochOf(fan)}-`, `${epochOf(fan)}-0`]) {
    t.equal(one.subscription.acknowledge(id), false, id)
  }
})

void t.test('announced on exactly the next message; a break says more', async t => {
  const fan = fanOut()
  fan.log.add('room', ['0', '1'])
  const epoch = epochOf(fan)
  const one = await fan.join('room', { after: { epoch, offset: 0n } })
  one.subscription.announce(true)
  const two = await fan.join('room', { after: 'unknown' })
  two.subscription.announce(false)
  const three = await fan.join('room', { after: { epoch, offset: 1n } })
  three.subscription.resume(epoch, 2n)
  three.subscription.announce(true)
  await until(() => [one, two, three].every(({ subscription }) => subscription.live))
  fan.log.say('room', '2')
  t.same(notices(one), ['true', undefined])
  t.equal(one.reader.frames[0]!.headers.has('first'), false)
  t.same(notices(two), ['false', undefined, undefined])
  t.equal(two.reader.frames[0]!.headers.get('first'), `${epoch}-0`)
  t.same(notices(three), ['false'])
})

void t.test('an ended subscription gets nothing more, wherever it was', async t => {
  const fan = fanOut(['room'], { recentBytes: 0 })
  fan.log.add('room', numbered(0, 10))
  const after = { epoch: epochOf(fan), offset: 3n }
  const live = await fan.join('room')
  const shut = await fan.join('room', { after })
  shut.reader.open = false
  const queued = await fan.join('room', { after })
  queued.subscription.end()
  await until(() => live.subscription.live)
  fan.log.held = true
  const joining = fan.join('room', { after })
  for (let i = 0; i < 3; i++) {
    await turns()
    stepAll(fan)
  }
  const reading = await joining
  await until(() => fan.log.calls.some(call => call.method === 'read'))
  for (const { subscription } of [live, shut, reading]) subscription.end()
  shut.reader.open = true
  fan.log.held = false
  const last = await fan.join('room', { after })
  for (let i = 0; i < 4; i++) {
    stepAll(fan)
    await turns()
  }
  fan.log.say('room', '10')
  await until(() => last.reader.frames.length === 7)
  for (const { reader, subscription } of [live, shut, queued, reading]) {
    t.equal(reader.frames.length, 0)
    subscription.room.catchUp(subscription)
    subscription.fail(fail('INTERNAL'))
  }
  await turns()
  t.same(
    [live, shut, queued, reading].flatMap(({ ends }) => ends),
    [],
  )
})

// ── All of them together ──

void t.test(
  'regression: those who catch up share each turn, page by page, also where all are allowed at once',
  async t => {
    for (const options of [{}, { mayRead: async () => true }]) {
      const fan = fanOut(['room'], { recentBytes: 64 << 20 })
      await fan.join('room')
      await turns()
      for (let i = 0; i < 8; i++) fan.log.put('room', { body: Buffer.alloc(70_000, `${i}`) })
      fan.log.show('room')
      const after = { epoch: epochOf(fan), offset: 0n }
      const all = await Promise.all(Array.from({ length: 50 }, () => fan.join('room', { after }, options)))
      const pages = (): number[] => all.map(({ reader }) => reader.pushed.length)
      while (!all.every(({ subscription }) => subscription.live)) {
        const before = pages().reduce((sum, count) => sum + count, 0)
        await turns(1)
        const now = pages()
        t.ok(Math.max(...now) - Math.min(...now) <= 1, 'nobody is two pages ahead')
        t.ok(now.reduce((sum, count) => sum + count, 0) - before <= 16, 'a turn is about 1 MiB')
      }
      for (const { reader } of all) t.equal(reader.frames.length, 7)
    }
  },
)

void t.test('regression: subscribing and leaving again behind a shut outlet leaves nothing in it', async t => {
  const fan = fanOut()
  fan.log.add('room', numbered(0, 5))
  const reader = new Reader()
  reader.open = false
  const after = { epoch: epochOf(fan), offset: 1n }
  for (let i = 0; i < 100; i++) {
    const { subscription } = await fan.join('room', { after }, { reader })
    await turns(1)
    subscription.end()
  }
  t.equal(reader.listeners, 1)
  const stays = await fan.join('room', { after }, { reader })
  const both = await fan.join('room', { after }, { reader, look: { subscription: 'b' } })
  await turns()
  t.equal(reader.listeners, 1)
  reader.open = true
  await until(() => stays.subscription.live && both.subscription.live)
  t.same(reader.bodies.toSorted(), ['2', '2', '3', '3', '4', '4'])
})

void t.test('not more than so many read the log at once', async t => {
  const rooms = numbered(0, 40)
  const fan = fanOut(rooms)
  for (const room of rooms) fan.log.add(room, ['0', '1'])
  const all = rooms.map(room => fan.join(room, { after: 'unknown' }))
  await Promise.all(all)
  fan.log.held = true
  let most = 0
  await until(() => {
    most = Math.max(most, fan.log.calls.filter(call => call.method === 'read').length)
    fan.log.calls[0]?.step()
    return fan.log.counts.read === 40
  })
  t.equal(most, 16)
  fan.log.held = false
  for (const each of all) {
    const { subscription, reader } = await each
    await until(() => {
      stepAll(fan)
      return subscription.live
    })
    t.same(reader.bodies, ['0', '1'])
  }
})

void t.test('who leaves while a page is being read gets nothing of it', async t => {
  const fan = fanOut(['room'], { recentBytes: 0 })
  fan.log.add('room', numbered(0, 10))
  const { subscription, reader } = await fan.join('room', { after: { epoch: epochOf(fan), offset: 1n } })
  fan.log.held = true
  const next = async (method: string) => {
    await until(() => fan.log.calls.length > 0)
    t.equal(fan.log.calls[0]!.method, method)
    return fan.log.calls[0]!
  }
  // What is read to fill the memory does not stay there; then comes the page.
  for (const method of ['read', 'bounds']) {
    const call = await next(method)
    call.step()
    call.step()
  }
  const page = await next('read')
  page.step()
  subscription.end()
  page.step()
  await turns()
  t.same(reader.frames, [])
  t.equal(fan.log.calls.length, 0)
})
