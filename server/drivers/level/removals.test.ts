import t from 'tap'
import { Batch } from './batch.ts'
import { Removals } from './removals.ts'
import { Store } from './store.ts'
import { append, bodies, newFolder, openLog, readAll, rowsIn } from './testkit/level.ts'

const writing = (store: Store) => async (build: (batch: Batch) => void) => {
  const batch = new Batch(store, 0)
  build(batch)
  await batch.write()
}

t.test('what was being removed when the log was closed is removed after it is opened', async t => {
  const folder = await newFolder(t)
  const { log, close } = await openLog(t, folder)
  await log.create(['gone', 'cut', 'kept'])
  await Promise.all(Array.from({ length: 2000 }, (_, i) => append(log, 'gone', `${i}`, `${i}`)))
  await Promise.all(Array.from({ length: 1000 }, (_, i) => append(log, 'cut', `${i}`)))
  await append(log, 'kept', 'x', 'key')
  await Promise.all([log.remove('gone'), log.remove('cut', 900n)])
  await close()
  const closed = await rowsIn(folder)
  t.match(closed, { d: 2, m: 2 })
  t.ok(closed['r']! > 101, 'closing did not wait for all of it')

  const store = await Store.open(folder)
  const removals = new Removals(store, writing(store))
  await removals.resume()
  await removals.idle()
  await store.close()
  const { x: _, ...rows } = await rowsIn(folder)
  t.same(rows, { v: 1, m: 2, r: 101, k: 1 })

  const again = await openLog(t, folder)
  t.same(await again.log.bounds('cut').then(({ first, next }) => [first, next]), [900n, 1000n])
  t.same(bodies(await readAll(again.log, 'kept')), ['x'])
})

t.test('a removal goes on when it can after a step has failed', async t => {
  const folder = await newFolder(t)
  const { log, close } = await openLog(t, folder)
  await log.create(['gone'])
  await Promise.all(Array.from({ length: 1000 }, (_, i) => append(log, 'gone', `${i}`)))
  await log.remove('gone')
  await close()

  const store = await Store.open(folder)
  const write = writing(store)
  let steps = 0
  const removals = new Removals(store, async build => {
    if (++steps === 2) throw new Error('no')
    await write(build)
  })
  await removals.resume()
  await removals.idle()
  t.equal(steps, 2)
  await removals.resume()
  await removals.idle()
  await store.close()
  t.same(await rowsIn(folder), { v: 1 })
})

t.test('a large room is removed beside the traffic of others', async t => {
  const { log } = await openLog(t, await newFolder(t))
  await log.create(['large', 'a'])
  await Promise.all(Array.from({ length: 5000 }, (_, i) => append(log, 'large', `${i}`)))
  const texts = Array.from({ length: 200 }, (_, i) => `${i}`)
  const [, , ...offsets] = await Promise.all([
    log.remove('large'),
    log.create(['large']),
    ...texts.map(text => append(log, 'a', text)),
  ])
  await append(log, 'large', 'new')
  t.equal(new Set(offsets).size, 200)
  t.same(bodies(await readAll(log, 'a')), texts)
  t.same(bodies(await readAll(log, 'large')), ['new'])
})
