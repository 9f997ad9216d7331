import t from 'tap'
import { append, newFolder, openLog, rowsIn } from './testkit/level.ts'

const WINDOW = 60_000
const clock = () => {
  let time = 1_700_000_000_000
  return { now: () => time, pass: (ms: number) => void (time += ms), idempotencyWindow: WINDOW }
}

t.test('keys that are too old are taken away, a few with each write', async t => {
  const folder = await newFolder(t)
  const { pass, ...options } = clock()
  const { log, close } = await openLog(t, folder, options)
  await log.create(['a', 'b'])
  for (let i = 0; i < 10; i++) await Promise.all([append(log, 'a', '', `${i}`), append(log, 'b', '', `${i}`)])
  pass(WINDOW + 1)
  await append(log, 'a', '', 'new')
  await close()
  t.match(await rowsIn(folder), { k: 13, x: 7 }, 'those of four writes, and the new one')

  const again = await openLog(t, folder, options)
  for (let i = 0; i < 3; i++) await append(again.log, 'a', '')
  await again.close()
  t.match(await rowsIn(folder), { k: 1, x: 1 })

  const last = await openLog(t, folder, options)
  pass(WINDOW + 1)
  await append(last.log, 'a', '')
  await last.close()
  const { k, x, r } = await rowsIn(folder)
  t.same([k, x, r], [undefined, undefined, 25])
})

t.test('a key that was used again is not taken away with its first use', async t => {
  const folder = await newFolder(t)
  const { pass, ...options } = clock()
  const { log, close } = await openLog(t, folder, options)
  await log.create(['a'])
  for (let i = 0; i < 10; i++) await append(log, 'a', '', `${i}`)
  pass(WINDOW + 1)
  // The first write sweeps 0 to 3 and uses one of them again; 9 is used again before it is swept.
  const [three, nine] = await Promise.all([append(log, 'a', '', '3'), append(log, 'a', '', '9')])
  t.same([three, nine], [10n, 11n])
  for (let i = 0; i < 4; i++) await append(log, 'a', '')
  t.same(await Promise.all([append(log, 'a', '', '3'), append(log, 'a', '', '9')]), [three, nine])
  await close()
  t.match(await rowsIn(folder), { k: 2, x: 1 })
})

t.test('a clock that goes back makes nothing new', async t => {
  const { pass, ...options } = clock()
  const { log } = await openLog(t, await newFolder(t), options)
  await log.create(['a'])
  const offset = await append(log, 'a', '', 'key')
  pass(-10 * WINDOW)
  t.equal(await append(log, 'a', '', 'key'), offset)
  await append(log, 'a', '', 'other')
  pass(10 * WINDOW)
  t.equal(await append(log, 'a', '', 'key'), offset)
})

t.test('senders and keys of any UTF-8', async t => {
  const { log } = await openLog(t, await newFolder(t))
  await log.create(['a'])
  const pairs = [
    ['홍', '🐎'],
    ['홍🐎', ''],
    ['', '홍🐎'],
    ['é', 'e'],
    ['e', 'é'],
  ] as const
  const send = ([sender, key]: readonly [string, string]) =>
    log.append('a', [{ sender, key, headers: new Map(), body: Buffer.from('x') }])
  const first = await Promise.all(pairs.map(send))
  t.equal(new Set(first.map(([position]) => position!.offset)).size, pairs.length)
  t.same(await Promise.all(pairs.map(send)), first)
})
