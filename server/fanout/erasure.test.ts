import fc from 'fast-check'
import t from 'tap'
import type { LogRecord, NewRecord } from '../ports/room-log.ts'
import { fanOut, turns, until, type Fan } from '../testkit/fan.ts'
import { Reader } from '../testkit/reader.ts'
import { Batch } from './batch.ts'
import { reshown, shown } from './erasure.ts'
import { Recent, RecentMemory } from './recent.ts'

/** A node on which these people are erased, of whom it is told by `erase`. */
const setUp = (options: Parameters<typeof fanOut>[1] = {}) => {
  const erased = new Set<string>()
  const fan = fanOut(['room'], { isErased: user => erased.has(user), ...options })
  const erase = (user: string): void => {
    erased.add(user)
    fan.hub.erase()
  }
  const write = (sender: string, ...texts: string[]): void => {
    for (const text of texts) fan.log.put('room', { sender, body: Buffer.from(text) })
  }
  return { fan, erased, erase, write }
}

/** Who wrote what, as somebody was shown it; what was erased is null. */
const seen = ({ reader }: Fan): [string, string | null][] =>
  reader.frames.map(({ headers, body }) => [
    headers.get('sender')!,
    headers.get('erased') === 'true' && body.length === 0 ? null : body.toString(),
  ])
const record = (part: Partial<LogRecord>): LogRecord => ({
  offset: 0n,
  time: 1,
  sender: 'cat',
  headers: new Map(),
  body: Buffer.from('words'),
  ...part,
})

void t.test('[S-76] of what was erased its place, its sender and its kind are left', async t => {
  const headers = new Map([
    ['type', 'delete'],
    ['ref', 'e1-7'],
    ['content-type', 'text/plain'],
    ['sender-name', 'Cat'],
    ['x', 'words'],
    ['erased', 'false'],
  ])
  const { fan, erase } = setUp()
  fan.log.put('room', { sender: 'cat', headers, body: Buffer.from('words') })
  erase('cat')
  const one = await fan.join('room', { last: 1 })
  await until(() => one.subscription.live)
  t.same(one.reader.frames[0]!.lines, [
    'subscription:sub-0',
    'destination:/topic/room',
    'message-id:e1-0',
    'timestamp:1',
    'sender:cat',
    'erased:true',
    'type:delete',
    'ref:e1-7',
    'content-length:0',
  ])
})

void t.test('nothing can be written where something is left', async t => {
  const all = (user: string): boolean => user === 'cat'
  const left = (...headers: [string, string][]): Map<string, string> =>
    new Map(shown([record({ headers: new Map(headers) })], all)[0]!.headers)
  t.same([...left(['type', 'words'], ['ref', 'words'])], [])
  t.same([...left(['type', 'reaction'], ['ref', 'e1-07'], ['op', 'words'])], [['type', 'reaction']])
  for (const type of ['message', 'edit', 'delete', 'reaction']) t.same([...left(['type', type])], [['type', type]])
})

void t.test('what the server itself said, and what others wrote, is shown as it is', async t => {
  const entry = record({ headers: new Map([['entry-id', 'x']]) })
  const records = [entry, record({ sender: 'ann' }), record({ sender: '' })]
  t.equal(
    shown(records, user => user === 'cat'),
    records,
  )
  t.equal(shown(records, undefined), records)
  const [first, second] = shown([record({ sender: 'ann' }), record({})], user => user === 'cat')
  t.match(first, { sender: 'ann', body: Buffer.from('words') })
  t.match(second, { sender: 'cat', body: Buffer.alloc(0), erased: true })
})

void t.test('[S-76] what is kept of it in memory goes, and the memory is counted right', async t => {
  const { fan, erase, write } = setUp()
  const one = await fan.join('room')
  const two = await fan.join('room')
  await until(() => one.subscription.live && two.subscription.live)
  write('ann', 'a')
  write('cat', 'b')
  fan.log.show('room')
  write('ann', 'c')
  fan.log.show('room')
  const before = fan.hub.recentBytes
  erase('cat')
  t.ok(fan.hub.recentBytes < before)
  t.equal(fan.log.counts.read, 0)
  const late = await fan.join('room', { last: 3 })
  await until(() => late.subscription.live)
  t.equal(fan.log.counts.read, 0, 'from memory')
  t.same(seen(late), [
    ['ann', 'a'],
    ['cat', null],
    ['ann', 'c'],
  ])
  t.same(
    late.reader.frames.map(({ headers }) => headers.get('message-id')),
    one.reader.frames.map(({ headers }) => headers.get('message-id')),
  )
  write('cat', 'd')
  fan.log.show('room')
  for (const each of [one, two, late]) t.same(seen(each).at(-1), ['cat', null], 'what comes after it too')
  for (const { subscription } of [one, two, late]) subscription.end()
  await until(() => fan.hub.rooms === 0)
  t.equal(fan.hub.recentBytes, 0)
})

void t.test('[S-76] whoever catches up is shown nothing of it from then on, from the log', async t => {
  const { fan, erased, write } = setUp({ recentBytes: 0 })
  write('cat', ...Array.from({ length: 3000 }, (_, i) => `${i}`))
  const reader = new Reader()
  const one = await fan.join('room', { after: { epoch: 'e1', offset: -1n } }, { reader })
  await until(() => reader.frames.length >= 200)
  reader.open = false
  const before = reader.frames.length
  erased.add('cat')
  fan.hub.erase()
  reader.open = true
  await until(() => one.subscription.live)
  t.ok(before < 3000)
  t.same(
    seen(one).map(([, text]) => text),
    Array.from({ length: 3000 }, (_, i) => (i < before ? `${i}` : null)),
  )
})

void t.test('[S-76] a page, and an extension, that were being read when it was erased', async t => {
  for (const recentBytes of [0, 1 << 20]) {
    const { fan, erase, write } = setUp({ recentBytes })
    write('cat', 'a', 'b')
    const one = await fan.join('room', { after: { epoch: 'e1', offset: -1n } })
    fan.log.held = true
    await until(() => fan.log.calls.length > 0)
    // The log has been looked into, and has not answered.
    fan.log.calls[0]!.step()
    erase('cat')
    fan.log.held = false
    for (const call of [...fan.log.calls]) call.step()
    await until(() => one.subscription.live)
    t.same(seen(one), [
      ['cat', null],
      ['cat', null],
    ])
  }
})

void t.test('property: whatever is erased when, nobody is shown any of it after that, or misses anything', async t => {
  const act = fc.oneof(
    fc.record({ act: fc.constant('write'), sender: fc.constantFrom('ann', 'bob', 'cat') }),
    fc.record({ act: fc.constant('erase'), user: fc.constantFrom('ann', 'bob') }),
    fc.record({ act: fc.constant('show'), most: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ act: fc.constant('join'), from: fc.nat(20) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 40 }), fc.constantFrom(0, 3000, 1 << 20), async (acts, recentBytes) => {
      const { fan, erased, erase, write } = setUp({ recentBytes })
      const senders: string[] = []
      const late: { one: Fan; from: number; erased: Set<string> }[] = []
      for (const each of acts) {
        if (each.act === 'write') write(senders[senders.push(each.sender) - 1]!, 'words')
        else if (each.act === 'erase') erase(each.user)
        else if (each.act === 'show') fan.log.show('room', each.most)
        else {
          const from = Math.min(each.from, senders.length)
          const one = await fan.join('room', { after: { epoch: 'e1', offset: BigInt(from) - 1n } })
          late.push({ one, from, erased: new Set(erased) })
        }
      }
      await turns()
      fan.log.show('room')
      await until(() => late.every(({ one }) => one.subscription.live))
      await turns()
      for (const { one, from, erased: before } of late) {
        const shownTo = seen(one)
        if (shownTo.map(([sender]) => sender).join() !== senders.slice(from).join()) throw new Error('not the same')
        for (const [sender, text] of shownTo) {
          if (text !== null && before.has(sender)) throw new Error('erased before, and shown')
          if (text === null && !erased.has(sender)) throw new Error('not erased, and not shown')
        }
      }
    }),
    { numRuns: 60 },
  )
  t.pass('in all of them')
})

void t.test('batches are made anew in their places, and only those that something goes from', async t => {
  const batchOf = (first: bigint, ...parts: Partial<NewRecord>[]): Batch =>
    new Batch(
      'room',
      'e1',
      parts.map((part, i) => record({ offset: first + BigInt(i), ...part })),
    )
  const memory = new RecentMemory(1 << 20)
  const recent = new Recent(memory)
  const kept = [batchOf(0n, { sender: 'ann' }), batchOf(1n, {}, { sender: 'ann' }), batchOf(3n, {})]
  for (const batch of kept) recent.append(batch)
  recent.dropFirst()
  recent.remake(batch => reshown(batch, user => user === 'ann'))
  const [, old, same] = kept
  const made = recent.batchFrom(1n)!
  t.not(made, old)
  t.equal(recent.batchFrom(3n), same)
  t.same([made.first, made.next, recent.first, recent.next, recent.count], [1n, 3n, 1n, 4n, 3])
  t.equal(memory.used, made.size + same!.size)
  const used = memory.used
  old!.grew(1000)
  t.equal(memory.used, used, 'the old one does not count any more')
  made.grew(10)
  t.equal(memory.used, used + 10)
  recent.remake(batch => reshown(batch, user => user === 'ann'))
  t.equal(recent.batchFrom(1n), made, 'once is enough')
})
