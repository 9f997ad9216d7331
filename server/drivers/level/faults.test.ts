import { rename, rm, statfs, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import t, { type Test } from 'tap'
import type { Offset } from '../../ports/room-log.ts'
import { Store } from './store.ts'
import {
  append,
  appendAtLast,
  bodies,
  collector,
  interceptWrites,
  newFolder,
  openLog,
  readAll,
  record,
} from './testkit/level.ts'

/** The next write fails after it was done, or without. */
const failNextWrite = async (t: Test, done: boolean, why = 'the disk is gone'): Promise<void> => {
  let writes = 0
  await interceptWrites(t, async ({ write }) => {
    const fails = writes++ === 0
    if (done || !fails) await write()
    if (fails) throw new Error(`IO error: ${why}`)
  })
}

/** `method` of every LevelDB throws as long as `broken.now`. */
const breakReads = (t: Test, method: 'iterator' | 'keys' | 'getMany'): { now: boolean } => {
  const broken = { now: false }
  const prototype = ClassicLevel.prototype as unknown as Record<string, (...args: unknown[]) => unknown>
  const real = prototype[method]!
  prototype[method] = function (...args) {
    if (broken.now) throw new Error('IO error: cannot read')
    return real.apply(this, args)
  }
  t.teardown(() => void delete prototype[method])
  return broken
}

/** What reads rows waits for `go`, and then for what LevelDB saw when it was asked. */
const holdReads = (t: Test, method: 'iterator' | 'keys'): { go: (error?: Error) => void } => {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const prototype = ClassicLevel.prototype as unknown as Record<string, (...args: unknown[]) => object>
  const real = prototype[method]!
  prototype[method] = function (...args) {
    const rows = real.apply(this, args) as { nextv(size: number): Promise<unknown[]> }
    const nextv = rows.nextv.bind(rows)
    rows.nextv = async size => {
      await promise
      return nextv(size)
    }
    return rows
  }
  const go = (error?: Error): void => {
    delete prototype[method]
    if (error) reject(error)
    else resolve()
  }
  t.teardown(() => go())
  return { go }
}

t.test('a write that failed, and what is found when the log is opened again', async t => {
  for (const kept of [true, false]) {
    const name = kept ? 'it is there' : 'it is not there'

    t.test(`records: ${name}`, async t => {
      const { log, lines } = await openLog(t, await newFolder(t))
      await log.create(['a', 'b'])
      await append(log, 'a', 'before')
      const seen = collector()
      await log.tail('a', 'end', seen.sink)
      await failNextWrite(t, kept)
      const failed = [append(log, 'a', 'failed', 'key'), append(log, 'b', 'failed')]
      for (const each of failed) await t.rejects(each, { code: 'LOG_UNAVAILABLE', cause: /the disk is gone/ })
      t.same(bodies(await log.read('a', 0n, 10)), ['before'], 'nobody sees it before that is known')
      t.equal((await log.bounds('a')).next, 1n)
      const after = await append(log, 'a', 'after')
      t.equal(after, kept ? 2n : 1n)
      const expected = kept ? ['before', 'failed', 'after'] : ['before', 'after']
      t.same(bodies(await readAll(log, 'a')), expected)
      await seen.reached(after)
      t.same(bodies(seen.records), expected.slice(1))
      t.same(bodies(await readAll(log, 'b')), kept ? ['failed'] : [])
      t.equal(await append(log, 'a', 'failed', 'key'), kept ? 1n : 2n, 'a repeat is the same record')
      t.same(
        lines.map(line => [line.level, line.message.replace(/\/\S+:/, 'folder:')]),
        [
          ['error', 'the log takes no records: folder: IO error: the disk is gone'],
          ['info', 'the log takes records again'],
        ],
      )
    })

    t.test(`a room that was made: ${name}`, async t => {
      const { log } = await openLog(t, await newFolder(t))
      await log.create(['a'])
      const seen = collector()
      let writes = 0
      await interceptWrites(t, async ({ write }) => {
        if (writes++ > 0) return write()
        // Somebody tails it before it is known that it is not there.
        await log.tail('new', 'end', seen.sink)
        if (kept) await write()
        throw new Error('IO error')
      })
      await t.rejects(log.create(['new']), { code: 'LOG_UNAVAILABLE' })
      await append(log, 'a', 'x')
      if (kept) {
        await append(log, 'new', 'x')
        await seen.reached(0n)
      } else {
        t.match(await seen.ended, { code: 'NO_SUCH_ROOM' })
        await t.rejects(log.bounds('new'), { code: 'NO_SUCH_ROOM' })
      }
    })

    t.test(`a room that was removed: ${name}`, async t => {
      const { log } = await openLog(t, await newFolder(t))
      await log.create(['a', 'b'])
      await append(log, 'a', 'old')
      const { epoch } = await log.bounds('a')
      const seen = collector()
      await log.tail('a', 'end', seen.sink)
      await failNextWrite(t, kept)
      await t.rejects(log.remove('a'), { code: 'LOG_UNAVAILABLE' })
      await append(log, 'b', 'barrier')
      if (kept) {
        t.match(await seen.ended, { code: 'NO_SUCH_ROOM' })
        await t.rejects(log.bounds('a'), { code: 'NO_SUCH_ROOM' })
        await log.create(['a'])
        t.same(await readAll(log, 'a'), [])
      } else {
        await log.create(['a'])
        t.same(await log.bounds('a'), { epoch, first: 0n, next: 1n })
        await append(log, 'a', 'new')
        await seen.reached(1n)
        t.same(bodies(await readAll(log, 'a')), ['old', 'new'])
      }
    })

    t.test(`records that were removed: ${name}`, async t => {
      const { log } = await openLog(t, await newFolder(t))
      await log.create(['a'])
      for (const text of ['0', '1', '2']) await append(log, 'a', text)
      await failNextWrite(t, kept)
      await t.rejects(log.remove('a', 2n), { code: 'LOG_UNAVAILABLE' })
      await append(log, 'a', '3')
      t.equal((await log.bounds('a')).first, kept ? 2n : 0n)
      t.same(bodies(await readAll(log, 'a')), kept ? ['2', '3'] : ['0', '1', '2', '3'])
    })
  }

  t.test('many records that are there reach the tails in their order', async t => {
    const { log } = await openLog(t, await newFolder(t))
    await log.create(['a'])
    const seen = collector()
    await log.tail('a', 'end', seen.sink)
    await failNextWrite(t, true)
    const texts = Array.from({ length: 3000 }, (_, i) => `${i}`)
    await t.rejects(
      log.append(
        'a',
        texts.map(text => record(text)),
      ),
      { code: 'LOG_UNAVAILABLE' },
    )
    await seen.reached(await append(log, 'a', 'after'))
    t.same(bodies(seen.records), [...texts, 'after'])
  })

  t.test('what was queued behind it is written after it', async t => {
    const { log } = await openLog(t, await newFolder(t))
    await log.create(['a'])
    const queued: Promise<Offset>[] = []
    let writes = 0
    await interceptWrites(t, async ({ write }) => {
      if (writes++ > 0) return write()
      queued.push(append(log, 'a', '1'), append(log, 'a', '2'))
      throw new Error('IO error')
    })
    await t.rejects(append(log, 'a', '0'), { code: 'LOG_UNAVAILABLE' })
    t.same(await Promise.all(queued), [0n, 1n])
    t.same(bodies(await readAll(log, 'a')), ['1', '2'])
  })

  t.test('a check is what finds it', async t => {
    const folder = await newFolder(t)
    const { driver } = await openLog(t, folder)
    await failNextWrite(t, false)
    await t.rejects(driver.check(10_000), { message: `${folder}: IO error: the disk is gone` })
  })

  t.test('it goes on by itself, with nobody waiting for it', async t => {
    const { log, lines } = await openLog(t, await newFolder(t))
    await log.create(['a'])
    const seen = collector()
    await log.tail('a', 'end', seen.sink)
    await failNextWrite(t, true)
    await t.rejects(append(log, 'a', 'x'), { code: 'LOG_UNAVAILABLE' })
    // Nothing is asked of the log any more: only its own timer is left, which does not keep a process alive.
    const alive = setInterval(() => {}, 1000)
    await seen.reached(0n)
    clearInterval(alive)
    await append(log, 'a', 'y')
    t.equal(lines.at(-1)!.level, 'info')
  })
})

t.test('a log that cannot be opened again', async t => {
  t.test('says so to everybody, and goes on when it can', async t => {
    const folder = await newFolder(t)
    const { log, driver } = await openLog(t, folder)
    await log.create(['a'])
    await append(log, 'a', 'x')
    const seen = collector()
    await log.tail('a', 'end', seen.sink)
    await failNextWrite(t, false)
    await rename(folder, `${folder}.away`)
    await t.rejects(append(log, 'a', 'failed'), { code: 'LOG_UNAVAILABLE' })
    await t.rejects(driver.check(10_000), { message: `${folder}: IO error: the disk is gone` })
    await t.rejects(append(log, 'a', 'no'), { code: 'LOG_UNAVAILABLE' })
    await t.rejects(driver.check(10_000), { message: /ENOENT/ })
    await t.rejects(log.read('a', 0n, 1), { code: 'LOG_UNAVAILABLE' })
    await t.rejects(log.create(['b']), { code: 'LOG_UNAVAILABLE' })
    await rename(`${folder}.away`, folder)
    t.equal(await appendAtLast(t, log, 'a', 'again'), 1n)
    await seen.reached(1n)
    t.same(bodies(seen.records), ['again'])
    t.same(bodies(await readAll(log, 'a')), ['x', 'again'])
    await t.resolves(driver.check(10_000))
  })

  t.test('waits until there is room for what LevelDB writes then', async t => {
    const folder = await newFolder(t)
    const { log, driver } = await openLog(t, folder)
    await log.create(['a'])
    await failNextWrite(t, false, 'No space left on device')
    // It looks like more than there is room for, and takes none.
    const large = join(folder, 'large.log')
    const { bavail, bsize } = await statfs(folder)
    await writeFile(large, '')
    await truncate(large, bavail * bsize + 2 ** 30)
    for (const text of ['fails', 'is not tried']) await t.rejects(append(log, 'a', text), { code: 'LOG_UNAVAILABLE' })
    await t.rejects(driver.check(10_000), { message: `no space in ${folder}` })
    t.same(await log.read('a', 0n, 10), [], 'reading goes on')
    await rm(large)
    t.equal(await appendAtLast(t, log, 'a', 'room again'), 0n)
    t.same(bodies(await readAll(log, 'a')), ['room again'])
  })

  t.test('can be closed', async t => {
    const folder = await newFolder(t)
    const { log, close } = await openLog(t, folder)
    await log.create(['a'])
    const seen = collector()
    await log.tail('a', 'end', seen.sink)
    await failNextWrite(t, false)
    await rename(folder, `${folder}.away`)
    await t.rejects(append(log, 'a', 'failed'), { code: 'LOG_UNAVAILABLE' })
    const waiting = append(log, 'a', 'waits')
    await Promise.all([close(), t.rejects(waiting, { code: 'LOG_UNAVAILABLE' })])
    t.equal(await seen.ended, undefined)
    await rename(`${folder}.away`, folder)
    await openLog(t, folder)
  })

  t.test('keeps those who read waiting', async t => {
    const folder = await newFolder(t)
    const store = await Store.open(folder)
    await rename(folder, `${folder}.away`)
    await t.rejects(store.reopen(new Error('whatever')))
    t.notOk(store.isOpen)
    const reading = [store.entries({}, 10), store.keys({}, 10), store.getMany([Buffer.from('v')])] as const
    const pages = store.pages({}).next()
    await rename(`${folder}.away`, folder)
    await store.reopen(new Error('whatever'))
    t.same((await reading[0]).length, 1)
    t.same((await reading[1]).length, 1)
    t.same((await reading[2])[0]?.length, 1)
    t.same((await pages).value?.length, 1)
    await rename(folder, `${folder}.away`)
    await t.rejects(store.reopen(new Error('whatever')))
    const late = store.entries({}, 10)
    await Promise.all([store.close(), t.rejects(late, { message: 'closed' })])
    await rm(`${folder}.away`, { recursive: true })
  })
})

t.test('a log that is slow to write: whoever waits is refused, and what is being written may be kept', async t => {
  const { log } = await openLog(t, await newFolder(t), { logTimeout: 1_000 })
  await log.create(['a'])
  const seen = collector()
  await log.tail('a', 'end', seen.sink)
  const [began, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  await interceptWrites(t, async ({ write }) => {
    began.resolve()
    await held.promise
    await write()
  })
  const refused = { code: 'LOG_UNAVAILABLE', cause: /a write takes too long/ }
  const written = [t.rejects(append(log, 'a', '0', 'key'), refused), t.rejects(log.create(['b']), refused)]
  await began.promise
  const queued = [t.rejects(append(log, 'a', 'never'), refused), t.rejects(log.create(['c']), refused)]
  // Its own timer does not keep a process alive.
  const alive = setInterval(() => {}, 1000)
  await Promise.all([...written, ...queued])
  clearInterval(alive)
  t.same(seen.records, [], 'nobody sees what is not durable')
  const later = append(log, 'a', '1')
  held.resolve()
  t.equal(await later, 1n)
  t.equal(await append(log, 'a', '0', 'key'), 0n, 'a repeat is the same record')
  t.same(bodies(await readAll(log, 'a')), ['0', '1'])
  await seen.reached(1n)
  t.same(bodies(seen.records), ['0', '1'])
  await log.create(['b'])
  await t.rejects(append(log, 'c', 'x'), { code: 'NO_SUCH_ROOM' })
})

t.test('a log that is slow to read', async t => {
  const texts = Array.from({ length: 1500 }, (_, i) => `${i}`)
  const filled = async (t: Test) => {
    const folder = await newFolder(t)
    const opened = await openLog(t, folder)
    await opened.log.create(['a', 'b'])
    await Promise.all(texts.map(text => append(opened.log, 'a', text)))
    return { folder, ...opened }
  }

  t.test('the room is removed meanwhile', async t => {
    const { log } = await filled(t)
    const { go } = holdReads(t, 'iterator')
    const seen = collector()
    await log.tail('a', 0n, seen.sink)
    const reading = t.rejects(log.read('a', 0n, 10), { code: 'NO_SUCH_ROOM' })
    await log.remove('a')
    go()
    await reading
    t.match(await seen.ended, { code: 'NO_SUCH_ROOM' })
    await append(log, 'b', 'barrier')
    t.same(seen.records, [])
  })

  t.test('the room is removed while its end is looked for', async t => {
    const { folder, close } = await filled(t)
    await close()
    const { log } = await openLog(t, folder)
    const { go } = holdReads(t, 'keys')
    const asking = [log.bounds('a'), log.tail('a', 'end', collector().sink), append(log, 'a', 'new')].map(each =>
      each.then(
        () => 'done',
        (error: { code: string }) => error.code,
      ),
    )
    const removed = log.remove('a')
    go()
    await removed
    t.same((await Promise.all(asking)).at(-1), 'done', 'it came before')
    await t.rejects(log.bounds('a'), { code: 'NO_SUCH_ROOM' })
  })

  t.test('its old records are removed meanwhile', async t => {
    const { log } = await filled(t)
    const { go } = holdReads(t, 'iterator')
    const seen = collector()
    await log.tail('a', 0n, seen.sink)
    await log.remove('a', 1500n)
    go()
    await seen.reached(await append(log, 'a', 'new'))
    t.equal(seen.records.at(-1)!.offset, 1500n)
    t.ok(seen.records.length <= 1001, 'a page at most of what is gone')
  })

  t.test('the tail is stopped meanwhile', async t => {
    for (const error of [undefined, new Error('IO error')]) {
      const { log } = await filled(t)
      const { go } = holdReads(t, 'iterator')
      const seen = collector()
      const tail = await log.tail('a', 0n, seen.sink)
      const reading = log.read('a', 0n, 1).catch(() => {})
      tail.stop()
      go(error)
      await reading
      await append(log, 'a', 'barrier')
      t.same(seen.records, [])
    }
  })
})

t.test('a log that cannot be read', async t => {
  t.test('read and tail say so', async t => {
    const { log } = await openLog(t, await newFolder(t))
    await log.create(['a'])
    await append(log, 'a', 'x')
    const broken = breakReads(t, 'iterator')
    broken.now = true
    await t.rejects(log.read('a', 0n, 10), { code: 'LOG_UNAVAILABLE', cause: /cannot read/ })
    const seen = collector()
    await log.tail('a', 0n, seen.sink)
    t.match(await seen.ended, { code: 'LOG_UNAVAILABLE', cause: /cannot read/ })
    broken.now = false
    t.same(bodies(await log.read('a', 0n, 10)), ['x'])
  })

  t.test('a room whose end cannot be found takes no records until it can', async t => {
    const folder = await newFolder(t)
    const first = await openLog(t, folder)
    await first.log.create(['a'])
    await append(first.log, 'a', 'x')
    await first.close()
    const { log } = await openLog(t, folder)
    const broken = breakReads(t, 'keys')
    broken.now = true
    await t.rejects(log.bounds('a'), { code: 'LOG_UNAVAILABLE' })
    await t.rejects(append(log, 'a', 'y'), { code: 'LOG_UNAVAILABLE' })
    broken.now = false
    t.equal(await appendAtLast(t, log, 'a', 'z'), 1n)
  })

  t.test('a key that cannot be looked for is not taken for a new one', async t => {
    const { log } = await openLog(t, await newFolder(t))
    await log.create(['a'])
    await append(log, 'a', 'x', 'key')
    const broken = breakReads(t, 'getMany')
    broken.now = true
    await t.rejects(append(log, 'a', 'x', 'key'), { code: 'LOG_UNAVAILABLE' })
    broken.now = false
    t.equal(await appendAtLast(t, log, 'a', 'x', 'key'), 0n)
  })

  t.test('the rooms cannot be found again at first', async t => {
    const { log, lines } = await openLog(t, await newFolder(t))
    await log.create(['a'])
    const broken = breakReads(t, 'iterator')
    await failNextWrite(t, true)
    await t.rejects(append(log, 'a', 'kept'), { code: 'LOG_UNAVAILABLE' })
    broken.now = true
    await t.rejects(append(log, 'a', 'no'), { code: 'LOG_UNAVAILABLE' })
    broken.now = false
    t.equal(await appendAtLast(t, log, 'a', 'again'), 1n)
    t.same(bodies(await readAll(log, 'a')), ['kept', 'again'])
    t.equal(lines.length, 2)
  })
})
