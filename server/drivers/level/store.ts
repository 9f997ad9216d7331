import { readdir, stat, statfs } from 'node:fs/promises'
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

/** What is wrong with the folder, in words; `error` is what LevelDB said. */
export const explain = (folder: string, error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (noSpace(cause)) return `no space in ${folder}`
  return `${folder}: ${cause instanceof Error ? cause.message : String(cause)}`
}

const openLevel = async (folder: string): Promise<Level> => {
  // The larger buffer means fewer, larger table files; two of them may be in memory.
  const level: Level = new ClassicLevel(folder, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    writeBufferSize: 8 * MiB,
  })
  await level.open()
  return level
}

const isLocked = (error: unknown): boolean =>
  error instanceof Error && error.cause instanceof Error && 'code' in error.cause && error.cause.code === 'LEVEL_LOCKED'

/**
 * The LevelDB in a folder, which can be closed and opened again beneath its users: that is how it takes writes again
 * after one has failed. Reads wait meanwhile.
 */
export class Store {
  readonly folder: string
  #level: Level | undefined
  #opened: Promise<Level>
  #open: (level: Level) => void = () => {}
  #refuse: (error: Error) => void = () => {}

  private constructor(folder: string, level: Level) {
    this.folder = folder
    this.#level = level
    this.#opened = Promise.resolve(level)
  }

  /** Rejects with FolderError. */
  static async open(folder: string): Promise<Store> {
    try {
      const level = await openLevel(folder)
      const format = await level.get(FORMAT_ROW)
      if (format === undefined) await level.put(FORMAT_ROW, FORMAT, { sync: true })
      else if (!format.equals(FORMAT)) {
        await level.close()
        throw new FolderError(
          `the log in ${folder} has format ${format.toString('hex')}, which this version cannot read`,
        )
      }
      return new Store(folder, level)
    } catch (error) {
      if (error instanceof FolderError) throw error
      if (!isLocked(error))
        throw new FolderError(`the log cannot be opened: ${explain(folder, error)}`, { cause: error })
      throw new FolderError(
        `the folder ${folder} is in use by another node: stop that one, or give this one a folder of its own`,
        { cause: error },
      )
    }
  }

  /** False while it is being opened again. */
  get isOpen(): boolean {
    return this.#level !== undefined
  }

  /** At most `limit` rows and about 1 MiB. */
  async entries(range: Range, limit: number): Promise<[Buffer, Buffer][]> {
    const rows = (await this.#ready()).iterator({ ...range, limit, highWaterMarkBytes: PAGE_BYTES })
    try {
      return await rows.nextv(limit)
    } finally {
      await rows.close()
    }
  }

  /** All rows, in pages. */
  async *pages(range: Range): AsyncGenerator<[Buffer, Buffer][]> {
    const rows = (await this.#ready()).iterator({ ...range, highWaterMarkBytes: PAGE_BYTES })
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
    const rows = (await this.#ready()).keys({ ...range, limit, highWaterMarkBytes: PAGE_BYTES })
    try {
      return await rows.nextv(limit)
    } finally {
      await rows.close()
    }
  }

  async getMany(keys: Buffer[]): Promise<(Buffer | undefined)[]> {
    return (await this.#ready()).getMany(keys)
  }

  /** A set of rows to be written together. One at a time is written, and none after one has failed until `reopen`. */
  rows(): Rows {
    if (!this.#level) throw new Error('not open')
    return this.#level.batch()
  }

  /**
   * Closes and opens it again. Where the disk was full, first makes sure that there is room: LevelDB writes when it opens,
   * and until it can it had better stay open for reading.
   */
  async reopen(cause: unknown): Promise<void> {
    if (this.#level) {
      if (noSpace(cause)) await this.#requireRoom(cause)
      const { promise, resolve, reject } = Promise.withResolvers<Level>()
      promise.catch(() => {})
      this.#open = resolve
      this.#refuse = reject
      this.#opened = promise
      const level = this.#level
      this.#level = undefined
      await level.close()
    }
    this.#level = await openLevel(this.folder)
    this.#open(this.#level)
  }

  async close(): Promise<void> {
    this.#refuse(new Error('closed'))
    await this.#level?.close()
  }

  async #ready(): Promise<Level> {
    // What was waited for may be closing again by the time that this goes on.
    for (;;) {
      const opened = this.#opened
      const level = await opened
      if (opened === this.#opened) return level
    }
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
