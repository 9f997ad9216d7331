/**
 * Faults at random, and a count of what became of every message: `make chaos`.
 *
 * `SEED` repeats the choices of an earlier run, `CYCLES` says how many.
 */
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runScript, ScriptError } from '../launch.ts'
import { runFleet } from './fleet-run.ts'
import { print } from './report.ts'

const whole = (name: string, fallback: number): number => {
  const text = process.env[name] || String(fallback)
  if (!/^\d{1,9}$/.test(text)) throw new ScriptError(`${name}=${text}: a whole number`)
  return Number(text)
}

await runScript(async () => {
  const seed = whole('SEED', randomInt(1, 1_000_000))
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-chaos-'))
  print(`SEED=${seed}`)
  const held = await runFleet({
    seed: String(seed),
    cycles: whole('CYCLES', 100),
    crowd: {
      rooms: 6,
      keyed: 4,
      receipted: 2,
      bare: 1,
      plain: 12,
      sluggish: 4,
      acknowledging: 6,
      lapsing: 6,
      strangers: 2,
      every: 300,
    },
    durations: { away: [500, 8_000], stopped: [5_000, 30_000] },
    folder,
    print,
  })
  if (held) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  return held ? 0 : 1
})
