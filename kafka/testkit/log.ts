import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { Logger } from '../../server/ports/logger.ts'
import type { LogRecord, NewRecord, Offset, RoomId, RoomLog, Sink } from '../../server/ports/room-log.ts'
import { memoryClaims } from '../../server/drivers/memory/claims.ts'
import { openKafkaLog } from '../room-log.ts'
import type { KafkaLogOptions } from '../room-log.ts'

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/** Opens the log of a test, on one copy unless it says otherwise. */
export const openLog = async (t: Test, brokers: string, options: Partial<KafkaLogOptions> = {}) => {
  const logged: string[] = []
  const warned: { readonly fields: object; readonly message: string }[] = []
  const note = (_fields: object, message: string): void => void logged.push(message)
  const warn = (fields: object, message: string): void => {
    logged.push(message)
    warned.push({ fields, message })
  }
  const logger: Logger = { debug: note, info: note, warn, error: note }
  const driver = await openKafkaLog({
    brokers: brokers.split(','),
    replication: 1,
    retentionMs: -1,
    logTimeout: 15_000,
    queueBytes: 64 * 1024 * 1024,
    roomsMax: 100_000,
    claims: memoryClaims({ window: 600_000 }).port,
    idempotencyWindow: 600_000,
    logger,
    ...options,
  })
  t.teardown(() => driver.close())
  return { ...driver, log: driver.port, logged, warned }
}

/** A room that no other test knows, also in a Kafka that outlives it. */
export const newRoom = async (log: RoomLog): Promise<RoomId> => {
  const room = `test-${randomBytes(8).toString('hex')}`
  await log.create([room])
  return room
}

export const record = (body: string | Buffer, more: Partial<NewRecord> = {}): NewRecord => ({
  sender: 'ann',
  headers: new Map(),
  body: Buffer.from(body),
  ...more,
})
export const append = async (log: RoomLog, room: RoomId, body: string | Buffer): Promise<Offset> =>
  (await log.append(room, [record(body)]))[0]!.offset

export const bodies = (records: readonly LogRecord[]): string[] => records.map(({ body }) => body.toString())
export const offsets = (records: readonly { offset: Offset }[]): Offset[] => records.map(({ offset }) => offset)

/** All that is in the room. */
export const readAll = async (log: RoomLog, room: RoomId): Promise<LogRecord[]> => {
  const all: LogRecord[] = []
  for (let next = 0n; ; next = all.at(-1)!.offset + 1n) {
    const page = await log.read(room, next, 1000)
    if (page.length === 0) return all
    all.push(...page)
  }
}

/** A sink that keeps what it is given, and says when something is there. */
export const collector = () => {
  const records: LogRecord[] = []
  const ended = Promise.withResolvers<Error | undefined>()
  const waiting = new Set<() => void>()
  const sink: Sink = {
    records(batch) {
      records.push(...batch)
      for (const look of waiting) look()
    },
    end: error => ended.resolve(error),
  }
  const until = (enough: () => boolean): Promise<LogRecord[]> =>
    new Promise(resolve => {
      const look = (): void => {
        if (!enough()) return
        waiting.delete(look)
        resolve(records)
      }
      waiting.add(look)
      look()
    })
  return {
    sink,
    records,
    ended: ended.promise,
    count: (count: number) => until(() => records.length >= count),
    body: (body: string) => until(() => records.some(each => each.body.toString() === body)),
  }
}
