import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { ErrorCode } from '../errors.ts'
import type { Driver } from './driver.ts'
import type { LogRecord, NewRecord, Offset, Position, RoomId, RoomLog, Sink, Tail } from './room-log.ts'

/** What a test asks of a driver; what is absent, the driver's own test chooses. */
interface ContractOpening {
  readonly roomsMax?: number
  /** ms */
  readonly idempotencyWindow?: number
  /** The driver's clock for `idempotencyWindow`, epoch ms. */
  readonly now?: () => number
}

/**
 * Opens the driver on the log that every call of one run shares: what one driver wrote, the next one finds. The suite
 * closes each driver, and has only one open at a time unless `shared` is set.
 */
export type OpenForContract = (opening?: ContractOpening) => Promise<Driver<RoomLog>>

export interface ContractOptions {
  /** The driver has a clock of its own for the window of its idempotency keys, which `ContractOpening.now` sets. */
  readonly clock?: boolean
  /** Several drivers can have the log open at once, as nodes of a fleet do. */
  readonly shared?: boolean
  /** Makes the offsets of `room` skip at least one number after its newest record. */
  readonly gap?: (room: RoomId) => Promise<void>
}

interface Opened {
  readonly driver: Driver<RoomLog>
  readonly log: RoomLog
  readonly close: () => Promise<void>
}

const MiB = 1024 * 1024

/** A room that no other test and no earlier run knows: the log may be shared and outlive the run. */
const newRoom = (): RoomId => `contract-${randomBytes(8).toString('hex')}`
const record = (text: string, more: Partial<NewRecord> = {}): NewRecord => ({
  sender: 'ann',
  headers: new Map(),
  body: Buffer.from(text),
  ...more,
})
const numbered = (count: number, from = 0): string[] => Array.from({ length: count }, (_, i) => `m${from + i}`)
const bodies = (records: readonly LogRecord[]): string[] => records.map(each => each.body.toString())
const offsets = (records: readonly { offset: Offset }[]): Offset[] => records.map(each => each.offset)
const increasing = (list: readonly Offset[]): boolean => list.every((offset, i) => i === 0 || offset > list[i - 1]!)
/** A copy that shares no memory with the record, to be compared with `t.same`. */
const copied = (each: LogRecord) => ({
  offset: each.offset,
  time: each.time,
  sender: each.sender,
  headers: [...each.headers],
  body: Buffer.from(each.body).toString('latin1'),
})

/** A sink that keeps all it is given, and says when there is enough of it. */
const collector = (onRecords: (batch: readonly LogRecord[]) => void = () => {}) => {
  const batches: (readonly LogRecord[])[] = []
  const records: LogRecord[] = []
  const ended = Promise.withResolvers<Error | undefined>()
  let ends = 0
  const waiting = new Set<{ enough: () => boolean; resolve: () => void }>()
  const sink: Sink = {
    records(batch) {
      batches.push(batch)
      records.push(...batch)
      for (const waiter of waiting) if (waiter.enough() && waiting.delete(waiter)) waiter.resolve()
      onRecords(batch)
    },
    end(error) {
      ends++
      ended.resolve(error)
    },
  }
  const until = async (enough: () => boolean): Promise<LogRecord[]> => {
    if (!enough()) await new Promise<void>(resolve => waiting.add({ enough, resolve }))
    return records
  }
  return {
    sink,
    batches,
    records,
    ended: ended.promise,
    ends: () => ends,
    count: (count: number) => until(() => records.length >= count),
    offset: (offset: Offset) => until(() => records.some(each => each.offset >= offset)),
  }
}

/** Everything from `from` on, page by page, up to and without `before`. */
const readAll = async (log: RoomLog, room: RoomId, from: Offset = 0n, before?: Offset, limit = 100) => {
  const all: LogRecord[] = []
  for (let next = from; ; next = all.at(-1)!.offset + 1n) {
    const page = (await log.read(room, next, limit)).filter(each => before === undefined || each.offset < before)
    if (page.length === 0) return all
    all.push(...page)
  }
}

const append = async (log: RoomLog, room: RoomId, text: string, more?: Partial<NewRecord>): Promise<Position> =>
  (await log.append(room, [record(text, more)]))[0]!

type Opener = (t: Test, opening?: ContractOpening) => Promise<Opened>
/** Opens, and closes after the test, or before. */
const opener =
  (open: OpenForContract): Opener =>
  async (t, opening) => {
    const driver = await open(opening)
    let closing: Promise<void> | undefined
    const close = (): Promise<void> => (closing ??= driver.close())
    t.teardown(close)
    return { driver, log: driver.port, close }
  }
const room = async (log: RoomLog): Promise<RoomId> => {
  const name = newRoom()
  await log.create([name])
  return name
}

/** The one suite that every driver of RoomLog passes. */
export function roomLogContract(t: Test, open: OpenForContract, options: ContractOptions = {}): void {
  const opened = opener(open)
  const refused = async (t: Test, code: ErrorCode, promise: Promise<unknown>, name: string = code): Promise<void> => {
    await t.rejects(promise, { name: 'HoofbeatError', code }, name)
  }
  /** The test itself, on a driver that is open and a room that is new. */
  const test = (name: string, body: (t: Test, log: RoomLog, room: RoomId, opened: Opened) => Promise<void>): void =>
    void t.test(name, async t => {
      const open = await opened(t)
      await body(t, open.log, await room(open.log), open)
    })

  test('the order of append calls is the order of the records', async (t, log, a) => {
    const others = await Promise.all([room(log), room(log), room(log)])
    const rooms = [a, ...others]
    const texts = numbered(300)
    const appends = texts.map(text => rooms.map(each => append(log, each, text)))
    for (const [i, each] of rooms.entries()) {
      const positions = await Promise.all(appends.map(list => list[i]!))
      const kept = await readAll(log, each)
      t.same(bodies(kept), texts)
      t.same(offsets(kept), offsets(positions))
      t.ok(increasing(offsets(positions)))
    }
  })

  test('what append resolved with is there at once, for read, bounds and a tail', async (t, log, a) => {
    for (const text of numbered(20)) {
      const { offset, epoch } = await append(log, a, text)
      const bounds = await log.bounds(a)
      t.ok(bounds.next > offset)
      t.equal(bounds.epoch, epoch)
      t.same(bodies(await log.read(a, offset, 10)), [text])
      const seen = collector()
      const tail = await log.tail(a, offset, seen.sink)
      t.equal(tail.next, offset)
      t.same(bodies(await seen.count(1)), [text])
      tail.stop()
    }
  })

  void t.test('what append resolved with is there when the log is opened again', async t => {
    const first = await opened(t)
    const a = await room(first.log)
    const positions = await Promise.all(numbered(50).map(text => append(first.log, a, text)))
    const before = await first.log.bounds(a)
    const kept = (await readAll(first.log, a)).map(copied)
    await first.close()
    const { log } = await opened(t)
    t.same(await log.bounds(a), before)
    t.same((await readAll(log, a)).map(copied), kept)
    const { offset, epoch } = await append(log, a, 'after')
    t.ok(offset > positions.at(-1)!.offset)
    t.equal(epoch, positions[0]!.epoch)
  })

  test('records of one append get their places in order', async (t, log, a) => {
    const many = numbered(40)
    const [positions] = await Promise.all([
      log.append(
        a,
        many.map(text => record(text)),
      ),
      append(log, a, 'other'),
    ])
    t.equal(positions.length, 40)
    t.ok(increasing(offsets(positions)))
    const kept = await readAll(log, a)
    t.same(bodies(kept), [...many, 'other'])
    t.same(offsets(kept.slice(0, 40)), offsets(positions))
  })

  test('records of one append that do not fit together are all refused', async (t, log, a) => {
    const large = Array.from({ length: 5 }, () => record('x'.repeat(MiB)))
    const results = await Promise.allSettled([append(log, a, 'before'), log.append(a, large), append(log, a, 'after')])
    t.same(
      results.map(result => result.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    await refused(t, 'FRAME_TOO_LARGE', log.append(a, large))
    t.same(bodies(await readAll(log, a)), ['before', 'after'])
  })

  test("a tail from 'end' has what is appended after it resolved, and nothing before", async (t, log, a) => {
    await append(log, a, 'old')
    const seen = collector()
    const tail = await log.tail(a, 'end', seen.sink)
    t.equal(tail.next, (await log.bounds(a)).next)
    const positions = await Promise.all(numbered(20).map(text => append(log, a, text)))
    t.same(bodies(await seen.count(20)), numbered(20))
    t.same(offsets(seen.records), offsets(positions))
    t.equal(tail.epoch, positions[0]!.epoch)
  })

  test('a tail from an offset has the records from there on, then the new ones', async (t, log, a) => {
    const positions = await Promise.all(numbered(10).map(text => append(log, a, text)))
    const seen = collector()
    const tail = await log.tail(a, positions[3]!.offset, seen.sink)
    t.equal(tail.next, positions[3]!.offset)
    await append(log, a, 'new')
    t.same(bodies(await seen.count(8)), [...numbered(7, 3), 'new'])
  })

  test('a tail from the end as an offset waits for the next record', async (t, log, a) => {
    await append(log, a, 'old')
    const { next } = await log.bounds(a)
    const seen = collector()
    t.equal((await log.tail(a, next, seen.sink)).next, next)
    await append(log, a, 'new')
    t.same(bodies(await seen.count(1)), ['new'])
  })

  test('a tail from beyond the end starts at the earliest', async (t, log, a) => {
    await Promise.all(numbered(3).map(text => append(log, a, text)))
    const { first, next } = await log.bounds(a)
    const seen = collector()
    t.equal((await log.tail(a, next + 1000n, seen.sink)).next, first)
    t.same(bodies(await seen.count(3)), numbered(3))
  })

  test('read and tail of a room without records', async (t, log, a) => {
    const { first, next } = await log.bounds(a)
    t.equal(first, next)
    t.same(await log.read(a, 0n, 10), [])
    const seen = collector()
    await log.tail(a, 0n, seen.sink)
    await append(log, a, 'first')
    t.same(bodies(await seen.count(1)), ['first'])
  })

  test('a tail that starts while appends pour in, and what is read before it, make the whole', async (t, log, a) => {
    const texts = numbered(600)
    const seen = collector()
    const whole = collector()
    const appends: Promise<Position>[] = []
    let tail: Tail | undefined
    let starting: Promise<unknown> | undefined
    for (const [i, text] of texts.entries()) {
      appends.push(append(log, a, text))
      if (i % 50 === 49) await appends[i - 25]
      if (i === 300) {
        starting = Promise.all([
          log.tail(a, 'end', seen.sink).then(started => (tail = started)),
          log.tail(a, 0n, whole.sink),
        ])
      }
    }
    await Promise.all([...appends, starting])
    const last = (await appends.at(-1)!).offset
    const read = await readAll(log, a, 0n, tail!.next)
    await (tail!.next <= last && seen.offset(last))
    t.same(bodies([...read, ...seen.records]), texts)
    t.same(bodies(await whole.offset(last)), texts)
  })

  test('what a tail delivers is what read answers, whoever reads', async (t, log, a) => {
    const [one, two, late] = [collector(), collector(), collector()]
    await log.tail(a, 'end', one.sink)
    await log.tail(a, 0n, two.sink)
    await Promise.all(numbered(30).map((text, i) => append(log, a, text, { sender: `s${i}` })))
    await log.tail(a, 0n, late.sink)
    const read = (await readAll(log, a)).map(copied)
    t.ok(read.every(each => Number.isSafeInteger(each.time) && each.time > 1_600_000_000_000))
    for (const seen of [one, two, late]) t.same((await seen.count(30)).map(copied), read)
  })

  test('read gives at most limit records, and at least one where there is any', async (t, log, a) => {
    await log.append(
      a,
      numbered(50).map(text => record(text)),
    )
    t.equal((await log.read(a, 0n, 1)).length, 1)
    t.ok((await log.read(a, 0n, 7)).length <= 7)
    t.same(bodies(await readAll(log, a, 0n, undefined, 7)), numbered(50))
    t.same(await log.read(a, (await log.bounds(a)).next, 10), [])
    t.same(await log.read(a, (await log.bounds(a)).next + 1000n, 10), [])
  })

  test('read gives about 1 MiB at a time', async (t, log, a) => {
    for (let i = 0; i < 6; i++) await append(log, a, `${i}`.repeat(MiB / 2))
    const page = await log.read(a, 0n, 100)
    t.ok(page.length >= 1 && page.length <= 4, `${page.length} records of 512 KiB`)
    t.same(
      bodies(await readAll(log, a)).map(text => text[0]),
      ['0', '1', '2', '3', '4', '5'],
    )
  })

  test('bounds and epoch', async (t, log, a) => {
    const empty = await log.bounds(a)
    t.match(empty.epoch, /^[A-Za-z0-9]+$/)
    const positions = await Promise.all(numbered(5).map(text => append(log, a, text)))
    const { epoch, first, next } = await log.bounds(a)
    t.equal(epoch, empty.epoch)
    t.same(new Set(positions.map(position => position.epoch)), new Set([epoch]))
    t.ok(first <= positions[0]!.offset)
    t.ok(next > positions[4]!.offset)
    t.not((await log.bounds(await room(log))).epoch, epoch)
  })

  test('a room that is removed and made again has another epoch and none of its records', async (t, log, a) => {
    const seen = collector()
    const old = await append(log, a, 'old')
    await log.tail(a, 0n, seen.sink)
    await seen.count(1)
    await log.remove(a)
    t.match(await seen.ended, { code: 'NO_SUCH_ROOM' })
    await refused(t, 'NO_SUCH_ROOM', log.bounds(a))
    await log.create([a])
    t.same(await log.read(a, 0n, 10), [])
    const anew = await append(log, a, 'new')
    t.not(anew.epoch, old.epoch)
    t.equal((await log.bounds(a)).epoch, anew.epoch)
    t.same(bodies(await readAll(log, a)), ['new'])
    t.same(bodies(seen.records), ['old'])
    t.equal(seen.ends(), 1)
  })

  test('a room removed under traffic: each append settles, and what comes after is a new life', async (t, log, a) => {
    const other = await room(log)
    const early = numbered(50).map(text => append(log, a, text))
    const removed = log.remove(a)
    const late = numbered(50, 50).map(text => append(log, a, text))
    const beside = numbered(50).map(text => append(log, other, text))
    for (const result of await Promise.allSettled([...early, ...late])) {
      if (result.status === 'rejected') t.match(result.reason, { name: 'HoofbeatError' })
    }
    await removed
    await Promise.all(beside)
    t.same(bodies(await readAll(log, other)), numbered(50))
    await log.create([a])
    t.same(await log.read(a, 0n, 10), [])
  })

  test('a room can be removed and made again many times', async (t, log, a) => {
    const epochs = new Set<string>()
    for (const text of numbered(5)) {
      await log.create([a])
      epochs.add((await append(log, a, text)).epoch)
      t.same(bodies(await readAll(log, a)), [text])
      await log.remove(a)
    }
    t.equal(epochs.size, 5)
    await log.remove(a)
  })

  test('removing what lies before an offset', async (t, log, a) => {
    const positions = await Promise.all(numbered(10).map(text => append(log, a, text)))
    const seen = collector()
    await log.tail(a, 'end', seen.sink)
    const cut = positions[6]!.offset
    await log.remove(a, cut)
    const { epoch, first } = await log.bounds(a)
    t.equal(epoch, positions[0]!.epoch)
    t.equal(first, cut)
    t.same(bodies(await log.read(a, 0n, 10)), numbered(4, 6), 'read from before the earliest')
    const late = collector()
    t.equal((await log.tail(a, positions[2]!.offset, late.sink)).next, cut, 'tail from before the earliest')
    await append(log, a, 'new')
    t.same(bodies(await late.count(5)), [...numbered(4, 6), 'new'])
    t.same(bodies(await seen.count(1)), ['new'], 'the tail that ran goes on')
    await log.remove(a, positions[1]!.offset)
    t.equal((await log.bounds(a)).first, cut, 'what is gone does not come back')
  })

  test('a room emptied up to its end goes on where it was', async (t, log, a) => {
    const { offset, epoch } = await append(log, a, 'old')
    const { next } = await log.bounds(a)
    await log.remove(a, next)
    t.same(await log.bounds(a), { epoch, first: next, next })
    t.same(await log.read(a, 0n, 10), [])
    t.ok((await append(log, a, 'new')).offset > offset)
    t.same(bodies(await readAll(log, a)), ['new'])
  })

  void t.test('an emptied room keeps its place when the log is opened again', async t => {
    const first = await opened(t)
    const a = await room(first.log)
    const { epoch, offset } = await append(first.log, a, 'old')
    const { next } = await first.log.bounds(a)
    await first.log.remove(a, next)
    await first.close()
    const { log } = await opened(t)
    t.same(await log.bounds(a), { epoch, first: next, next })
    t.ok((await append(log, a, 'new')).offset > offset)
  })

  test('every method but create and remove says NO_SUCH_ROOM', async (t, log) => {
    const none = newRoom()
    await refused(t, 'NO_SUCH_ROOM', append(log, none, 'x'))
    await refused(t, 'NO_SUCH_ROOM', log.read(none, 0n, 1))
    await refused(t, 'NO_SUCH_ROOM', log.bounds(none))
    await refused(t, 'NO_SUCH_ROOM', log.tail(none, 'end', collector().sink))
    await refused(t, 'NO_SUCH_ROOM', log.tail(none, 0n, collector().sink))
    await log.remove(none)
    await log.remove(none, 5n)
    await refused(t, 'NO_SUCH_ROOM', log.bounds(none))
  })

  test('create takes many rooms, leaves alone those that exist, and may be called at once', async (t, log, a) => {
    const kept = await append(log, a, 'kept')
    const [b, c] = [newRoom(), newRoom()]
    await Promise.all([log.create([a, b, c, b]), log.create([c, b, a]), log.create([c])])
    t.equal((await log.bounds(a)).epoch, kept.epoch)
    t.same(bodies(await readAll(log, a)), ['kept'])
    for (const each of [b, c]) await append(log, each, 'x')
    const { epoch } = await log.bounds(b)
    await log.create([b])
    t.equal((await log.bounds(b)).epoch, epoch)
  })

  test('a room name may have every character that is allowed, and no two names are one room', async (t, log, a) => {
    const rooms = [`${a}.b`, `${a}_b`, `${a}/b`, `${a}:b`, `${a}-b`, a.toUpperCase(), `${a}/`, `${a}.${'x'.repeat(94)}`]
    t.equal(rooms.at(-1)!.length, 120)
    await log.create(rooms)
    await Promise.all(rooms.map(each => append(log, each, each)))
    for (const each of rooms) t.same(bodies(await readAll(log, each)), [each])
    t.equal(new Set(await Promise.all(rooms.map(async each => (await log.bounds(each)).epoch))).size, rooms.length)
    t.same(await readAll(log, a), [])
  })

  void t.test('TOO_MANY_ROOMS makes none, and what exists is not in its way', async t => {
    const first = await opened(t)
    const a = await room(first.log)
    await first.close()
    const { log } = await opened(t, { roomsMax: 1 })
    const [b, c] = [newRoom(), newRoom()]
    await refused(t, 'TOO_MANY_ROOMS', log.create([b, c]))
    for (const each of [b, c]) await refused(t, 'NO_SUCH_ROOM', log.bounds(each))
    await log.create([a])
    t.ok(await append(log, a, 'x'))
  })

  test('bodies of 1 MiB', async (t, log, a) => {
    const large = [1, 2, 3].map(() => randomBytes(MiB))
    const seen = collector()
    await log.tail(a, 'end', seen.sink)
    await Promise.all(large.map(body => log.append(a, [record('', { body })])))
    await seen.count(3)
    const read = await readAll(log, a)
    t.equal(read.length, 3)
    for (const [i, body] of large.entries()) {
      t.ok(body.equals(read[i]!.body), 'read')
      t.ok(body.equals(seen.records[i]!.body), 'tailed')
    }
  })

  test('bodies that are empty, binary, or full of NULs', async (t, log, a) => {
    const all = [
      Buffer.alloc(0),
      Buffer.alloc(3),
      Buffer.from('a\0b\0'),
      Buffer.from(Uint8Array.from({ length: 256 }, (_, i) => i)),
      Buffer.from([0xff, 0xfe, 0xc0, 0x80]),
    ]
    const seen = collector()
    await log.tail(a, 'end', seen.sink)
    await log.append(
      a,
      all.map(body => record('', { body })),
    )
    const read = await readAll(log, a)
    await seen.count(all.length)
    for (const [i, body] of all.entries()) {
      t.ok(body.equals(read[i]!.body), 'read')
      t.ok(body.equals(seen.records[i]!.body), 'tailed')
    }
  })

  test('headers and senders of any UTF-8, in their order', async (t, log, a) => {
    const headers = new Map([
      ['z', 'last letter first'],
      ['이름', '홍길동'],
      ['🐎', '🥁\u200d🔥'],
      ['colon:name', 'a:b::c'],
      ['line\nname\r', 'one\ntwo\r\n'],
      ['back\\slash', '\\n\\c'],
      ['  spaced ', '  kept  '],
      ['empty', ''],
      ['__proto__', 'constructor'],
      ['content-type', 'text/plain;charset=utf-8'],
      ['\u{10ffff}\u0001', '\ufeff\u2028'],
      ['long', 'é'.repeat(4000)],
      ['a', 'first letter last'],
    ])
    const many = new Map(numbered(64).map(name => [name, `value of ${name}`]))
    const seen = collector()
    await log.tail(a, 'end', seen.sink)
    const sent = [
      record('1', { headers, sender: '홍 길동 🐎:\n' }),
      record('2', { headers: many, sender: '' }),
      record('3', { sender: 's'.repeat(1000) }),
    ]
    await log.append(a, sent)
    const read = await readAll(log, a)
    await seen.count(3)
    for (const [i, { headers, sender }] of sent.entries()) {
      for (const got of [read[i]!, seen.records[i]!]) {
        t.same([...got.headers], [...headers])
        t.equal(got.sender, sender)
      }
    }
  })

  test('what a sink was given may be kept', async (t, log, a) => {
    const copies: ReturnType<typeof copied>[] = []
    const seen = collector(batch => copies.push(...batch.map(copied)))
    await log.tail(a, 'end', seen.sink)
    for (let round = 0; round < 10; round++) {
      await Promise.all(numbered(10).map(text => append(log, a, `${round} ${text} `.repeat(500))))
    }
    await seen.count(100)
    t.same(seen.batches.flat().map(copied), copies)
    t.same((await readAll(log, a)).map(copied), copies)
  })

  test('after stop() the sink is not called any more, whatever is on its way', async (t, log, a, { close }) => {
    const [stopped, itself, barrier] = [collector(), collector(() => own.stop()), collector()]
    const tail = await log.tail(a, 'end', stopped.sink)
    const own = await log.tail(a, 'end', itself.sink)
    await log.tail(a, 'end', barrier.sink)
    const pending = numbered(100).map(text => append(log, a, text))
    tail.stop()
    await Promise.all(pending)
    await append(log, a, 'barrier')
    await barrier.count(101)
    t.same(bodies(stopped.records), [])
    t.equal(itself.batches.length, 1, 'stopped by its own sink')
    await close()
    t.equal(await barrier.ended, undefined)
    t.equal(stopped.ends() + itself.ends(), 0)
  })

  test('stop() in the midst of reading what is old', async (t, log, a) => {
    await Promise.all(numbered(200).map(text => append(log, a, text)))
    const stopped = collector(() => tail.stop())
    const barrier = collector()
    const [tail] = await Promise.all([log.tail(a, 0n, stopped.sink), log.tail(a, 0n, barrier.sink)])
    await append(log, a, 'new')
    await barrier.count(201)
    t.ok(stopped.batches.length <= 1)
    tail.stop()
  })

  test('a sink may start another tail, which has only what comes after', async (t, log, a) => {
    const late = collector()
    let starting: Promise<Tail> | undefined
    const early = collector(() => void (starting ??= log.tail(a, 'end', late.sink)))
    await log.tail(a, 'end', early.sink)
    await log.append(a, [record('1'), record('2')])
    await early.count(2)
    const { next } = await starting!
    const { offset } = await append(log, a, '3')
    await late.offset(offset)
    await early.offset(offset)
    t.same(
      late.records.map(each => each.offset),
      offsets(early.records).filter(each => each >= next),
    )
  })

  test('closing in the middle: appends settle, tails end, calls are refused', async (t, log, a, { close }) => {
    const seen = collector()
    await log.tail(a, 'end', seen.sink)
    const acknowledged: string[] = []
    const appends = numbered(200).map(async text => {
      await append(log, a, text)
      acknowledged.push(text)
    })
    await appends[0]
    const closed = close()
    const settled = await Promise.allSettled([...appends, append(log, a, 'too late')])
    await closed
    for (const result of settled) {
      if (result.status === 'rejected') t.match(result.reason, { code: 'LOG_UNAVAILABLE' })
    }
    t.equal(settled.at(-1)!.status, 'rejected')
    t.equal(await seen.ended, undefined)
    t.equal(seen.ends(), 1)
    for (const call of [
      () => log.create([a]),
      () => append(log, a, 'x'),
      () => log.read(a, 0n, 1),
      () => log.bounds(a),
      () => log.tail(a, 'end', collector().sink),
      () => log.remove(a),
    ]) {
      await refused(t, 'LOG_UNAVAILABLE', call(), `after close: ${call.toString()}`)
    }
    const again = await opened(t)
    const kept = bodies(await readAll(again.log, a))
    t.same(kept, numbered(kept.length), 'no gap')
    t.same(acknowledged, kept.slice(0, acknowledged.length), 'all that was acknowledged')
  })

  test('many rooms at once, each with its own records in its own order', async (t, log) => {
    // More than a driver may read together.
    const rooms = Array.from({ length: 150 }, newRoom)
    await log.create(rooms)
    const seen = rooms.map(() => collector())
    await Promise.all(rooms.map((each, i) => log.tail(each, 'end', seen[i]!.sink)))
    await Promise.all(numbered(10).flatMap(text => rooms.map(each => append(log, each, `${each} ${text}`))))
    for (const [i, each] of rooms.entries()) {
      t.same(
        bodies(await seen[i]!.count(10)),
        numbered(10).map(text => `${each} ${text}`),
      )
    }
  })

  test('check says nothing while all is well', async (t, _log, _room, { driver }) => {
    await t.resolves(driver.check(5000))
  })

  const { gap } = options
  if (gap) {
    test('offsets may skip numbers', async (t, log, a) => {
      const seen = collector()
      await log.tail(a, 'end', seen.sink)
      const before = await append(log, a, 'before')
      await gap(a)
      const { next } = await log.bounds(a)
      const atGap = collector()
      await log.tail(a, before.offset + 1n, atGap.sink)
      const after = await append(log, a, 'after')
      t.ok(after.offset > before.offset + 1n && after.offset >= next)
      t.same(bodies(await seen.count(2)), ['before', 'after'])
      t.same(bodies(await atGap.count(1)), ['after'])
      t.same(bodies(await log.read(a, before.offset + 1n, 10)), ['after'])
      t.same(bodies(await readAll(log, a, 0n, undefined, 1)), ['before', 'after'])
      await gap(a)
      t.same(await log.read(a, after.offset + 1n, 10), [])
    })
  }

  if (options.shared) {
    test('another driver of the log sees what append resolved with, in one order', async (t, log, a) => {
      const other = await opened(t)
      const [here, there] = [collector(), collector()]
      await Promise.all([log.tail(a, 'end', here.sink), other.log.tail(a, 'end', there.sink)])
      const { offset } = await append(log, a, 'here')
      t.same(bodies(await other.log.read(a, offset, 10)), ['here'])
      await Promise.all(numbered(100).map((text, i) => append(i % 2 ? log : other.log, a, text)))
      await Promise.all([here.count(101), there.count(101)])
      t.same(here.records.map(copied), there.records.map(copied))
      await other.log.remove(a)
      t.match(await here.ended, { code: 'NO_SUCH_ROOM' })
      t.match(await there.ended, { code: 'NO_SUCH_ROOM' })
    })
  }

  keysContract(t, open, options)
}

/** The part of the suite that is about idempotency keys, to be passed once more by a driver that keeps them in several ways. */
export function keysContract(t: Test, open: OpenForContract, { clock: hasClock = false }: ContractOptions = {}): void {
  const opened = opener(open)
  const clock = (): { now: () => number; pass: (ms: number) => void } => {
    let time = 1_700_000_000_000
    return { now: () => time, pass: ms => void (time += ms) }
  }

  void t.test('a repeat of sender, room and key is the first record', async t => {
    const { log } = await opened(t)
    const a = await room(log)
    const seen = collector()
    await log.tail(a, 'end', seen.sink)
    const first = await append(log, a, 'one', { key: 'k' })
    await append(log, a, 'between')
    t.same(await append(log, a, 'two', { key: 'k' }), first)
    t.same(bodies(await readAll(log, a)), ['one', 'between'])
    await append(log, a, 'barrier')
    t.same(bodies(await seen.count(3)), ['one', 'between', 'barrier'])
  })

  void t.test('another sender, room or key is another record', async t => {
    const { log } = await opened(t)
    const [a, b] = [await room(log), await room(log)]
    await append(log, a, '1', { key: 'k', sender: 'ann' })
    await append(log, a, '2', { key: 'k', sender: 'bob' })
    await append(log, a, '3', { key: 'l', sender: 'ann' })
    await append(log, a, '4', { key: 'nk', sender: 'an' })
    await append(log, a, '5', { sender: 'ann' })
    await append(log, a, '6', { sender: 'ann' })
    await append(log, b, '7', { key: 'k', sender: 'ann' })
    t.same(bodies(await readAll(log, a)), ['1', '2', '3', '4', '5', '6'])
    t.same(bodies(await readAll(log, b)), ['7'])
  })

  void t.test('repeats while the first is in flight', async t => {
    const { log } = await opened(t)
    const a = await room(log)
    const positions = await Promise.all(
      Array.from({ length: 20 }, (_, i) => append(log, a, `${i}`, { key: 'k', sender: '홍 🐎' })),
    )
    t.equal(new Set(offsets(positions)).size, 1)
    t.same(bodies(await readAll(log, a)), ['0'])
  })

  void t.test('repeats among the records of one append, and beside new ones', async t => {
    const { log } = await opened(t)
    const a = await room(log)
    const first = await append(log, a, 'one', { key: 'k1' })
    const keyed = (text: string, key: string): NewRecord => record(text, { key })
    const positions = await log.append(a, [keyed('x', 'k1'), keyed('two', 'k2'), record('three'), keyed('y', 'k2')])
    t.equal(positions[0]!.offset, first.offset)
    t.equal(positions[3]!.offset, positions[1]!.offset)
    t.same(bodies(await readAll(log, a)), ['one', 'two', 'three'])
    t.same(await log.append(a, [keyed('z', 'k2'), keyed('z', 'k1')]), [positions[1], first], 'nothing new at all')
  })

  void t.test('keys outlive the driver', async t => {
    const first = await opened(t)
    const a = await room(first.log)
    const position = await append(first.log, a, 'one', { key: 'k' })
    await first.close()
    const { log } = await opened(t)
    t.same(await append(log, a, 'two', { key: 'k' }), position)
    t.same(bodies(await readAll(log, a)), ['one'])
  })

  void t.test('a room that is made again knows none of the old keys', async t => {
    const { log } = await opened(t)
    const a = await room(log)
    const first = await append(log, a, 'one', { key: 'k' })
    await log.remove(a)
    await log.create([a])
    const second = await append(log, a, 'two', { key: 'k' })
    t.not(second.epoch, first.epoch)
    t.same(bodies(await readAll(log, a)), ['two'])
  })

  void t.test('a key is known even when its record has been removed', async t => {
    const { log } = await opened(t)
    const a = await room(log)
    const first = await append(log, a, 'one', { key: 'k' })
    await log.remove(a, (await log.bounds(a)).next)
    t.same(await append(log, a, 'repeat', { key: 'k' }), first)
    t.same(await readAll(log, a), [])
  })

  if (hasClock) {
    void t.test('after the window the same key is a new record', async t => {
      const { now, pass } = clock()
      const { log } = await opened(t, { now, idempotencyWindow: 60_000 })
      const a = await room(log)
      const first = await append(log, a, 'one', { key: 'k' })
      pass(59_999)
      t.same(await append(log, a, 'repeat', { key: 'k' }), first)
      pass(2)
      const second = await append(log, a, 'two', { key: 'k' })
      t.ok(second.offset > first.offset)
      pass(59_999)
      t.same(await append(log, a, 'repeat', { key: 'k' }), second)
      t.same(bodies(await readAll(log, a)), ['one', 'two'])
    })
    return
  }

  void t.test('after the window the same key is a new record', async t => {
    const { log } = await opened(t, { idempotencyWindow: 1_000 })
    const a = await room(log)
    const first = await append(log, a, 'one', { key: 'k' })
    let next: Position
    do next = await append(log, a, 'two', { key: 'k' })
    while (next.offset === first.offset)
    const [one, two] = await readAll(log, a)
    t.ok(two!.time - one!.time >= 999)
    t.same(bodies([one!, two!]), ['one', 'two'])
  })
}
