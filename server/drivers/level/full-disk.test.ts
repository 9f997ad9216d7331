import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { LogRecord, Offset } from '../../ports/room-log.ts'
import {
  append,
  appendAtLast,
  collector,
  newFolder,
  openLog,
  readAll,
  record,
  type OpenedLog,
} from './testkit/level.ts'

const MiB = 1024 * 1024

const errorsOf = ({ lines }: OpenedLog): string[] =>
  lines.filter(line => line.level === 'error').map(line => line.message)

const fullDisk = async (t: Test, bytes: number): Promise<void> => {
  const disk = await newFolder(t)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=28m', 'tmpfs', disk])
  t.teardown(() => execFileSync('umount', ['--lazy', disk]))
  const folder = join(disk, 'log')
  await writeFile(join(disk, 'ballast'), Buffer.alloc(16 * MiB))
  const opened = await openLog(t, folder)
  const { log, driver } = opened
  await log.create(['a', 'b'])
  const seen = collector()
  await log.tail('a', 'end', seen.sink)
  const acknowledged = new Map<Offset, Buffer>()
  const fill = async (): Promise<void> => {
    for (;;) {
      const body = randomBytes(bytes)
      const [position] = await log.append('a', [{ ...record(''), body }])
      acknowledged.set(position!.offset, body)
    }
  }
  const publishers = await Promise.allSettled([fill(), fill(), fill()])
  for (const result of publishers) t.match(result, { status: 'rejected', reason: { code: 'LOG_UNAVAILABLE' } })
  t.same(errorsOf(opened), [`the log takes no records: no space in ${folder}`])
  await t.rejects(driver.check(10_000), { message: `no space in ${folder}` })
  await t.rejects(append(log, 'a', 'x'), { code: 'LOG_UNAVAILABLE' }, 'still full')
  t.same(errorsOf(opened).length, 1, 'said once')
  t.equal((await log.read('a', 0n, 1)).length, 1, 'reading goes on')
  const late = collector()
  await log.tail('a', 0n, late.sink)

  await rm(join(disk, 'ballast'))
  const last = await appendAtLast(t, log, 'a', 'room again')
  t.same(opened.lines.at(-1)?.message, 'the log takes records again')
  await t.resolves(driver.check(10_000))
  const kept = await readAll(log, 'a')
  const lost = [...acknowledged].filter(([offset, body]) => !kept[Number(offset)]!.body.equals(body))
  t.equal(lost.length, 0, `${acknowledged.size} acknowledged`)
  t.same(
    kept.map(each => each.offset),
    kept.map((_, i) => BigInt(i)),
  )
  const places = (records: readonly LogRecord[]): string[] =>
    records.map(({ offset, body }) => `${offset} ${body.length}`)
  for (const tail of [seen, late]) {
    await tail.reached(last)
    t.same(places(tail.records), places(kept), 'the tails have gone on')
  }
}

if (process.argv[2] === 'in a namespace') {
  t.test('records of 100 kB', t => fullDisk(t, 100_000))
  t.test('records of 300 bytes', t => fullDisk(t, 300))
  t.test('no space to begin with', async t => {
    const disk = await newFolder(t)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk])
    t.teardown(() => execFileSync('umount', ['--lazy', disk]))
    await writeFile(join(disk, 'ballast'), Buffer.alloc(100_000)).catch(() => {})
    await t.rejects(openLog(t, join(disk, 'log')), { name: 'FolderError', message: `no space in ${disk}/log` })
  })
} else {
  // A mount namespace of its own: whatever happens here, nothing stays mounted. Who is not root becomes it within.
  const asRoot = process.getuid?.() === 0 ? ['--mount'] : ['--mount', '--user', '--map-root-user']
  const inside = [process.execPath, import.meta.filename, 'in a namespace']
  void t.spawn('unshare', [...asRoot, ...inside], {}, 'a full disk')
}
