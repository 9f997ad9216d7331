/**
 * The embedded log against bare classic-level, in one run: `node scripts/bench/level-driver.ts [rounds]`.
 *
 * Both write the same rows, synced to disk. The bare limit writes batches of 50, one after the other; the driver has
 * publishers that each wait for their record to be durable before they send the next one.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { bytesAtMost, encode } from '../../server/drivers/level/record.ts'
import { openLevelLog } from '../../server/drivers/level/room-log.ts'
import { recordRow } from '../../server/drivers/level/rows.ts'
import type { NewRecord } from '../../server/ports/room-log.ts'

interface Result {
  readonly perSecond: number
  /** CPU of the whole process, LevelDB's threads included. */
  readonly cpuMicrosecondsPerRecord: number
}
type Run = (folder: string) => Promise<number>

const ROUNDS = Number(process.argv[2] ?? 5)
const record = (key?: string): NewRecord => ({
  sender: 'publisher',
  headers: new Map([
    ['content-type', 'text/plain'],
    ['content-length', '200'],
  ]),
  body: Buffer.alloc(200, 'hoofbeat '),
  ...(key !== undefined && { key }),
})
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** Synced batches of `group` rows, one after the other. */
const bare =
  (group: number, total: number): Run =>
  async folder => {
    const level = new ClassicLevel<Buffer, Buffer>(folder, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      writeBufferSize: 8 * 1024 * 1024,
    })
    await level.open()
    const life = Buffer.alloc(8, 1)
    const into = Buffer.alloc(bytesAtMost(record()))
    const value = into.subarray(0, encode(record(), Date.now(), into))
    for (let offset = 0; offset < total;) {
      const batch = level.batch()
      for (const end = Math.min(offset + group, total); offset < end; offset++) {
        batch.put(recordRow(life, BigInt(offset)), value)
      }
      await batch.write({ sync: true })
    }
    await level.close()
    return total
  }

interface Load {
  readonly publishers: number
  /** Records that each publisher has under way at once. */
  readonly outstanding: number
  readonly total: number
  readonly keys?: boolean
}

const driver =
  ({ publishers, outstanding, total, keys = false }: Load): Run =>
  async folder => {
    const log = await openLevelLog({ folder, roomsMax: 100, idempotencyWindow: 600_000, logger: silent })
    await log.port.create(['room'])
    let left = total
    let delivered = 0
    await log.port.tail('room', 'end', { records: batch => void (delivered += batch.length), end() {} })
    const publish = async (): Promise<void> => {
      while (left > 0) {
        left--
        await log.port.append('room', [record(keys ? `key-${left}` : undefined)])
      }
    }
    await Promise.all(Array.from({ length: publishers * outstanding }, publish))
    await log.close()
    if (delivered !== total) throw new Error(`${delivered} of ${total} delivered`)
    return total
  }

const measure = async (run: Run): Promise<Result> => {
  const folder = await mkdtemp(join(resolve(process.env['BENCH_DIR'] ?? '.'), 'bench-level-'))
  const cpu = process.cpuUsage()
  const start = performance.now()
  const records = await run(folder)
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await rm(folder, { recursive: true })
  return { perSecond: records / seconds, cpuMicrosecondsPerRecord: (user + system) / records }
}

const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!
const shown = (results: Result[]): string => {
  const rates = results.map(result => result.perSecond)
  const [middle, least, most] = [median(rates), Math.min(...rates), Math.max(...rates)].map(rate => Math.round(rate))
  const cpu = median(results.map(result => result.cpuMicrosecondsPerRecord)).toFixed(1)
  return `${middle}/s (${least} to ${most}), ${cpu} µs CPU a record`
}

const runs: Record<string, Run> = {
  'bare, batches of 50': bare(50, 20_000),
  'driver, 50 publishers with one each': driver({ publishers: 50, outstanding: 1, total: 20_000 }),
  'the same with idempotency keys': driver({ publishers: 50, outstanding: 1, total: 20_000, keys: true }),
  'bare, batches of 1000': bare(1000, 100_000),
  'driver, 500 publishers with 20 each': driver({ publishers: 500, outstanding: 20, total: 100_000 }),
}
const results = new Map<string, Result[]>(Object.keys(runs).map(name => [name, []]))
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, run] of Object.entries(runs)) {
    const result = await measure(run)
    // The first round warms up.
    if (round > 0) results.get(name)!.push(result)
  }
}
for (const [name, list] of results) console.log(`${name}: ${shown(list)}`)
const ratio = (name: string, limit: string): string => {
  const ratios = results.get(name)!.map((result, i) => result.perSecond / results.get(limit)![i]!.perSecond)
  return median(ratios).toFixed(2)
}
console.log(`ratio, 50 × 1: ${ratio('driver, 50 publishers with one each', 'bare, batches of 50')}`)
console.log(`ratio, 50 × 1 with keys: ${ratio('the same with idempotency keys', 'bare, batches of 50')}`)
console.log(`ratio, 500 × 20: ${ratio('driver, 500 publishers with 20 each', 'bare, batches of 1000')}`)
