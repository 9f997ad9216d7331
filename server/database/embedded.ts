import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { FolderError, lockFolder } from './lock.ts'
import type { Answer, Client, Pool } from './pool.ts'
import { reason } from './trouble.ts'
import { parsers, TIMESTAMPTZ } from './values.ts'

const options = {
  parsers,
  // As pg writes them: what is no time there is none here.
  serializers: { [TIMESTAMPTZ]: (value: unknown) => (value instanceof Date ? value.toISOString() : String(value)) },
}

/** Makes the database beside its place first, so that an end in the middle of that leaves nothing half done. */
const make = async (folder: string): Promise<void> => {
  const partial = `${folder}.partial`
  await rm(partial, { recursive: true, force: true })
  await (await PGlite.create({ dataDir: partial })).close()
  await rename(partial, folder)
}

/** PGlite has one session: one connection at a time is given out, in the order in which they were asked for. */
class EmbeddedPool implements Pool {
  readonly name: string
  readonly advice = 'see what its folder lacks, and start the node again'
  readonly #lite: PGlite
  readonly #unlock: () => Promise<void>
  #last: Promise<void> = Promise.resolve()

  constructor(folder: string, lite: PGlite, unlock: () => Promise<void>) {
    this.name = `the embedded database in ${folder}`
    this.#lite = lite
    this.#unlock = unlock
  }

  async connect(): Promise<Client> {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    await before
    const release = (broken = false): void => {
      // There is no other session: the next one must not find itself in what is left of this one's transaction.
      if (broken)
        void this.#lite.exec('rollback').then(
          () => resolve(),
          () => resolve(),
        )
      else resolve()
    }
    return { query: (text, parameters) => this.#query(text, parameters), release }
  }

  connectAlone(): Promise<Client> {
    return this.connect()
  }

  async end(): Promise<void> {
    const last = await this.connect()
    await this.#lite.close()
    last.release()
    await this.#unlock()
  }

  async #query(text: string, parameters?: readonly unknown[]): Promise<Answer> {
    try {
      const result = parameters ? await this.#lite.query(text, [...parameters]) : (await this.#lite.exec(text)).at(-1)!
      return { command: result.command!, rowCount: result.rowCount!, rows: result.rows as Answer['rows'] }
    } catch (error) {
      // A parameter of the wrong type, which it says as if it were trouble of its own.
      throw error instanceof Error && error.message.startsWith('Invalid input for')
        ? new TypeError(error.message)
        : error
    }
  }
}

/** The database in a folder of this machine, for a node that runs alone. Rejects with FolderError. */
export const openEmbedded = async (folder: string): Promise<Pool> => {
  let unlock: (() => Promise<void>) | undefined
  try {
    await mkdir(dirname(folder), { recursive: true })
    unlock = await lockFolder(folder)
    if (!existsSync(folder)) await make(folder)
    return new EmbeddedPool(folder, await PGlite.create({ dataDir: folder, ...options }), unlock)
  } catch (error) {
    await unlock?.()
    throw error instanceof FolderError ? error : new FolderError(`${folder}: ${reason(error)}`, { cause: error })
  }
}
