import { readdir, truncate } from 'node:fs/promises'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { scratch } from '../../server/testkit/node.ts'
import type { Crowd } from './clients.ts'
import { Embedded, runKills } from './embedded.ts'
import { runFleet } from './fleet-run.ts'

t.setTimeout(300_000)
const CROWD: Crowd = {
  rooms: 2,
  keyed: 2,
  receipted: 1,
  bare: 1,
  plain: 3,
  sluggish: 1,
  acknowledging: 2,
  lapsing: 1,
  stompjs: 1,
  strangers: 1,
  every: 60,
}

/** What a run prints is shown where it failed. */
const printing = (t: Test) => {
  const lines: string[] = []
  const show = (): void => lines.forEach(line => t.comment(line))
  return { print: (line: string): void => void lines.push(line), show }
}

void t.test('a fleet through some faults of every sort: no promise is broken', async t => {
  const { print, show } = printing(t)
  const seed = String(randomInt(1, 1_000_000))
  const durations = { away: [200, 1_000], stopped: [1_000, 2_000] } as const
  const { held, tally } = await runFleet({
    seed,
    cycles: 2,
    crowd: CROWD,
    durations,
    logTimeout: 2_000,
    folder: await scratch(t),
    print,
  })
  if (!t.ok(held, `SEED=${seed}`)) show()
  for (const count of ['acknowledged', 'delivered', 'resumed', 'ERROR FORBIDDEN']) t.ok(tally.of(count) > 0, count)
})

void t.test('a node that is killed while it writes, again and again: no promise is broken', async t => {
  const { print, show } = printing(t)
  const folder = await scratch(t)
  const seed = String(randomInt(1, 1_000_000))
  const { held, tally } = await runKills({ seed, folder, data: join(folder, 'data'), print }, 3)
  if (!t.ok(held, `SEED=${seed}`)) show()
  for (const count of ['acknowledged', 'delivered', 'resumed']) t.ok(tally.of(count) > 0, count)
})

void t.test('what is taken out of the log behind the back of its node is missed', async t => {
  const folder = await scratch(t)
  const data = join(folder, 'data')
  const embedded = await Embedded.start({ seed: '1', folder, data, print: () => undefined }, CROWD)
  t.teardown(() => embedded.close())
  await embedded.load(100)
  await embedded.node.kill()
  const files = await readdir(join(data, 'log'))
  for (const name of files.filter(each => each.endsWith('.log'))) await truncate(join(data, 'log', name), 20_000)
  await embedded.read()
  await embedded.node.start()
  await embedded.load(200)
  await embedded.node.kill()
  await embedded.read()
  t.ok(embedded.ledger.broken.some(({ breach }) => breach === 'lost'))
})
