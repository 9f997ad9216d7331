import fc from 'fast-check'
import t from 'tap'
import { bare } from '../stomp/framing.ts'
import { Batch } from './batch.ts'
import { Recent, RecentMemory } from './recent.ts'
import { Styles } from './style.ts'

const batchAt = (first: bigint, count: number, bytes = 10, gap = 1n): Batch =>
  new Batch(
    'room',
    'e1',
    Array.from({ length: count }, (_, i) => ({
      offset: first + BigInt(i) * gap,
      time: 1,
      sender: 'ann',
      headers: new Map(),
      body: Buffer.alloc(bytes),
    })),
  )
const style = (name: string): ReturnType<Styles['take']> => {
  const styles = new Styles()
  const look = { version: '1.2', framing: bare, subscription: name, acks: false } as const
  styles.take(look)
  return styles.take(look)
}

void t.test('finds its records and drops the oldest batch of all rooms when it is too much', async t => {
  const size = batchAt(0n, 10).size
  const memory = new RecentMemory(size * 4)
  const [one, two] = [new Recent(memory), new Recent(memory)]
  one.append(batchAt(0n, 10))
  two.append(batchAt(5n, 10, 10, 3n))
  one.append(batchAt(10n, 10))
  one.append(batchAt(25n, 10))
  t.same([memory.used, one.count, one.first, one.next], [size * 4, 30, 0n, 35n])
  t.equal(one.nthNewest(1), 34n)
  t.equal(one.nthNewest(11), 19n)
  t.equal(one.nthNewest(30), 0n)
  t.equal(one.batchFrom(12n)?.first, 10n)
  t.equal(one.batchFrom(21n)?.first, 25n, 'across a gap')
  t.equal(one.batchFrom(35n), undefined)
  two.append(batchAt(40n, 10))
  t.same([one.first, one.count, two.first], [10n, 20, 0n])
  t.equal(one.batchFrom(3n)?.first, 10n)
  two.append(batchAt(50n, 10))
  t.same([two.first, two.count, memory.used], [33n, 20, size * 4])
})

void t.test('thousands of batches come and go', async t => {
  const memory = new RecentMemory(batchAt(0n, 1).size * 700)
  const recent = new Recent(memory)
  for (let n = 0n; n < 3000n; n++) {
    recent.append(batchAt(n, 1))
    if (recent.batchFrom(recent.first)?.first !== recent.first) t.fail(`the first is not found at ${n}`)
    if (recent.nthNewest(recent.count) !== recent.first) t.fail(`the last is not found at ${n}`)
  }
  t.same([recent.first, recent.next, recent.count], [2300n, 3000n, 700])
})

void t.test('bytes that grow by encoding count, and what grows too large goes, also in the middle of it', async t => {
  const batch = batchAt(0n, 10, 1000)
  const memory = new RecentMemory(batch.size + 12_000)
  const recent = new Recent(memory)
  recent.append(batch)
  const before = memory.used
  const bytes = batch.bytes(style('a'))
  t.ok(bytes.length > 10_000)
  t.same([memory.used, recent.count, recent.first], [0, 0, 10n], 'tails and finished bytes are too much')
  t.equal(batch.bytes(style('b')).length, bytes.length, 'it can still be read')
  t.equal(memory.used, 0, 'but is nobody’s any more')
  const [late] = [batchAt(10n, 10, 1000)]
  late!.bytes(style('a'))
  recent.append(late!)
  t.same([memory.used, recent.count], [0, 0], 'one that is too large from the start is not kept')
  const small = batchAt(20n, 1, 1000)
  recent.append(small)
  small.bytes(style('a'))
  t.equal(memory.used, small.size)
  t.ok(memory.used < before)
})

void t.test(
  'regression: filling backwards into a memory that is full drops the oldest, and loses account of nothing',
  async t => {
    const size = batchAt(0n, 10).size
    const memory = new RecentMemory(size * 4)
    const [one, two] = [new Recent(memory), new Recent(memory)]
    one.restart(100n)
    one.append(batchAt(100n, 10))
    two.append(batchAt(0n, 10))
    two.append(batchAt(10n, 10))
    one.prepend([batchAt(60n, 10), batchAt(70n, 10), batchAt(80n, 10)], 60n)
    t.same(
      [one.first, one.next, one.count, memory.used],
      [80n, 110n, 20, size * 4],
      'the room that has the oldest gives',
    )
    one.prepend([], 75n)
    t.same([one.first, one.count], [75n, 20])
    one.restart(200n)
    t.same([one.first, one.next, one.count, memory.used], [200n, 200n, 0, size * 2])
    two.restart(0n)
    t.equal(memory.used, 0)
  },
)

void t.test('property: it keeps account of every byte and never has a hole', async t => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('append' as const),
      room: fc.nat(2),
      count: fc.integer({ min: 1, max: 8 }),
      gap: fc.nat(3),
    }),
    fc.record({
      do: fc.constant('prepend' as const),
      room: fc.nat(2),
      count: fc.integer({ min: 1, max: 30 }),
      gap: fc.nat(3),
    }),
    fc.record({ do: fc.constant('restart' as const), room: fc.nat(2), count: fc.nat(5), gap: fc.nat(3) }),
    fc.record({ do: fc.constant('encode' as const), room: fc.nat(2), count: fc.nat(40), gap: fc.nat(5) }),
  )
  const styles = Array.from({ length: 6 }, (_, i) => style(`${i}`))
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 60_000 }), fc.array(step, { maxLength: 400 }), (budget, steps) => {
      const memory = new RecentMemory(budget)
      const rooms = [0, 1, 2].map(() => new Recent(memory))
      for (const room of rooms) room.restart(1_000_000n)
      for (const { do: what, room, count, gap } of steps) {
        const recent = rooms[room]!
        if (what === 'append') recent.append(batchAt(recent.next + BigInt(gap), count, 100))
        else if (what === 'restart') recent.restart(recent.next + BigInt(count))
        else if (what === 'encode') recent.batchFrom(recent.first + BigInt(count))?.bytes(styles[gap]!)
        else {
          const first = recent.first - BigInt(count * 2)
          recent.prepend([batchAt(first, count, 100), batchAt(first + BigInt(count), count, 100)], first - BigInt(gap))
        }
        let used = 0
        for (const { first, next, count } of rooms.map(each => each))
          if (first > next || count < 0) throw new Error('order')
        for (const each of rooms) {
          let records = 0
          let at = each.first
          for (let batch = each.batchFrom(at); batch; batch = each.batchFrom(at)) {
            if (batch.first < at) throw new Error('it overlaps')
            records += batch.records.length
            used += batch.size
            at = batch.next
          }
          if (records !== each.count || (records > 0 && at !== each.next)) throw new Error('it has lost count')
        }
        if (used !== memory.used || used > budget) throw new Error(`${memory.used} of ${used}, ${budget} allowed`)
      }
      for (const room of rooms) room.restart(0n)
      if (memory.used !== 0) throw new Error(`${memory.used} left`)
    }),
    { numRuns: 200 },
  )
  t.pass('all of them')
})
