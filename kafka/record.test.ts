import assert from 'node:assert/strict'
import { createRecordsBatch, readRecordsBatch, Reader } from '@platformatic/kafka'
import type { CompressionAlgorithmValue, MessageRecord } from '@platformatic/kafka'
import fc from 'fast-check'
import t from 'tap'
import type { NewRecord } from '../server/ports/room-log.ts'
import { decodeBatches, findBatch, findKeyed } from './batches.ts'
import { batchBytes, BATCH_HEAD, encodeBatch, packBarrier, packRecord } from './record.ts'
import type { Identity, PackedRecord } from './record.ts'
import { isRoomTopic, topicConfigs, topicOf } from './topics.ts'

const identity: Identity = { producerId: 7n, producerEpoch: 3, sequence: 40 }
const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const body = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))
const newRecord: fc.Arbitrary<NewRecord> = fc
  .record(
    { sender: text, headers: fc.array(fc.tuple(text, text), { maxLength: 8 }), body, key: text },
    { requiredKeys: ['sender', 'headers', 'body'] },
  )
  .map(({ headers, ...rest }) => ({ ...rest, headers: new Map(headers) }))
const time = fc.integer({ min: 1_600_000_000_000, max: 1_600_000_000_000 + 2 ** 40 })
const packed = (record: Partial<NewRecord>, at = 1_700_000_000_000): PackedRecord =>
  packRecord({ sender: '', headers: new Map(), body: Buffer.alloc(0), ...record }, at)

/** A batch as the broker hands it out: with the offset that it was given. */
const logged = (batch: Buffer, first: bigint): Buffer => {
  const copy = Buffer.from(batch)
  copy.writeBigInt64BE(first, 0)
  return copy
}
/** A batch by another writer, with what only a client that is not ours would write. */
const outside = (
  messages: (Omit<Partial<MessageRecord>, 'headers'> & { headers?: [Buffer | null, Buffer | null][] })[],
  options: { compression?: CompressionAlgorithmValue; attributes?: number } = {},
): Buffer => {
  const records = messages.map(message => ({
    topic: 't',
    partition: 0,
    timestamp: 1_700_000_000_000n,
    ...message,
    // The library writes a null where there is no buffer, whatever its types say.
    value: message.value as Buffer,
    headers: { size: message.headers?.length ?? 0, [Symbol.iterator]: () => (message.headers ?? []).values() },
  })) as unknown as MessageRecord[]
  const batch = Buffer.from(createRecordsBatch(records, { compression: options.compression ?? 'none' }).buffer)
  batch.writeInt16BE(batch.readInt16BE(21) | (options.attributes ?? 0), 21)
  return batch
}

void t.test('what we write is what an independent reader of the format finds', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.tuple(newRecord, time), { minLength: 1, maxLength: 20 }), list => {
        const records = list.map(([record, at]) => packRecord(record, at))
        const bytes = encodeBatch(records, identity)
        const batch = readRecordsBatch(Reader.from(bytes))
        assert.ok(bytes.length <= BATCH_HEAD + records.reduce((sum, each) => sum + batchBytes(each), 0))
        const { producerId, producerEpoch, firstSequence } = batch
        assert.deepEqual({ producerId, producerEpoch, sequence: firstSequence }, identity)
        assert.equal(batch.length, bytes.length - 12)
        assert.equal(batch.lastOffsetDelta, list.length - 1)
        assert.equal(batch.maxTimestamp, BigInt(Math.max(...list.map(([, at]) => at))))
        for (const [index, [record, at]] of list.entries()) {
          const found = batch.records[index]!
          assert.equal(found.offsetDelta, index)
          assert.equal(batch.firstTimestamp + found.timestampDelta, BigInt(at))
          assert.equal(found.key?.toString() ?? '', record.sender)
          assert.ok(found.value?.equals(record.body))
          const ours = record.key === undefined ? [] : [['hb-key', record.key]]
          const names = [...record.headers].map(([name, value]) => [
            name.startsWith('hb-') ? `hb-.${name}` : name,
            value,
          ])
          assert.deepEqual(
            found.headers.map(([name, value]) => [name?.toString(), value?.toString()]),
            [...names, ...ours],
          )
        }
      }),
      { numRuns: 200 },
    ),
  )
})

void t.test('what we write we read', async t => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.tuple(newRecord, time), { minLength: 1, maxLength: 20 }), fc.nat(25), (list, skip) => {
        const batch = encodeBatch(
          list.map(([record, at]) => packRecord(record, at)),
          identity,
        )
        const from = 100n + BigInt(skip)
        const { records, next, unreadable } = decodeBatches(logged(batch, 100n), from)
        const end = 100n + BigInt(list.length)
        assert.equal(next, from > end ? from : end)
        assert.equal(unreadable, 0)
        const expected = list.slice(skip)
        assert.equal(records.length, expected.length)
        for (const [index, [record, at]] of expected.entries()) {
          const found = records[index]!
          assert.equal(found.offset, from + BigInt(index))
          assert.equal(found.time, at)
          assert.equal(found.sender, record.sender)
          assert.deepEqual([...found.headers], [...record.headers])
          assert.ok(found.body.equals(record.body))
        }
      }),
      { numRuns: 200 },
    ),
  )
})

void t.test('batches by another writer, compressed in every way there is', async t => {
  const messages = ['one', 'two', 'three'].map(value => ({
    key: Buffer.from('bob'),
    value: Buffer.from(value.repeat(50)),
  }))
  for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const) {
    const { records } = decodeBatches(logged(outside(messages, { compression }), 5n), 6n)
    t.same(
      records.map(({ offset, sender, body }) => [offset, sender, body.toString()]),
      [6n, 7n].map((offset, index) => [offset, 'bob', ['two', 'three'][index]!.repeat(50)]),
      compression,
    )
  }
})

void t.test('what is null, malformed or ours does not reach a reader; the rest of the record does', async t => {
  const bad = Buffer.from([0x61, 0xff, 0xfe])
  const value = Buffer.from('v')
  const batch = outside([
    { value },
    {
      key: bad,
      headers: [
        [bad, value],
        [Buffer.from('a'), bad],
        [Buffer.from('b'), null],
        [null, value],
      ],
    },
    {
      key: Buffer.from('\ufffd'),
      value,
      headers: [
        [Buffer.from('twice'), Buffer.from('first')],
        [Buffer.from('twice'), Buffer.from('second')],
        [Buffer.from('hb-key'), value],
        [Buffer.from('hb-later'), value],
        [Buffer.from('hb-.hb-key'), value],
        [Buffer.from('destination'), value],
        [Buffer.from('\ufffd'), Buffer.from('\ufffd')],
        [Buffer.alloc(0), Buffer.alloc(0)],
      ],
    },
  ])
  const { records, unreadable } = decodeBatches(batch, 0n)
  t.equal(unreadable, 0)
  t.same(
    records.map(({ sender, body, headers }) => [sender, body.toString(), [...headers]]),
    [
      ['', 'v', []],
      ['', '', []],
      [
        '\ufffd',
        'v',
        [
          ['twice', 'first'],
          ['hb-key', 'v'],
          ['destination', 'v'],
          ['\ufffd', '\ufffd'],
          ['', ''],
        ],
      ],
    ],
  )
})

void t.test('the time is the record’s own, or the log’s where the log sets it', async t => {
  const records = [packed({}, 1_700_000_000_500), packed({}, 1_700_000_000_100), packed({}, 1_700_000_000_900)]
  const batch = encodeBatch(records, identity)
  const times = (bytes: Buffer): number[] => decodeBatches(bytes, 0n).records.map(({ time }) => time)
  t.same(times(batch), [1_700_000_000_500, 1_700_000_000_100, 1_700_000_000_900])
  batch.writeInt16BE(0b1000, 21)
  t.same(times(batch), [1_700_000_000_900, 1_700_000_000_900, 1_700_000_000_900])
})

void t.test('control batches and what cannot be read are passed over, and the offsets go on behind them', async t => {
  const good = (first: bigint): Buffer => logged(encodeBatch([packed({ body: Buffer.from('good') })], identity), first)
  const control = logged(outside([{ value: Buffer.alloc(6) }], { attributes: 0b110000 }), 11n)
  const unknown = logged(outside([{ value: Buffer.alloc(6) }], { attributes: 0b111 }), 12n)
  const broken = logged(outside([{ value: Buffer.alloc(6) }], { attributes: 0b001 }), 13n)
  const noLength = logged(encodeBatch([packed({})], identity), 14n)
  noLength[BATCH_HEAD] = 1
  const tooLong = logged(encodeBatch([packed({ body: Buffer.alloc(9) })], identity), 15n)
  tooLong[BATCH_HEAD + 5] = 126
  const all = Buffer.concat([good(10n), control, unknown, broken, noLength, tooLong, good(20n), control])
  const { records, next, unreadable } = decodeBatches(all, 0n)
  t.same(
    records.map(({ offset }) => offset),
    [10n, 20n],
  )
  t.equal(unreadable, 4)
  t.equal(next, 12n, 'that of the last batch, here out of order')
  t.same(decodeBatches(control, 11n), { records: [], next: 12n, unreadable: 0 })
  t.same(decodeBatches(control, 15n), { records: [], next: 15n, unreadable: 0 })
})

void t.test('limits: so many records, so many bytes, at least one', async t => {
  const records = Array.from({ length: 10 }, () => packed({ body: Buffer.alloc(1000) }))
  const bytes = Buffer.concat([0n, 10n, 20n].map(first => logged(encodeBatch(records, identity), first)))
  const read = (records: number, bytesLeft: number, from = 0n) => {
    const page = decodeBatches(bytes, from, { records, bytes: bytesLeft })
    return [page.records.length, page.next]
  }
  t.same(read(3, 1e6), [3, 3n])
  t.same(read(10, 1e6), [10, 10n])
  t.same(read(14, 1e6), [14, 14n])
  t.same(read(100, 1), [1, 1n])
  t.same(read(100, 2500), [3, 3n])
  t.same(read(100, 1e6, 25n), [5, 30n])
  t.same(read(100, 1e6), [30, 30n])
})

void t.test('bytes that are cut off or not a batch at all do no harm', async t => {
  const batch = logged(encodeBatch([packed({ body: Buffer.from('x') }), packed({})], identity), 5n)
  for (let length = 0; length < batch.length; length++) {
    const cut = Buffer.concat([batch, batch.subarray(0, length)])
    t.equal(decodeBatches(cut, 0n).records.length, 2)
    t.equal(decodeBatches(cut.subarray(0, length), 0n).records.length, 0)
  }
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(batch.length - 1), fc.nat(255), (noise, at, byte) => {
        decodeBatches(Buffer.from(noise), 0n)
        const flipped = Buffer.from(batch)
        // The offsets and counts of its head the broker has checked.
        if (at >= BATCH_HEAD) flipped[at] = byte
        const { records } = decodeBatches(flipped, 0n)
        assert.ok(records.length <= 2)
      }),
      { numRuns: 2000 },
    ),
  )
  const negative = Buffer.from(batch)
  negative.writeInt32BE(-12, 8)
  t.same(decodeBatches(negative, 0n), { records: [], next: 0n, unreadable: 0 })
})

void t.test('a batch is found by its number', async t => {
  const numbered = (sequence: number, first: bigint): Buffer =>
    logged(encodeBatch([packed({}), packed({})], { ...identity, sequence }), first)
  const bytes = Buffer.concat([numbered(0, 10n), numbered(2, 12n), numbered(4, 30n)])
  t.same(findBatch(bytes, { ...identity, sequence: 2 }), { offset: 12n })
  t.same(findBatch(bytes, { ...identity, sequence: 6 }), { next: 32n })
  t.same(findBatch(bytes, { ...identity, sequence: 2, producerEpoch: 4 }), { next: 32n })
  t.same(findBatch(bytes, { ...identity, sequence: 2, producerId: 8n }), { next: 32n })
  t.same(findBatch(Buffer.alloc(0), identity), {})
})

void t.test('barriers are passed over, also where only so many records are wanted', async t => {
  const barrier = packBarrier(1_700_000_000_000)
  const message = packed({ body: Buffer.from('message') })
  const bytes = encodeBatch([barrier, message, barrier, barrier, message, barrier], identity)
  const { records, next } = decodeBatches(bytes, 0n)
  t.same(
    records.map(({ offset, body }) => `${offset} ${body.toString()}`),
    ['1 message', '4 message'],
  )
  t.equal(next, 6n)
  t.equal(decodeBatches(bytes, 0n, { records: 1, bytes: 1000 }).next, 2n)
  t.same(decodeBatches(bytes, 5n, { records: 1, bytes: 1000 }), { records: [], next: 6n, unreadable: 0 })
})

void t.test('what is kept of a large answer does not keep all of it in memory', async t => {
  const batch = encodeBatch(
    ['one', 'two'].map(text => packed({ body: Buffer.from(text) })),
    identity,
  )
  const answer = Buffer.alloc(1 << 20)
  batch.copy(answer)
  const { records } = decodeBatches(answer.subarray(0, batch.length), 0n)
  t.same(
    records.map(({ offset, body }) => `${offset} ${body.toString()}`),
    ['0 one', '1 two'],
  )
  for (const { body } of records) t.ok(body.buffer.byteLength < 10)
  const large = encodeBatch([packed({ body: Buffer.alloc(1 << 20) })], identity)
  t.equal(decodeBatches(large, 0n).records[0]!.body.buffer, large.buffer, 'what is most of it is not copied')
})

void t.test('what was written with keys is found, with its time and sender', async t => {
  const keyed = (key: string, sender: string, at: number): PackedRecord =>
    packed({ key, sender, headers: new Map([['a', 'b']]), body: Buffer.alloc(100) }, at)
  const first = logged(
    encodeBatch([keyed('k', '앤', 5), packed({ body: Buffer.from('k') }), keyed('l', '', 3)], identity),
    10n,
  )
  const control = logged(outside([{ value: Buffer.alloc(6) }], { attributes: 0b110000 }), 13n)
  const unreadable = logged(outside([{ value: Buffer.alloc(6) }], { attributes: 0b111 }), 14n)
  const nulls = logged(outside([{ value: Buffer.alloc(6), headers: [[Buffer.from('hb-key'), null]] }]), 15n)
  const second = logged(encodeBatch([keyed('m', 'x', 7), keyed('n', 'x', 8)], identity), 16n)
  const all = Buffer.concat([first, control, unreadable, nulls, second])
  const found = (from: bigint, to: bigint) => {
    const { keyed, next } = findKeyed(all, from, to)
    return [keyed.map(({ offset, time, sender, key }) => `${offset} ${time} ${sender} ${key}`), next]
  }
  t.same(found(0n, 100n), [['10 5 앤 k', '12 3  l', '16 7 x m', '17 8 x n'], 18n])
  t.same(found(12n, 17n), [['12 3  l', '16 7 x m'], 18n])
  t.same(found(11n, 12n), [[], 12n])
  t.same(found(18n, 100n), [[], 18n])
  t.same(findKeyed(all.subarray(0, 50), 10n, 100n), { keyed: [], next: 10n })
})

void t.test('topics: every room has its own, Kafka takes each name, and holds no two for the same', async t => {
  const characters = [...'abcXYZ019._-/:']
  const room = fc.string({ unit: fc.constantFrom(...characters), minLength: 1, maxLength: 120 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(room, room, (one, other) => {
        const topic = topicOf(one)
        assert.match(topic, /^room\.[A-Za-z0-9.-]+$/)
        assert.ok(topic.length <= 249)
        assert.ok(isRoomTopic(topic))
        assert.equal(topic === topicOf(other), one === other)
      }),
    ),
  )
  t.equal(topicOf('a.b-c_d/e:f'), 'room.a.b--c-ud-se-cf')
  t.notOk(isRoomTopic('__consumer_offsets'))
  const configs = new Map(
    topicConfigs({ retentionMs: -1, logTimeout: 15_000, replication: 1 }).map(({ name, value }) => [name, value]),
  )
  t.equal(configs.get('message.timestamp.before.max.ms'), '15000')
  t.equal(configs.get('min.insync.replicas'), '1')
})
