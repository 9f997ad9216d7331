import { access, mkdir, readdir, realpath, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel, type ChainedBatch } from 'classic-level'
import { FORMAT, FORMAT_ROW } from './rows.ts'

type Level = ClassicLevel<Buffer, Buffer>
export type Rows = ChainedBatch<Level, Buffer, Buffer>
interface Range {
  readonly gte?: Buffer
  readonly lt?: Buffer
}

const MiB = 1024 * 1024
/** How much one call of `entries` reads at most, give or take a row. */
const PAGE_BYTES = MiB
const PAGE_ROWS = 1000

/** The folder cannot be used. The message is one line for whoever starts the node. */
export class FolderError extends Error {
  override readonly name = 'FolderError'
}

const noSpace = (error: unknown): boolean =>
  error instanceof Error && /no space left|quota exceeded/i.test(error.message)

const inUse = (folder: string): string =>
  `${folder} is in use by another node: stop that one, or give this one a folder of its own`

/** What is wrong with the folder, in words; `error` is what LevelDB said. */
export const explain = (folder: string, error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (noSpace(cause)) return `no space in ${folder}`
  if (cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED') return inUse(folder)
  return `${folder}: ${cause instanceof Error ? cause.message : String(cause)}`
}

const openLevel = async (folder: string, createIfMissing: boolean): Promise<Level> => {
  // The larger buffer means fewer, larger table files; two of them may be in memory.
  const options = { keyEncoding: 'buffer', valueEncoding: 'buffer', writeBufferSize: 8 * MiB, createIfMissing } as const
  const level: Level = new ClassicLevel(folder, options)
  await level.open()
  return level
}

/** Throws FolderError where somebody else's rows are in `level`. */
const requireFormat = async (folder: string, level: Level): Promise<void> => {
  const format = await level.get(FORMAT_ROW)
  if (format?.equals(FORMAT)) return
  const [row] = await level.keys({ limit: 1 }).all()
  if (row) throw new FolderError(`${folder} holds ${format ? 'a log of another version' : 'something else than a log'}`)
  await level.put(FORMAT_ROW, FORMAT, { sync: true })
}

/**
 * The folders that are open in this process. LevelDB refuses to open one twice, but on the way it gives up the lock that
 * keeps other processes out.
 */
const taken = new Set<string>()

const take = (folder: string, path: string): string => {
  if (taken.has(path)) throw new FolderError(inUse(folder))
  taken.add(path)
  return path
}

/**
 * The LevelDB in a folder, which can be closed and opened again beneath its users: that is how it takes writes again
 * after one has failed. Reads wait meanwhile.
 */
export class Store {
  readonly folder: string
  readonly #path: string
  /** Undefined while it is not open. */
  #level: Level | undefined
  /** The next one, for those who wait. */
  #next = Promise.withResolvers<Level>()

  private constructor(folder: string, path: string, level: Level) {
    this.folder = folder
    this.#path = path
    this.#level = level
  }

  /** Rejects with FolderError. */
  static async open(folder: string): Promise<Store> {
    let path: string | undefined
    let level: Level | undefined
    try {
      await mkdir(folder, { recursive: true })
      path = take(folder, await realpath(folder))
      level = await openLevel(path, true)
      await requireFormat(folder, level)
      return new Store(folder, path, level)
    } catch (error) {
      await level?.close()
      if (path !== undefined) taken.delete(path)
      if (error instanceof FolderError) throw error
      throw new FolderError(explain(folder, error), { cause: error })
    }
  }

  /** False while it is being opened again. */
  get isOpen(): boolean {
    return this.#level !== undefined
  }

  /** At most `limit` rows and about 1 MiB. */
  async entries(range: Range, limit: number): Promise<[Buffer, Buffer][]> {
    const level = this.#level ?? (await this.#next.promise)
    const rows = level.iterator({ ...range, limit, highWaterMarkBytes: PAGE_BYTES })
    try {
      return await rows.nextv(limit)
    } finally {
      await rows.close()
    }
  }

  /** All rows, in pages. */
  async *pages(range: Range): AsyncGenerator<[Buffer, Buffer][]> {
    const level = this.#level ?? (await this.#next.promise)
    const rows = level.iterator({ ...range, highWaterMarkBytes: PAGE_BYTES })
    try {
      for (;;) {
        const page = await rows.nextv(PAGE_ROWS)
        if (page.length === 0) return
        yield page
      }
    } finally {
      await rows.close()
    }
  }

  /** At most `limit` keys of rows. */
  async keys(range: Range & { reverse?: boolean }, limit: number): Promise<Buffer[]> {
    const level = this.#level ?? (await this.#next.promise)
    const rows = level.keys({ ...range, limit, highWaterMarkBytes: PAGE_BYTES })
    try {
      return await rows.nextv(limit)
    } finally {
      await rows.close()
    }
  }

  async getMany(rows: Buffer[]): Promise<(Buffer | undefined)[]> {
    const level = this.#level ?? (await this.#next.promise)
    return level.getMany(rows)
  }

  /** A set of rows to be written together. One at a time is written, and none after one has failed until `reopen`. */
  rows(): Rows {
    return this.#level!.batch()
  }

  /**
   * Closes and opens it again. Where the disk was full, first makes sure that there is room: LevelDB writes when it opens,
   * and until it can it had better stay open for reading.
   */
  async reopen(cause: unknown): Promise<void> {
    if (this.#level) {
      if (noSpace(cause)) await this.#requireRoom(cause)
      const level = this.#level
      this.#level = undefined
      this.#next = Promise.withResolvers()
      await level.close()
    }
    // A folder that has vanished is no empty log, nor to be made again: LevelDB would.
    await access(join(this.#path, 'CURRENT'))
    this.#level = await openLevel(this.#path, false)
    this.#next.resolve(this.#level)
  }

  async close(): Promise<void> {
    this.#next.promise.catch(() => {})
    this.#next.reject(new Error('closed'))
    await this.#level?.close()
    taken.delete(this.#path)
  }

  /** What is in LevelDB's log goes into a table file when it opens. */
  async #requireRoom(cause: unknown): Promise<void> {
    let needed = MiB
    for (const name of await readdir(this.folder)) {
      if (name.endsWith('.log')) needed += (await stat(join(this.folder, name))).size
    }
    const { bavail, bsize } = await statfs(this.folder)
    if (bavail * bsize < needed) throw cause
  }
}
