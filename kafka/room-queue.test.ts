import t from 'tap'
import { HoofbeatError } from '../server/errors.ts'
import type { Position } from '../server/ports/room-log.ts'
import { packRecord } from './record.ts'
import { RoomQueue, sizeOf } from './room-queue.ts'
import type { Append } from './room-queue.ts'

const setup = () => {
  const open = new Set<Append>()
  const queue = new RoomQueue('room', open)
  const settled: [body: string, outcome: string][] = []
  const add = (body: string, count = 1): Append => {
    const record = packRecord({ sender: '', headers: new Map(), body: Buffer.from(body) }, 1_700_000_000_000)
    const records = Array.from({ length: count }, () => record)
    const append: Append = {
      queue,
      records,
      bytes: sizeOf(records),
      deadline: 0,
      resolve: (positions: Position[]) =>
        settled.push([body, positions.map(({ epoch, offset }) => `${epoch}-${offset}`).join()]),
      reject: (error: Error) => settled.push([body, error instanceof HoofbeatError ? error.code : error.message]),
    }
    open.add(append)
    queue.add(append)
    return append
  }
  /** What `LOG_TIMEOUT` does. */
  const expire = (append: Append): void => {
    open.delete(append)
    queue.drop(append)
  }
  return { queue, open, settled, add, expire }
}
const number = (batch: { identity: { producerId: bigint; producerEpoch: number; sequence: number } } | undefined) => {
  const { producerId, producerEpoch, sequence } = batch!.identity
  return [Number(producerId), producerEpoch, sequence]
}

void t.test('what waits goes out together, in order; the next batch is numbered after it', async t => {
  const { queue, settled, add } = setup()
  t.ok(queue.empty)
  t.equal(queue.next('life', 7n, 0n), undefined)
  add('a')
  add('b', 3)
  const first = queue.next('life', 7n, 5n)!
  t.same(number(first), [7, 0, 0])
  t.equal(first.from, 5n)
  add('c')
  t.equal(queue.next('life', 7n, 5n), first, 'as long as its outcome is open')
  queue.kept(first, 'life', 10n)
  t.same(settled, [
    ['a', 'life-10'],
    ['b', 'life-11,life-12,life-13'],
  ])
  t.same(number(queue.next('life', 7n, 14n)), [7, 0, 4])
})

void t.test(
  'a batch that nobody waits for any more is dropped; where it may come true the epoch is a later one',
  async t => {
    const { queue, add, expire } = setup()
    const first = add('a')
    queue.next('life', 7n, 0n)!.unknown = true
    expire(first)
    t.ok(queue.empty)
    const second = add('b')
    t.same(number(queue.next('life', 7n, 0n)), [7, 1, 0])
    expire(second)
    add('c')
    t.same(number(queue.next('life', 7n, 0n)), [7, 1, 0], 'the one before was never sent')
  },
)

void t.test('an open batch keeps its numbers, whatever id the producer has got meanwhile', async t => {
  const { queue, add } = setup()
  add('a')
  const open = queue.next('life', 7n, 0n)!
  open.unknown = true
  t.equal(queue.next('life', 8n, 0n), open)
  queue.kept(open, 'life', 0n)
  add('b')
  t.same(number(queue.next('life', 8n, 1n)), [8, 0, 0])
})

void t.test(
  'numbers that the broker does not take: the same records in a later epoch, without those that expired',
  async t => {
    const { queue, settled, add, expire } = setup()
    const late = add('late')
    add('a')
    const refused = queue.next('life', 7n, 0n)!
    add('b')
    expire(late)
    queue.renumber(refused)
    const again = queue.next('life', 7n, 0n)!
    t.same(number(again), [7, 1, 0])
    queue.kept(again, 'life', 0n)
    t.same(settled, [
      ['a', 'life-0'],
      ['b', 'life-1'],
    ])
  },
)

void t.test('the epoch begins again after the last one that Kafka knows', async t => {
  const { queue, add } = setup()
  add('a')
  for (let epoch = 0; epoch < 32_768; epoch++) {
    const batch = queue.next('life', 7n, 0n)!
    if (batch.identity.producerEpoch !== epoch) t.fail('epochs follow each other')
    queue.renumber(batch)
  }
  t.same(number(queue.next('life', 7n, 0n)), [7, 0, 0])
})

void t.test('another life of the room: what was not sent goes there, what may have been is left open', async t => {
  const { queue, settled, add } = setup()
  add('unsent')
  queue.next('one', 7n, 9n)
  const moved = queue.next('two', 7n, 0n)!
  t.same(number(moved), [7, 0, 0])
  t.equal(moved.from, 0n)
  moved.unknown = true
  add('next')
  const third = queue.next('three', 7n, 0n)!
  t.same(settled, [['unsent', 'LOG_UNAVAILABLE']])
  t.same(number(third), [7, 0, 0])
  queue.kept(third, 'three', 0n)
  t.same(settled.at(-1), ['next', 'three-0'])
})

void t.test(
  'a room that takes little at once gets smaller batches, and FRAME_TOO_LARGE for what is too much alone',
  async t => {
    const { queue, settled, add } = setup()
    for (const body of ['a', 'b', 'c', 'd']) add(body.repeat(1000))
    queue.tooLarge(queue.next('life', 7n, 0n)!)
    const half = queue.next('life', 7n, 0n)!
    t.equal(half.appends.length, 2)
    queue.tooLarge(half)
    const single = queue.next('life', 7n, 0n)!
    t.equal(single.appends.length, 1)
    queue.tooLarge(single)
    t.same(settled, [['a'.repeat(1000), 'FRAME_TOO_LARGE']])
    const next = queue.next('life', 7n, 0n)!
    t.same(number(next), [7, 0, 0])
    queue.kept(next, 'life', 0n)
    t.same(settled.at(-1), ['b'.repeat(1000), 'life-0'])
  },
)

void t.test(
  'some records are refused: what was appended with them is, and the others go on in their order',
  async t => {
    const { queue, settled, add, expire } = setup()
    const expired = add('expired')
    add('a')
    add('refused', 3)
    add('b', 2)
    add('refused too')
    const batch = queue.next('life', 7n, 0n)!
    add('c')
    expire(expired)
    queue.refuseSome(batch, [0, 3, 4, 7], new Error('too old'))
    t.same(settled, [
      ['refused', 'too old'],
      ['refused too', 'too old'],
    ])
    const again = queue.next('life', 7n, 0n)!
    t.same(number(again), [7, 0, 0], 'the broker has not counted it')
    queue.kept(again, 'life', 0n)
    t.same(settled.slice(2), [
      ['a', 'life-0'],
      ['b', 'life-1,life-2'],
      ['c', 'life-3'],
    ])
  },
)

void t.test('refusing everything', async t => {
  const { queue, settled, add } = setup()
  add('sent')
  queue.next('life', 7n, 0n)
  add('waiting')
  queue.refuseAll(new Error('gone'))
  t.same(settled, [
    ['sent', 'gone'],
    ['waiting', 'gone'],
  ])
  t.ok(queue.empty)
  queue.refuseAll(new Error('nothing there'))
  t.equal(settled.length, 2)
})
