import t from 'tap'
import fc from 'fast-check'
import type { HoofbeatError } from '../errors.ts'
import type { LogRecord } from '../ports/room-log.ts'
import { bare, type Framing } from '../stomp/framing.ts'
import type { Version } from '../stomp/frame.ts'
import { fanOut, turns } from '../testkit/fan.ts'
import { readFrames } from '../testkit/reader.ts'
import { Batch, batchesOf, sizeOf } from './batch.ts'
import { destinationOf, messageId, parseDestination, parseMessageId } from './destination.ts'
import { isReserved } from './reserved.ts'
import { Styles, type Look } from './style.ts'

const look: Look = { version: '1.2', framing: bare, subscription: 'sub-0', acks: false }
const styleOf = (part: Partial<Look> = {}, users = 1): ReturnType<Styles['take']> => {
  const styles = new Styles()
  for (let i = 1; i < users; i++) styles.take({ ...look, ...part })
  return styles.take({ ...look, ...part })
}
const record = (part: Partial<LogRecord> & { offset: bigint }): LogRecord => ({
  time: 1700000000000,
  sender: 'ann',
  headers: new Map(),
  body: Buffer.from('hello'),
  ...part,
})
const batchOf = (...records: Partial<LogRecord>[]): Batch =>
  new Batch(
    'general',
    'e1',
    records.map((part, i) => record({ offset: BigInt(i), ...part })),
  )
const text = (batch: Batch, part: Partial<Look> = {}): string => batch.bytes(styleOf(part)).toString()

// ── What is in a MESSAGE ──

void t.test('a MESSAGE, in every version and ack mode', async t => {
  const headers = new Map([['content-type', 'text/plain']])
  const batch = batchOf({ headers }, { offset: 7n, sender: '', body: Buffer.alloc(0) })
  t.equal(
    text(batch),
    'MESSAGE\nsubscription:sub-0\ndestination:/topic/general\nmessage-id:e1-0\ntimestamp:1700000000000\nsender:ann\n' +
      'content-type:text/plain\ncontent-length:5\n\nhello\0' +
      'MESSAGE\nsubscription:sub-0\ndestination:/topic/general\nmessage-id:e1-7\ntimestamp:1700000000000\n' +
      'content-length:0\n\n\0',
  )
  for (const version of ['1.0', '1.1', '1.2'] as const) {
    const [frame] = readFrames(batch.bytes(styleOf({ version, acks: true, subscription: 'my sub' })))
    t.equal(frame!.headers.get('ack'), 'e1-0@my sub')
    t.equal(frame!.headers.get('subscription'), 'my sub')
  }
  const [nameless] = readFrames(batch.bytes(styleOf({ version: '1.0', subscription: undefined, acks: true })))
  t.equal(nameless!.headers.has('subscription'), false)
  t.equal(nameless!.headers.get('ack'), 'e1-0@')
  t.match(text(batch, { subscription: 'a:b' }), '\nsubscription:a\\cb\n')
  t.match(text(batch, { subscription: 'a:b', acks: true }), '\nack:e1-0@a\\cb\n')
  t.match(text(batch, { subscription: 'a:b', acks: true, version: '1.0' }), '\nack:e1-0@a:b\n')
  t.notMatch(text(batch, { subscription: 'a\0', acks: true }), /ack:|subscription:/)
  const colon = new Batch('a:b', 'e1', [record({ offset: 0n })])
  t.match(text(colon), '\ndestination:/topic/a\\cb\n')
  t.match(text(colon, { version: '1.0' }), '\ndestination:/topic/a:b\n')
})

void t.test(
  '[checklist 44] a header of a sender or an outsider cannot forge one of ours or break a frame, in any version',
  async t => {
    const names = ['destination', 'subscription', 'message-id', 'content-length', 'timestamp', 'sender', 'ack', 'id']
    names.push('receipt', 'receipt-id', 'transaction', 'idempotency-key', 'recovered', 'first', 'sender-name', 'erased')
    const forged = names.flatMap(name => [name, ` ${name}`, `${name} `, `\t${name}`, `\u00a0${name}`])
    for (const name of forged) t.equal(isReserved(name), true, name)
    const headers = new Map(forged.map(name => [name, 'forged']))
    headers.set('Sender', 'another header').set('x', 'a\n\nb\0')
    headers.set('y\nack', 'z').set('y\rack', 'z').set('', 'nothing').set('z', 'MESSAGE\n\n\0')
    for (const version of ['1.0', '1.1', '1.2'] as const) {
      const frames = readFrames(batchOf({ headers, sender: '' }, {}).bytes(styleOf({ version })))
      t.equal(frames.length, 2)
      t.notOk(frames[0]!.lines.some(line => line.includes('forged')))
      t.equal(frames[0]!.headers.get('Sender'), 'another header')
      for (const name of ['sender', 'sender-name', 'erased']) t.equal(frames[0]!.headers.has(name), false)
      t.equal(frames[0]!.lines.filter(line => /^\s*ack/.test(line)).length, 0)
      t.equal(frames[0]!.body.toString(), 'hello')
    }
  },
)

void t.test('[S-75] a sender has one name, and nobody has none', async t => {
  const headers = new Map([
    [' sender-name', 'forged'],
    ['sender-name', 'Ann'],
  ])
  const [frame] = readFrames(batchOf({ headers }).bytes(styleOf()))
  t.same(
    frame!.lines.filter(line => line.includes('name')),
    ['sender-name:Ann'],
  )
})

void t.test('property: any headers and any body give one frame a record, with the body as it was', async t => {
  const version = fc.constantFrom<Version>('1.0', '1.1', '1.2')
  const unit = fc.constantFrom('a', 'ack', ':', '\n', '\r', '\0', '\\', ' ', '한', '🐎', '\ud800')
  const header = fc.tuple(fc.string({ unit, maxLength: 12 }), fc.string({ unit, maxLength: 12 }))
  const part = fc.record({
    sender: fc.string({ unit, maxLength: 8 }),
    headers: fc.array(header, { maxLength: 5 }).map(entries => new Map(entries)),
    body: fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes)),
  })
  fc.assert(
    fc.property(
      version,
      fc.boolean(),
      fc.array(part, { minLength: 1, maxLength: 5 }),
      fc.nat(4),
      (version, acks, parts, from) => {
        const batch = batchOf(...parts)
        const start = Math.min(from, parts.length - 1)
        const bytes = batch.slice(styleOf({ version, acks }), start, parts.length, 'recovered:true\n')
        const frames = readFrames(bytes)
        if (frames.length !== parts.length - start) throw new Error(`${frames.length} frames`)
        for (const [i, { headers, body }] of frames.entries()) {
          if (!body.equals(parts[start + i]!.body)) throw new Error('another body')
          if (headers.get('message-id') !== `e1-${start + i}`) throw new Error('another id')
          if (headers.has('recovered') !== (i === 0)) throw new Error('recovered')
          if (headers.has('ack') !== acks) throw new Error('ack')
        }
      },
    ),
  )
  t.pass('all of them')
})

void t.test('a transport is told of each frame whether all of it is UTF-8', async t => {
  const written: { length: number; text: boolean }[] = []
  const framing: Framing = {
    overhead: () => 3,
    write: (target, at, length, text) => {
      written.push({ length, text })
      target.write('<->', at)
      return at + 3
    },
  }
  const batch = batchOf(
    { body: Buffer.from('한국') },
    { body: Buffer.from([0xff, 0]) },
    { body: Buffer.from([0xed, 0xa0, 0x80]) },
  )
  const bytes = batch.bytes(styleOf({ framing }))
  t.same(
    written.map(({ text }) => text),
    [true, false, false],
  )
  let at = 0
  for (const { length } of written) {
    t.equal(bytes.toString('latin1', at, at + 3), '<->')
    t.equal(readFrames(bytes.subarray(at + 3, at + 3 + length)).length, 1)
    at += 3 + length
  }
  t.equal(at, bytes.length)
})

// ── Who shares what ──

void t.test('subscriptions of one style share the very bytes; each version is encoded once', async t => {
  const fan = fanOut()
  const same = await Promise.all([fan.join('room'), fan.join('room'), fan.join('room')])
  const other = await fan.join('room', 'now', { look: { subscription: 'other' } })
  const acks = await fan.join('room', 'now', { window: 9 })
  await turns()
  let encoded = 0
  class Counted extends Map<string, string> {
    override *[Symbol.iterator](): MapIterator<[string, string]> {
      encoded++
      yield ['x', 'y']
    }
  }
  fan.log.put('room', { headers: new Counted(), body: Buffer.from('1') })
  fan.log.put('room', { body: Buffer.from('2') })
  fan.log.show('room')
  const [first, ...rest] = same.map(({ reader }) => reader.pushed[0]!)
  for (const bytes of rest) t.equal(bytes, first)
  t.not(other.reader.pushed[0], first)
  t.not(acks.reader.pushed[0], first)
  for (const { reader } of [...same, other, acks]) t.same(reader.bodies, ['1', '2'])
  const sizing = 2
  t.equal(encoded, sizing + 1, 'its headers were gone through for its size, and encoded once')
  // Whoever comes back gets the same bytes from memory.
  const back = await fan.join('room', { after: { epoch: fan.log.rooms.get('room')!.epoch, offset: -1n } })
  await turns()
  t.equal(back.reader.pushed[0], first)
})

void t.test('all that share bytes have them while it is live; later the most common styles do', async t => {
  const styles = new Styles()
  const shared = Array.from({ length: 7 }, (_, i) => {
    const wanted = { ...look, subscription: `s${i}` }
    for (let users = 0; users <= i; users++) styles.take(wanted)
    return styles.take(wanted)
  })
  const single = styles.take({ ...look, subscription: 'single' })
  const batch = batchOf({}, {})
  let grown = batch.size
  batch.grew = bytes => (grown += bytes)
  const before = shared.map(style => batch.bytes(style))
  t.not(batch.bytes(single), batch.bytes(single), 'what one has is not kept')
  for (const [i, style] of shared.entries()) t.equal(batch.bytes(style), before[i])
  batch.settle()
  for (const [i, style] of shared.entries()) t.equal(batch.bytes(style) === before[i], i >= 3, `s${i}`)
  t.equal(batch.size, grown)
})

void t.test('a style is kept as long as someone has it', async t => {
  const styles = new Styles()
  const looks: Look[] = [
    look,
    { ...look, acks: true },
    { ...look, version: '1.1' },
    { ...look, subscription: '' },
    { ...look, subscription: undefined },
    { ...look, framing: { ...bare } },
  ]
  const taken = looks.map(each => styles.take(each))
  t.equal(new Set(taken).size, looks.length)
  t.equal(styles.take(look), taken[0])
  styles.release(taken[0]!)
  t.equal(styles.take(look), taken[0])
  styles.release(taken[0]!)
  for (const style of taken) styles.release(style)
  for (const [i, each] of looks.entries()) t.not(styles.take(each), taken[i], 'it was let go')
})

// ── Batches ──

void t.test('records are cut into batches of a good size, in order, all of them', async t => {
  const cut = (sizes: number[], headers = new Map<string, string>()): number[] => {
    const records = sizes.map((size, i) => record({ offset: BigInt(i), body: Buffer.alloc(size), headers }))
    const batches = [...batchesOf('general', 'e1', records)]
    const all = batches.flatMap(batch => batch.records)
    t.ok(all.length === records.length && all.every((each, i) => each === records[i]))
    return batches.map(batch => batch.records.length)
  }
  t.same(cut([]), [])
  t.same(cut([5]), [1])
  t.same(cut(Array.from({ length: 300 }, () => 1)), [128, 128, 44])
  t.same(cut([1_000_000, 1, 1, 1_000_000, 40_000, 40_000]), [1, 2, 1, 1, 1])
  t.same(cut([1, 1, 1], new Map([['x', 'y'.repeat(60_000)]])), [1, 1, 1], 'headers take memory too')
  const one = [record({ offset: 0n })]
  t.equal([...batchesOf('general', 'e1', one)][0]!.records, one, 'not copied where it need not be')
  t.ok(sizeOf([record({ offset: 0n, headers: new Map([['x', 'y'.repeat(5000)]]) })], 0, 1) > 5000)
})

void t.test('a place in a batch that has gaps', async t => {
  const batch = batchOf({ offset: 3n }, { offset: 7n }, { offset: 8n })
  t.same([batch.first, batch.next], [3n, 9n])
  t.same(
    [0n, 3n, 4n, 7n, 8n, 9n, 99n].map(offset => batch.indexOf(offset)),
    [0, 0, 1, 1, 2, 3, 3],
  )
})

// ── Destinations and ids ──

void t.test('destinations', async t => {
  for (const room of ['general', 'a/b:c.d-e_F', 'r'.repeat(120)]) {
    t.same(parseDestination(destinationOf(room)), { kind: 'room', room })
  }
  t.same(parseDestination('/user/queue/session'), { kind: 'queue', queue: 'session' })
  t.same(parseDestination('/session/renew'), { kind: 'renew' })
  const long = 'r'.repeat(121)
  for (const bad of [
    '',
    'general',
    '/topic/',
    `/topic/${long}`,
    '/topic/a b',
    '/topic/a\n',
    '/topic/ä',
    '/queue/a',
    '/user/queue/x',
  ]) {
    t.throws(() => parseDestination(bad), { code: 'BAD_DESTINATION' }, bad)
  }
  try {
    parseDestination('x'.repeat(10_000))
  } catch (error) {
    t.ok((error as HoofbeatError).message.length < 400, 'a long one is not repeated whole')
  }
})

void t.test('message-ids', async t => {
  t.equal(messageId('e1', 42n), 'e1-42')
  t.same(parseMessageId('e1-42'), { epoch: 'e1', offset: 42n })
  t.same(parseMessageId(`${'a'.repeat(64)}-${'9'.repeat(19)}`), { epoch: 'a'.repeat(64), offset: 9999999999999999999n })
  for (const bad of ['', '-1', 'e1', 'e1-', 'e1--1', 'e1-1x', 'e1-0x1', 'e 1-1', `e1-${'9'.repeat(20)}`, 'e1-1\n']) {
    t.equal(parseMessageId(bad), undefined, JSON.stringify(bad))
  }
})
