import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import type { Test } from 'tap'
import type { Driver } from '../../../ports/driver.ts'
import type { LogRecord, NewRecord, Offset, RoomId, RoomLog, Sink } from '../../../ports/room-log.ts'
import { openLevelLog, type LevelLogOptions } from '../room-log.ts'

interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: object
  readonly message: string
}

export const newFolder = async (t: Test): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-level-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export interface OpenedLog {
  readonly log: RoomLog
  readonly driver: Driver<RoomLog>
  readonly close: () => Promise<void>
  readonly lines: Line[]
}

/** Opens the log in `folder`; it is closed with the test, or earlier. */
export const openLog = async (t: Test, folder: string, options: Partial<LevelLogOptions> = {}): Promise<OpenedLog> => {
  const lines: Line[] = []
  const write = (level: Line['level']) => (fields: object, message: string) =>
    void lines.push({ level, fields, message })
  const logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const driver = await openLevelLog({ folder, roomsMax: 1000, idempotencyWindow: 600_000, logger, ...options })
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => (closing ??= driver.close())
  t.teardown(close)
  return { log: driver.port, driver, close, lines }
}

export const record = (text: string, key?: string): NewRecord => ({
  sender: 'ann',
  headers: new Map([['n', text]]),
  body: Buffer.from(text),
  ...(key !== undefined && { key }),
})

export const append = async (log: RoomLog, room: RoomId, text: string, key?: string): Promise<Offset> =>
  (await log.append(room, [record(text, key)]))[0]!.offset

/** Appends again and again until it is done: each time waits for an attempt to open the store again. */
export const appendAtLast = async (
  t: Test,
  log: RoomLog,
  room: RoomId,
  text: string,
  key?: string,
): Promise<Offset> => {
  for (;;) {
    try {
      return await append(log, room, text, key)
    } catch (error) {
      t.match(error, { code: 'LOG_UNAVAILABLE' })
    }
  }
}

export const bodies = (records: readonly LogRecord[]): string[] => records.map(each => each.body.toString())

export const readAll = async (log: RoomLog, room: RoomId): Promise<LogRecord[]> => {
  const all: LogRecord[] = []
  for (;;) {
    const page = await log.read(room, all.length > 0 ? all.at(-1)!.offset + 1n : 0n, 1000)
    if (page.length === 0) return all
    all.push(...page)
  }
}

/** A sink that keeps what it is given. `reached` resolves when it has the record at an offset. */
export const collector = () => {
  const records: LogRecord[] = []
  const ended = Promise.withResolvers<Error | undefined>()
  const waiting = new Map<Offset, () => void>()
  const sink: Sink = {
    records(batch) {
      records.push(...batch)
      for (const { offset } of batch) waiting.get(offset)?.()
    },
    end: error => ended.resolve(error),
  }
  const reached = async (offset: Offset): Promise<void> => {
    if (!records.some(each => each.offset === offset)) await new Promise<void>(resolve => waiting.set(offset, resolve))
  }
  return { sink, records, ended: ended.promise, reached }
}

interface Writing {
  readonly rows: number
  readonly sync: boolean
  /** Does it, as LevelDB would have. */
  readonly write: () => Promise<void>
}

type Write = (this: { length: number }, options?: { sync?: boolean }) => Promise<void>

/** Has `instead` called for every write to any LevelDB of this process until the test is over. */
export const interceptWrites = async (t: Test, instead: (writing: Writing) => Promise<void>): Promise<void> => {
  const level = new ClassicLevel(await newFolder(t))
  await level.open()
  const batch = level.batch()
  const prototype = Object.getPrototypeOf(batch) as { write: Write }
  await batch.close()
  await level.close()
  const real = prototype.write
  prototype.write = function (options) {
    return instead({ rows: this.length, sync: options?.sync === true, write: () => real.call(this, options) })
  }
  t.teardown(() => void (prototype.write = real))
}

/** How many rows of each kind are in the log that is closed. */
export const rowsIn = async (folder: string): Promise<Record<string, number>> => {
  const level = new ClassicLevel(folder, { createIfMissing: false })
  const counts: Record<string, number> = {}
  for await (const row of level.keys()) counts[row[0]!] = (counts[row[0]!] ?? 0) + 1
  await level.close()
  return counts
}
