import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ClassicLevel } from 'classic-level'
import t from 'tap'
import { roomLogContract } from '../../ports/room-log.contract.ts'
import { FolderError } from './room-log.ts'
import { explain } from './store.ts'
import { append, bodies, collector, interceptWrites, newFolder, openLog, readAll, record } from './testkit/level.ts'

const MiB = 1024 * 1024

if (process.argv[2] === 'open') {
  try {
    await openLog(t, process.argv[3]!)
    console.log('opened')
  } catch (error) {
    console.log(String(error))
  }
  process.exit()
}

t.test('contract', async t => {
  const folder = await newFolder(t)
  roomLogContract(t, async (opening = {}) => (await openLog(t, folder, opening)).driver, { clock: true })
})

t.test('writing', async t => {
  t.test('all appends of one turn are one synced write, and those that come meanwhile are the next', async t => {
    const { log } = await openLog(t, await newFolder(t))
    const rooms = Array.from({ length: 20 }, (_, i) => `room${i}`)
    await log.create(rooms)
    const writes: number[] = []
    const first = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    await interceptWrites(t, async ({ rows, sync, write }) => {
      t.ok(sync)
      writes.push(rows)
      first.resolve()
      await go.promise
      await write()
    })
    const appends = [1, 2].flatMap(() => rooms.map(room => append(log, room, 'x')))
    await first.promise
    appends.push(...rooms.map(room => append(log, room, 'y')))
    go.resolve()
    t.same(new Set(await Promise.all(appends)), new Set([0n, 1n, 2n]))
    t.same(writes, [40, 20])
  })

  t.test('a write is bounded in bytes and in appends', async t => {
    const { log } = await openLog(t, await newFolder(t))
    await log.create(['a'])
    const writes: number[] = []
    await interceptWrites(t, ({ rows, write }) => {
      writes.push(rows)
      return write()
    })
    const large = Array.from({ length: 10 }, () => log.append('a', [{ ...record(''), body: Buffer.alloc(MiB) }]))
    await Promise.all(large)
    t.same(writes.splice(0), [3, 3, 3, 1])
    await Promise.all(Array.from({ length: 2500 }, () => append(log, 'a', 'x')))
    t.same(writes, [1000, 1000, 500])
  })

  t.test('what adds nothing is not written', async t => {
    const { log } = await openLog(t, await newFolder(t))
    await log.create(['a'])
    await append(log, 'a', 'x', 'key')
    await interceptWrites(t, async () => void t.fail('written'))
    await log.create(['a'])
    await log.remove('b')
    await log.remove('a', 0n)
    t.equal(await append(log, 'a', 'x', 'key'), 0n)
    t.same(await log.append('a', []), [])
    await t.rejects(append(log, 'b', 'x'), { code: 'NO_SUCH_ROOM' })
  })
})

t.test('rooms', async t => {
  t.test('roomsMax is exact, and found again', async t => {
    const folder = await newFolder(t)
    const first = await openLog(t, folder, { roomsMax: 3 })
    await first.log.create(['a', 'b'])
    await t.rejects(first.log.create(['c', 'd']), { code: 'TOO_MANY_ROOMS' })
    await first.log.create(['c', 'a'])
    await t.rejects(first.log.create(['d']), { code: 'TOO_MANY_ROOMS' })
    await first.close()
    const { log } = await openLog(t, folder, { roomsMax: 3 })
    await t.rejects(log.create(['d']), { code: 'TOO_MANY_ROOMS' })
    await log.remove('a')
    await log.create(['d'])
  })

  t.test('creates at once are one write, and none resolves before it is durable', async t => {
    const { log } = await openLog(t, await newFolder(t))
    const began = Promise.withResolvers<void>()
    const go = Promise.withResolvers<void>()
    let writes = 0
    let durable = false
    await interceptWrites(t, async ({ write }) => {
      writes++
      began.resolve()
      await go.promise
      await write()
      durable = true
    })
    const creating = ['a', 'b', 'c'].map(room => log.create([room]))
    await began.promise
    const again = log.create(['a']).then(() => t.ok(durable))
    go.resolve()
    await Promise.all([...creating, again])
    t.equal(writes, 1)
  })

  t.test('a thousand rooms are found again', async t => {
    const folder = await newFolder(t)
    const rooms = Array.from({ length: 1500 }, (_, i) => `room/${i}`)
    const first = await openLog(t, folder, { roomsMax: 1500 })
    await first.log.create(rooms)
    await Promise.all(rooms.map(room => append(first.log, room, room)))
    await first.close()
    const { log } = await openLog(t, folder)
    // Whoever asks first, and however many at once: the end is found once and for all.
    const asked = await Promise.all(rooms.map(room => Promise.all([append(log, room, 'x'), log.bounds(room)])))
    t.ok(asked.every(([offset, { next }]) => offset === 1n && next >= 1n))
    t.same(bodies(await readAll(log, 'room/77')), ['room/77', 'x'])
  })

  t.test('a room that is removed and made again in one turn is another one', async t => {
    const { log } = await openLog(t, await newFolder(t))
    await log.create(['a'])
    const seen = collector()
    await log.tail('a', 'end', seen.sink)
    const [early] = await Promise.all([
      append(log, 'a', 'old'),
      append(log, 'a', 'old too', 'key'),
      log.remove('a'),
      log.create(['a']),
      append(log, 'a', 'new', 'key'),
    ])
    t.equal(early, 0n)
    t.match(await seen.ended, { code: 'NO_SUCH_ROOM' })
    t.same(bodies(seen.records), ['old', 'old too'])
    t.same(bodies(await readAll(log, 'a')), ['new'])
  })

  t.test('a room removed while it is read and while its end is found', async t => {
    const folder = await newFolder(t)
    const first = await openLog(t, folder)
    await first.log.create(['a', 'b', 'c'])
    for (const room of ['a', 'b', 'c']) await append(first.log, room, 'x')
    await first.close()
    const { log } = await openLog(t, folder)
    await log.bounds('c')
    const seen = collector()
    const asked = [log.bounds('a'), log.tail('b', 0n, seen.sink), log.read('c', 0n, 10)]
    await Promise.all([...['a', 'b', 'c'].map(room => log.remove(room)), Promise.allSettled(asked)])
    for (const result of await Promise.allSettled(asked)) {
      if (result.status === 'rejected') t.match(result.reason, { code: 'NO_SUCH_ROOM' })
    }
  })
})

t.test('the folder', async t => {
  t.test('is taken by one process at a time', async t => {
    const folder = await newFolder(t)
    const { close } = await openLog(t, folder)
    const expected = `${folder} is in use by another node: stop that one, or give this one a folder of its own`
    await t.rejects(openLog(t, folder), new FolderError(expected), 'the same process')
    const other = await promisify(execFile)(process.execPath, [import.meta.filename, 'open', folder])
    t.match(other.stdout, `FolderError: ${expected}\n`, 'another process')
    await close()
    t.ok(await openLog(t, `${folder}/.`))
  })

  t.test('is refused in one line where it cannot be opened', async t => {
    const folder = await newFolder(t)
    await writeFile(join(folder, 'file'), '')
    await t.rejects(openLog(t, join(folder, 'file')), {
      name: 'FolderError',
      message: /^\S+\/file: EEXIST: file already exists/,
    })
  })

  t.test('what is wrong with it is said in one line', async t => {
    t.equal(explain('log', new Error('IO error: x.log: No space left on device')), 'no space in log')
    t.equal(explain('log', new Error('not open', { cause: new Error('Disk quota exceeded') })), 'no space in log')
    t.equal(explain('log', 'something else'), 'log: something else')
  })

  t.test('is left alone where it holds something else', async t => {
    for (const [row, value, what] of [
      ['x', 'y', 'something else than a log'],
      ['v', 'y', 'a log of another version'],
    ] as const) {
      const folder = await newFolder(t)
      const level = new ClassicLevel(folder)
      await level.put(row, value)
      await level.close()
      await t.rejects(openLog(t, folder), new FolderError(`${folder} holds ${what}`))
      await level.open()
      t.same(await level.keys().all(), [row])
      await level.close()
    }
  })

  t.test('is closed again where the rooms in it cannot be read', async t => {
    const folder = await newFolder(t)
    const level = new ClassicLevel(folder)
    await level.open()
    await level.batch().put('v', '\u0001').put('ma', 'short').write()
    await level.close()
    await t.rejects(openLog(t, folder), { name: 'FolderError', message: new RegExp(`^${folder}: `) })
    await level.open()
    await level.close()
  })
})

t.test('check', async t => {
  const { driver, close } = await openLog(t, await newFolder(t))
  await t.resolves(driver.check(10_000))
  const go = Promise.withResolvers<void>()
  await interceptWrites(t, async ({ write }) => {
    await go.promise
    await write()
  })
  await t.rejects(driver.check(1), { message: /took more than 1 ms to write$/ }, 'a disk that does not answer')
  go.resolve()
  await t.resolves(driver.check(10_000))
  await close()
  await t.rejects(driver.check(10_000), { message: 'the log is closed' })
})
