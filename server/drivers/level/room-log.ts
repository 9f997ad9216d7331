import { fail } from '../../errors.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Logger } from '../../ports/logger.ts'
import type {
  Bounds,
  LogRecord,
  NewRecord,
  Offset,
  Position,
  RoomId,
  RoomLog,
  Sink,
  Tail,
} from '../../ports/room-log.ts'
import type { Batch } from './batch.ts'
import { Keys } from './keys.ts'
import { bytesAtMost } from './record.ts'
import { Removals, type Removal } from './removals.ts'
import type { Room } from './room.ts'
import { Rooms } from './rooms.ts'
import { FORMAT, FORMAT_ROW } from './rows.ts'
import { explain, FolderError, Store } from './store.ts'
import { Writer, type Book, type Task } from './writer.ts'

export { FolderError }

export interface LevelLogOptions {
  /** Made where it does not exist. One driver at a time can have it open. */
  readonly folder: string
  readonly roomsMax: number
  /** ms */
  readonly idempotencyWindow: number
  /** How long a call of `append` or `create` waits before it is rejected, ms; 15 s, unless it says otherwise. */
  readonly logTimeout?: number
  readonly logger: Logger
  /** Epoch ms */
  readonly now?: () => number
}

const APPEND_BYTES = 4 * 1024 * 1024
const LOG_TIMEOUT = 15_000

interface LogTask extends Task {
  /** The room whose place has to be known. */
  readonly room?: RoomId
  readonly records?: readonly NewRecord[]
}

/** The room log in a folder of this machine, for a node that runs alone. Rejects with FolderError. */
export const openLevelLog = async (options: LevelLogOptions): Promise<Driver<RoomLog>> => {
  const store = await Store.open(options.folder)
  try {
    const log = new LevelLog(store, options)
    await log.load()
    return { port: log, check: timeout => log.check(timeout), close: () => log.close() }
  } catch (error) {
    await store.close()
    throw new FolderError(explain(options.folder, error), { cause: error })
  }
}

class Append implements LogTask {
  readonly bytes: number
  readonly room: RoomId
  readonly records: readonly NewRecord[]
  readonly deadline: number
  readonly refuse: (error: Error) => void
  readonly #log: LevelLog
  readonly #resolve: (positions: Position[]) => void
  #positions: Position[] = []

  constructor(
    log: LevelLog,
    room: RoomId,
    records: readonly NewRecord[],
    deadline: number,
    resolve: (positions: Position[]) => void,
    refuse: (error: Error) => void,
  ) {
    this.bytes = records.reduce((sum, record) => sum + bytesAtMost(record), 0)
    this.room = room
    this.records = records
    this.deadline = deadline
    this.refuse = refuse
    this.#log = log
    this.#resolve = resolve
  }

  build(batch: Batch): void {
    this.#positions = this.#log.place(batch, this.room, this.records)
  }

  done(): void {
    this.#resolve(this.#positions)
  }
}

class LevelLog implements RoomLog, Book<LogTask> {
  readonly #store: Store
  readonly #rooms: Rooms
  readonly #keys: Keys
  readonly #removals: Removals
  readonly #writer: Writer<LogTask>
  readonly #timeout: number
  #closed = false

  constructor(store: Store, options: LevelLogOptions) {
    const { roomsMax, idempotencyWindow, logTimeout = LOG_TIMEOUT, logger, now = Date.now } = options
    this.#store = store
    this.#timeout = logTimeout
    this.#rooms = new Rooms(store, roomsMax)
    this.#keys = new Keys(store, idempotencyWindow)
    this.#removals = new Removals(store, build => this.#change(build))
    this.#writer = new Writer(store, this, now, logger)
  }

  async create(rooms: readonly RoomId[]): Promise<void> {
    this.#requireOpen()
    if (rooms.every(id => this.#rooms.get(id)?.settled)) return
    let made: Room[] = []
    await this.#change(batch => void (made = this.#rooms.make(batch, rooms)), {
      deadline: this.#deadline(),
      done: () => {
        for (const room of made) room.settled = true
      },
    })
  }

  append(id: RoomId, records: readonly NewRecord[]): Promise<Position[]> {
    return new Promise((resolve, reject) => {
      const append = new Append(this, id, records, this.#deadline(), resolve, reject)
      if (append.bytes > APPEND_BYTES) throw fail('FRAME_TOO_LARGE', `${append.bytes} bytes in one write`)
      this.#writer.push(append)
    })
  }

  place(batch: Batch, id: RoomId, records: readonly NewRecord[]): Position[] {
    const room = this.#rooms.require(id)
    return records.map(record => ({ epoch: room.epoch, offset: this.#keys.append(batch, room, record) }))
  }

  async tail(id: RoomId, from: Offset | 'end', sink: Sink): Promise<Tail> {
    const room = await this.#find(id)
    return room.tail(from, sink)
  }

  async read(id: RoomId, from: Offset, limit: number): Promise<LogRecord[]> {
    const room = await this.#find(id)
    const records = await this.#reading(room.read(from, limit))
    this.#rooms.requireStill(room)
    return records
  }

  async bounds(id: RoomId): Promise<Bounds> {
    const { epoch, first, end } = await this.#find(id)
    return { epoch, first, next: end }
  }

  async remove(id: RoomId, before?: Offset): Promise<void> {
    const existing = this.#rooms.get(id)
    // A create that is called after this one comes after it.
    if (existing && before === undefined) existing.settled = false
    let removal: Removal | undefined
    const build = (batch: Batch): void => {
      const room = this.#rooms.get(id)
      if (room) removal = before === undefined ? this.#rooms.remove(batch, room) : this.#rooms.cut(batch, room, before)
    }
    await this.#change(build, { room: id })
    if (removal) this.#removals.add(removal)
  }

  async load(): Promise<void> {
    await this.#rooms.load()
    await this.#removals.resume()
  }

  /** Rejects with what is wrong in words for an operator. A write shows what a read cannot: a disk that is full. */
  async check(timeout: number): Promise<void> {
    if (this.#closed) throw new Error('the log is closed')
    const { trouble } = this.#writer
    if (trouble) throw new Error(trouble)
    const { promise: late, reject } = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => reject(new Error(`${this.#store.folder} took more than ${timeout} ms to write`)),
      timeout,
    )
    try {
      await Promise.race([this.#change(batch => batch.put(FORMAT_ROW, FORMAT)), late])
    } catch (error) {
      throw this.#writer.trouble ? new Error(this.#writer.trouble, { cause: error }) : error
    } finally {
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#writer.close()
    await this.#removals.idle()
    this.#rooms.leave()
    await this.#store.close()
  }

  prepare(tasks: readonly LogTask[], batch: Batch): Promise<unknown> | undefined {
    const finding: Promise<void>[] = []
    const keyed: [Room, NewRecord][] = []
    for (const { room: id, records = [] } of tasks) {
      const room = id === undefined ? undefined : this.#rooms.get(id)
      if (!room) continue
      if (!room.found) finding.push(room.find())
      for (const record of records) if (record.key !== undefined) keyed.push([room, record])
    }
    const looking = this.#keys.prepare(batch, keyed)
    return finding.length > 0 ? Promise.all([...finding, looking]) : looking
  }

  written(batch: Batch): void {
    for (const [room, records] of batch.appended) room.appended(records, room.next)
    for (const room of batch.removed) room.leave(fail('NO_SUCH_ROOM', room.id))
  }

  async reload(failed: Batch): Promise<void> {
    await this.#rooms.load(failed.removed)
    await this.#removals.resume()
  }

  #change(
    build: (batch: Batch) => void,
    { done, ...more }: Partial<Pick<LogTask, 'room' | 'deadline' | 'done'>> = {},
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const told = (): void => {
        done?.()
        resolve()
      }
      this.#writer.push({ bytes: 0, build, done: told, refuse: reject, ...more })
    })
  }

  #deadline(): number {
    return performance.now() + this.#timeout
  }

  #requireOpen(): void {
    if (this.#closed) throw fail('LOG_UNAVAILABLE', undefined, { cause: new Error('the log is closed') })
  }

  /** The room, with its end found. */
  async #find(id: RoomId): Promise<Room> {
    this.#requireOpen()
    if (!this.#store.isOpen) throw fail('LOG_UNAVAILABLE', undefined, { cause: new Error(this.#writer.trouble) })
    const room = this.#rooms.require(id)
    if (room.found) return room
    await this.#reading(room.find())
    this.#rooms.requireStill(room)
    return room
  }

  async #reading<T>(promise: Promise<T>): Promise<T> {
    try {
      return await promise
    } catch (error) {
      throw fail('LOG_UNAVAILABLE', undefined, { cause: error })
    }
  }
}
