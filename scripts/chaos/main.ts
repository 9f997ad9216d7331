/**
 * Faults at random, and a count of what became of every message: `make chaos`.
 *
 * `SEED` repeats the choices of an earlier run, `CYCLES` says how many.
 */
import { randomInt } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isEnding, runScript, ScriptError } from '../launch.ts'
import type { Crowd } from './clients.ts'
import type { Durations } from './faults.ts'
import { runFleet } from './fleet-run.ts'
import { runKills } from './embedded.ts'
import { inNamespace } from './full-disk.ts'
import { seconds } from './report.ts'

const whole = (name: string, fallback: number): number => {
  const text = process.env[name] || String(fallback)
  if (!/^\d{1,9}$/.test(text)) throw new ScriptError(`${name}=${text}: a whole number`)
  return Number(text)
}

const print = (line: string): void => void process.stdout.write(`${line}\n`)

const CROWD: Crowd = {
  rooms: 6,
  keyed: 4,
  receipted: 2,
  bare: 1,
  plain: 12,
  sluggish: 4,
  acknowledging: 6,
  lapsing: 6,
  stompjs: 2,
  strangers: 2,
  every: 300,
}

/** Runs one part in a folder of its own, which stays where a promise was broken. */
const part = async (name: string, run: (folder: string) => Promise<{ readonly held: boolean }>): Promise<boolean> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-chaos-'))
  const began = performance.now()
  let held = false
  print(name)
  try {
    held = (await run(folder)).held
  } finally {
    if (held || isEnding()) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    else print(`The logs are in ${folder}`)
  }
  const result = held ? 'every promise held' : isEnding() ? 'ended before its end' : 'PROMISES WERE BROKEN'
  print(`${result}, ${seconds(performance.now() - began)}\n`)
  return held
}

await runScript(async () => {
  const seed = String(whole('SEED', randomInt(1, 1_000_000)))
  const which = process.env['PART'] || 'all'
  if (!['all', 'fleet', 'embedded'].includes(which)) throw new ScriptError(`PART=${which}: all, fleet or embedded`)
  const cycles = whole('CYCLES', 100)
  const kills = whole('KILLS', 50)
  print(`SEED=${seed}`)
  const held: boolean[] = []
  if (which !== 'fleet') {
    const killed = `An embedded node, killed ${kills} times with -9 under load`
    held.push(await part(killed, folder => runKills({ seed, folder, data: join(folder, 'data'), print }, kills)))
    const full = 'An embedded node on a disk that is full'
    held.push(await part(full, async folder => ({ held: (await inNamespace(folder, seed)) === 0 })))
  }
  if (which !== 'embedded') {
    const durations: Durations = { away: [500, 8_000], stopped: [5_000, 30_000] }
    const fleet = `A fleet of three nodes on three brokers, ${cycles} cycles of faults`
    held.push(
      await part(fleet, folder =>
        runFleet({ seed, cycles, crowd: CROWD, durations, logTimeout: 8_000, folder, print }),
      ),
    )
  }
  return held.every(Boolean) ? 0 : 1
})
