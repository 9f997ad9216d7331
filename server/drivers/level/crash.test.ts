import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readdir, stat, truncate, appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { append, bodies, newFolder, openLog, readAll } from './testkit/level.ts'

const ROOMS = ['a', 'b', 'c']
const PUBLISHERS = 12
const OLD = 8000

/** Appends without end; prints `publisher number offset` of each record once it is durable. */
const appendInLoop = async (folder: string, run: string): Promise<void> => {
  const { log } = await openLog(t, folder)
  await log.create(ROOMS)
  const publish = async (publisher: number): Promise<void> => {
    for (let n = 0; ; n++) {
      const offset = await append(log, ROOMS[publisher % 3]!, `${run} ${publisher} ${n}`, `${run} ${publisher} ${n}`)
      process.stdout.write(`${publisher} ${n} ${offset}\n`)
    }
  }
  await Promise.all(Array.from({ length: PUBLISHERS }, (_, publisher) => publish(publisher)))
}

const removeRoom = async (folder: string): Promise<void> => {
  const { log } = await openLog(t, folder)
  const removed = log.remove('old')
  process.stdout.write('removing\n')
  await removed
  process.stdout.write('removed\n')
  await log.create(['old'])
  await append(log, 'old', 'new')
  process.stdout.write('made again\n')
  for (let n = 0; ; n++) await append(log, 'a', `${n}`)
}

if (process.argv[2] !== undefined) {
  // Not to outlive the test, whatever becomes of it.
  process.stdin.on('end', () => process.exit()).resume()
}
if (process.argv[2] === 'append') await appendInLoop(process.argv[3]!, process.argv[4]!)
if (process.argv[2] === 'remove') await removeRoom(process.argv[3]!)

/** Runs this file as another process, kills it with -9 when `enough` of its lines have come, and answers them. */
const killed = async (args: string[], enough: (line: string, count: number) => boolean): Promise<string[]> => {
  const child = spawn(process.execPath, [import.meta.filename, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    if (enough(line, lines.length)) child.kill('SIGKILL')
  }
  const [, signal] = (await exit) as [number | null, string | null]
  if (signal !== 'SIGKILL') throw new Error(`the process ended by itself: ${lines.join(', ')}`)
  return lines
}

t.test('kill -9 while records are appended: what was acknowledged is there, once, in order', async t => {
  const folder = await newFolder(t)
  const next = new Map(ROOMS.map(room => [room, 0n]))
  for (const [run, enough] of [100, 1, 2345, 700, 1500].entries()) {
    const lines = await killed(['append', folder, `${run}`], (_, count) => count >= enough)
    const { log, close } = await openLog(t, folder)
    const kept = new Map<string, bigint>()
    for (const room of ROOMS) {
      const records = await readAll(log, room)
      t.same(
        records.map(record => record.offset),
        records.map((_, i) => BigInt(i)),
        'no gap',
      )
      t.ok((await log.bounds(room)).next >= next.get(room)!, 'no way back')
      next.set(room, (await log.bounds(room)).next)
      for (const { body, offset } of records) kept.set(body.toString(), offset)
      t.equal(new Set(bodies(records)).size, records.length, 'nothing twice')
    }
    const counts = Array.from({ length: PUBLISHERS }, () => 0)
    for (const line of lines.filter(each => /^\d+ \d+ \d+$/.test(each))) {
      const [publisher, n, offset] = line.split(' ') as [string, string, string]
      counts[Number(publisher)] = Number(n) + 1
      if (kept.get(`${run} ${publisher} ${n}`) !== BigInt(offset)) t.fail(`acknowledged and not there: ${line}`)
    }
    for (const [publisher, count] of counts.entries()) {
      const room = ROOMS[publisher % 3]!
      const texts = Array.from({ length: count + 2 }, (_, n) => `${run} ${publisher} ${n}`)
      const offsets = texts.map(text => kept.get(text)).filter(offset => offset !== undefined)
      t.same(
        offsets,
        offsets.toSorted((one, two) => Number(one - two)),
        'in order',
      )
      // The one that was under way is there or not; a repeat with its key makes sure that it is, once.
      const again = await append(log, room, texts[count]!, texts[count])
      t.equal(again, kept.get(texts[count]!) ?? next.get(room)!)
      next.set(room, (await log.bounds(room)).next)
    }
    await close()
  }
})

t.test('kill -9 while a room is removed', async t => {
  const whole = Array.from({ length: OLD }, (_, n) => `${n}`)
  const original = await newFolder(t)
  const first = await openLog(t, original)
  await first.log.create(['old', 'a'])
  await Promise.all(whole.map(text => append(first.log, 'old', text)))
  const { epoch } = await first.log.bounds('old')
  await first.close()
  for (const when of ['removing', 'removed', 'made again']) {
    const folder = await newFolder(t)
    await cp(original, folder, { recursive: true })
    await killed(['remove', folder], line => line === when)
    const { log, close } = await openLog(t, folder)
    const bounds = await log.bounds('old').catch(() => undefined)
    if (when === 'removed') t.not(bounds?.epoch, epoch)
    if (when === 'made again') t.ok(bounds)
    if (bounds) {
      const texts = bodies(await readAll(log, 'old'))
      if (bounds.epoch === epoch) t.same(texts, whole, 'all of it')
      else t.match(texts.join(), /^(new)?$/, 'none of it')
    }
    await log.remove('old')
    await log.create(['old'])
    t.same(await readAll(log, 'old'), [])
    await close()
  }
})

t.test('a torn tail never shows', async t => {
  const texts = Array.from({ length: 60 }, (_, n) => `${n} `.repeat(3000))
  const whole = await newFolder(t)
  const { log, close } = await openLog(t, whole)
  await log.create(['a'])
  for (const text of texts) await append(log, 'a', text)
  await close()
  const copied = async (t: Test): Promise<{ folder: string; file: string }> => {
    const folder = await newFolder(t)
    await cp(whole, folder, { recursive: true })
    return {
      folder,
      file: join(
        folder,
        (await readdir(folder)).find(name => name.endsWith('.log'))!,
      ),
    }
  }
  for (const cut of [1, 100, 8000, 32_768, 100_001]) {
    t.test(`${cut} bytes are missing`, async t => {
      const { folder, file } = await copied(t)
      await truncate(file, (await stat(file)).size - cut)
      const { log } = await openLog(t, folder)
      const records = await readAll(log, 'a')
      t.ok(records.length > 0 && records.length < texts.length)
      t.same(bodies(records), texts.slice(0, records.length))
      t.equal(await append(log, 'a', 'new'), BigInt(records.length))
    })
  }
  t.test('what follows is no record', async t => {
    const { folder, file } = await copied(t)
    await appendFile(file, Buffer.alloc(5000, 0x55))
    const { log } = await openLog(t, folder)
    t.same(bodies(await readAll(log, 'a')), texts)
  })
})
