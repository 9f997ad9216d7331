import { fail, toHoofbeatError } from '../../errors.ts'
import type { Logger } from '../../ports/logger.ts'
import { Batch } from './batch.ts'
import { explain, type Store } from './store.ts'

/** Something that is to be written. */
export interface Task {
  /** About how much it adds to a batch. */
  readonly bytes: number
  /**
   * When it is refused if it is not durable, as `performance.now()` tells time; later tasks have none or later ones. Where
   * it is being written by then it may become durable, and is done, nevertheless.
   */
  readonly deadline?: number
  /** Adds its rows to `batch`. What it throws refuses this task alone: it has not added any then. */
  build(batch: Batch): void
  /** It is durable. */
  done(): void
  refuse(error: Error): void
}

/** What the writer asks of those that know what the tasks are about. */
export interface Book<T extends Task> {
  /** Reads whatever building the tasks needs to know. Answers undefined where all is known. */
  prepare(tasks: readonly T[], batch: Batch): Promise<unknown> | undefined
  /** The batch is durable. */
  written(batch: Batch): void
  /** The store was opened again; what is there of `failed` has happened, the rest has not. */
  reload(failed: Batch): Promise<void>
}

const BATCH_BYTES = 4 * 1024 * 1024
const BATCH_TASKS = 1000
/** ms between attempts to open a store again that refused a write. */
const RETRY = 250

/**
 * The only one who writes to the store: all that comes in one turn of the event loop in one synced batch, one batch at a
 * time, and what comes meanwhile in the next.
 *
 * There is never a second write beside or after one that failed: LevelDB's log may be torn at that place, and what is
 * written behind the tear would be lost when it is opened again, synced or not. So the store is opened again first.
 */
export class Writer<T extends Task> {
  readonly #store: Store
  readonly #book: Book<T>
  readonly #now: () => number
  readonly #logger: Logger
  #queue: T[] = []
  #writing: T[] = []
  #expiry: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #failed: { readonly batch: Batch; cause: unknown } | undefined
  #closed = false

  constructor(store: Store, book: Book<T>, now: () => number, logger: Logger) {
    this.#store = store
    this.#book = book
    this.#now = now
    this.#logger = logger
  }

  /** What keeps it from writing, if anything does. */
  get trouble(): string | undefined {
    return this.#failed && explain(this.#store.folder, this.#failed.cause)
  }

  push(task: T): void {
    if (this.#closed) {
      task.refuse(fail('LOG_UNAVAILABLE', undefined, { cause: new Error('the log is closed') }))
      return
    }
    this.#queue.push(task)
    if (task.deadline !== undefined) this.#expiry ??= this.#expireAt(task.deadline)
    if (this.#retry) this.#retry.ref()
    else this.#running ??= this.#run()
  }

  /** Writes what is queued, as far as that is possible. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    clearTimeout(this.#retry)
    clearTimeout(this.#expiry)
    if (this.#failed) this.#refuse(this.#queue.splice(0), this.#failed.cause)
  }

  #expireAt(deadline: number): NodeJS.Timeout {
    return setTimeout(() => this.#expire(), Math.max(0, deadline - performance.now())).unref()
  }

  /** Refuses what has waited long enough. */
  #expire(): void {
    const now = performance.now()
    const isLate = ({ deadline = Infinity }: T): boolean => deadline <= now
    const all = [...this.#writing, ...this.#queue]
    this.#writing = this.#writing.filter(task => !isLate(task))
    this.#queue = this.#queue.filter(task => !isLate(task))
    this.#refuse(all.filter(isLate), new Error('a write takes too long'))
    const next = all.find(({ deadline = 0 }) => deadline > now)
    this.#expiry = next && this.#expireAt(next.deadline!)
  }

  async #run(): Promise<void> {
    do {
      // Whatever else comes in this turn is in the same batch.
      await new Promise(resolve => setImmediate(resolve))
      if (await this.#recover()) await this.#write(this.#take())
    } while (this.#queue.length > 0 && !this.#failed)
    this.#running = undefined
    if (this.#failed && !this.#closed) this.#retryLater()
  }

  #take(): T[] {
    let bytes = 0
    let count = 0
    for (const task of this.#queue) {
      bytes += task.bytes
      if (count === BATCH_TASKS || (count > 0 && bytes > BATCH_BYTES)) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #write(tasks: T[]): Promise<void> {
    const batch = new Batch(this.#store, this.#now())
    this.#writing = tasks
    try {
      const reading = this.#book.prepare(tasks, batch)
      if (reading) await reading
      tasks = tasks.filter(task => this.#build(task, batch))
      await batch.write()
    } catch (error) {
      this.#failed = { batch, cause: error }
      this.#logger.error({ folder: this.#store.folder, err: error }, `the log takes no records: ${this.trouble}`)
      this.#refuse(tasks, error)
      return
    } finally {
      this.#writing = []
    }
    this.#book.written(batch)
    for (const task of tasks) task.done()
  }

  #build(task: T, batch: Batch): boolean {
    try {
      task.build(batch)
      return true
    } catch (error) {
      task.refuse(toHoofbeatError(error))
      return false
    }
  }

  /** Whether it can be written again. What waits for that does not wait for more than one attempt. */
  async #recover(): Promise<boolean> {
    const failed = this.#failed
    if (!failed) return true
    try {
      await this.#store.reopen(failed.cause)
      await this.#book.reload(failed.batch)
    } catch (error) {
      failed.cause = error
      this.#refuse(this.#queue.splice(0), error)
      return false
    }
    this.#failed = undefined
    this.#logger.info({ folder: this.#store.folder }, 'the log takes records again')
    return true
  }

  #refuse(tasks: readonly T[], cause: unknown): void {
    const why = new Error(explain(this.#store.folder, cause), { cause })
    for (const task of tasks) task.refuse(fail('LOG_UNAVAILABLE', undefined, { cause: why }))
  }

  #retryLater(): void {
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#running = this.#run()
    }, RETRY)
    if (this.#queue.length === 0) this.#retry.unref()
  }
}
