import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { Count, Counters } from './counters.ts'
import type { Driver } from './driver.ts'

const WINDOW = 60_000

/** What holds for every driver of Counters. `open` makes a new one; the suite closes it. */
export const countersContract = (t: Test, open: (t: Test) => Promise<Driver<Counters>>): void => {
  const begin = async (t: Test): Promise<Counters> => {
    const driver = await open(t)
    t.teardown(() => driver.close())
    await driver.check(5_000)
    return driver.port
  }

  void t.test('one more each time, each key by itself', async t => {
    const counters = await begin(t)
    const [a, b] = [randomUUID(), `${randomUUID()} of any text: ' " \\ \0 한`]
    const counts: number[] = []
    for (const key of [a, a, b, a, b]) counts.push((await counters.add(key, WINDOW)).count)
    t.same(counts, [1, 2, 1, 3, 2])
  })

  void t.test('the window begins with the first and is not put off by the others', async t => {
    const counters = await begin(t)
    const key = randomUUID()
    let last = await counters.add(key, WINDOW)
    t.ok(last.left > WINDOW - 5_000 && last.left <= WINDOW)
    for (let i = 0; i < 20; i++) {
      const next = await counters.add(key, WINDOW)
      t.ok(next.left <= last.left)
      last = next
    }
  })

  void t.test('after the window it is counted anew', async t => {
    const counters = await begin(t)
    const key = randomUUID()
    const started = Date.now()
    t.equal((await counters.add(key, 200)).count, 1)
    let next: Count
    do next = await counters.add(key, 200)
    while (next.count > 1)
    // A millisecond of the clock may be one on which it began or ended.
    t.ok(Date.now() - started >= 199)
  })

  void t.test('several at once, and none where that would be too many', async t => {
    const counters = await begin(t)
    const key = randomUUID()
    const add = async (by: number, most: number) => (await counters.add(key, WINDOW, { by, most })).count
    t.equal(await add(4, 3), 4)
    t.equal(await add(2, 3), 2, 'nothing had been counted')
    t.equal(await add(2, 3), 4)
    t.equal(await add(1, 3), 3)
    const { count, left } = await counters.add(key, WINDOW, { most: 3 })
    t.equal(count, 4)
    t.ok(left > WINDOW - 5_000 && left <= WINDOW)
    t.equal((await counters.add(key, WINDOW)).count, 4, 'without a limit it is counted')
    const many = randomUUID()
    const all = await Promise.all(Array.from({ length: 20 }, () => counters.add(many, WINDOW, { by: 2, most: 10 })))
    t.equal(all.filter(({ count }) => count <= 10).length, 5)
  })

  void t.test('what is cleared is counted anew, and nothing else', async t => {
    const counters = await begin(t)
    const [a, b] = [randomUUID(), randomUUID()]
    for (const key of [a, a, b]) await counters.add(key, WINDOW)
    await counters.clear(a)
    await counters.clear(randomUUID())
    t.equal((await counters.add(a, WINDOW)).count, 1)
    t.equal((await counters.add(b, WINDOW)).count, 2)
  })

  void t.test('of many at once each is counted', async t => {
    const counters = await begin(t)
    const key = randomUUID()
    const all = await Promise.all(Array.from({ length: 100 }, () => counters.add(key, WINDOW)))
    t.same(
      all.map(({ count }) => count).toSorted((a, b) => a - b),
      Array.from({ length: 100 }, (_, i) => i + 1),
    )
  })
}
