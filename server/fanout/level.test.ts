import { setImmediate as immediate } from 'node:timers/promises'
import t from 'tap'
import { openLevelLog } from '../drivers/level/room-log.ts'
import type { RoomLog } from '../ports/room-log.ts'
import { FanOut, until, type Fan } from '../testkit/fan.ts'
import { scratch } from '../testkit/node.ts'
import { Reader } from '../testkit/reader.ts'
import { parseMessageId } from './destination.ts'
import type { Start } from './start.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const RECORDS = 1500

/** Opens and shuts as it gets more, each at its own pace; a slow one is never open for long. */
class Fitful extends Reader {
  readonly #patience: number
  #left: number

  constructor(patience: number) {
    super()
    this.#left = this.#patience = patience
  }

  override push(bytes: Buffer, frames: number): void {
    super.push(bytes, frames)
    this.#left -= frames
    if (this.#left > 0 || !this.open) return
    this.open = false
    this.#left = this.#patience
    setImmediate(() => setImmediate(() => (this.open = true)))
  }
}

const write = async (log: RoomLog, room: string): Promise<void> => {
  for (let n = 0; n < RECORDS;) {
    const some = Array.from({ length: Math.min(1 + (n % 17), RECORDS - n) }, (_, i) => ({
      sender: 'ann',
      headers: new Map([['n', String(n + i)]]),
      body: Buffer.from(`${n + i}`.padEnd(n % 5 === 0 ? 2000 : 20)),
    }))
    n += some.length
    await log.append(room, some)
  }
}

/** What it got is a part of what was written, without a gap or a repeat, up to the last record. */
const isWhole = ({ reader }: Fan): boolean => {
  if (Number(reader.frames.at(-1)?.body.toString()) !== RECORDS - 1) return false
  const got = reader.frames.map(({ body }) => Number(body.toString()))
  return got.every((n, i) => i === 0 || n === got[i - 1]! + 1)
}

void t.test(
  'on the embedded log, while it is written to: those who come, come back, are slow or have a window',
  async t => {
    const driver = await openLevelLog({
      folder: await scratch(t),
      roomsMax: 10,
      idempotencyWindow: 600_000,
      logger: silent,
    })
    t.teardown(() => driver.close())
    await driver.port.create(['room'])
    // Too little for all of it, so that many read the log.
    const fan = new FanOut(driver.port, { recentBytes: 400_000 })
    const fans: Fan[] = []
    const all: Promise<void>[] = []
    const join = async (start: Start, patience: number, window?: number): Promise<Fan> => {
      const reader = new Fitful(patience)
      const joined = await fan.join('room', start, { reader, ...(window === undefined ? {} : { window }) })
      fans.push(joined)
      if (window !== undefined) all.push(acknowledge(joined))
      return joined
    }
    const acknowledge = async ({ subscription, reader }: Fan): Promise<void> => {
      for (let acked = 0; !subscription.ended && acked < RECORDS;) {
        while (acked < reader.frames.length)
          subscription.acknowledge(reader.frames[acked++]!.headers.get('message-id')!)
        if (Number(reader.frames.at(-1)?.body.toString()) === RECORDS - 1) return
        await immediate()
      }
    }
    const first = await join('now', Infinity)
    const writing = write(driver.port, 'room')
    for (let i = 0; i < 40; i++) {
      await until(() => first.reader.frames.length >= i * 30)
      const { epoch, offset } = parseMessageId(first.reader.frames.at(-1)?.headers.get('message-id') ?? 'x-0')!
      const back = offset - BigInt(i * 20)
      const after = { epoch, offset: back > 0n ? back : 0n }
      await join(
        i % 3 === 0 ? 'now' : i % 3 === 1 ? { last: 1 + i * 7 } : { after },
        20 + i * 10,
        i % 4 === 0 ? 30 : undefined,
      )
    }
    await writing
    await until(() => fans.every(isWhole), 'all to have everything')
    await Promise.all(all)
    const counted = fan.counted.get('slowSubscribers') ?? 0
    t.ok(counted > 0, `${counted} times someone was slow`)
    t.equal(first.reader.frames.length, RECORDS)
    t.ok(fan.hub.recentBytes <= 400_000)
    for (const { subscription, ends } of fans) {
      t.same(ends, [])
      subscription.end()
    }
    await until(() => fan.hub.rooms === 0)
    t.equal(fan.hub.recentBytes, 0)
  },
)
