/** Whose account is gone: what they wrote is not shown any more. */

import { sql } from 'kysely'
import type { Db } from '../database/database.ts'
import { Pace } from '../database/pace.ts'
import type { Logger } from '../ports/logger.ts'

/** When the database did not answer it is asked again after so long, ms. */
const AGAIN = 500

export interface ErasedOptions {
  readonly db: Db
  readonly logger: Logger
  /** Called with each who has come to be among them since the start, once `has` says so. It returns at once. */
  readonly listener: (user: string) => void
}

/**
 * The ids of all accounts that were deleted, in memory. All, as nobody can say what a room's log still holds: retention may have
 * been changed, and takes whole segments.
 */
export class Erased {
  readonly #db: Db
  readonly #listener: (user: string) => void
  readonly #users = new Set<string>()
  readonly #begun = Promise.withResolvers<void>()
  readonly #pace: Pace
  /** Of whom something has ended, perhaps the account. */
  #doubtful = new Set<string>()
  /** Whether all that there were at the start are known. */
  known = false
  /** Whether those who come after them are told one by one. */
  #loaded = false

  constructor({ db, logger, listener }: ErasedOptions) {
    this.#db = db
    this.#listener = listener
    this.#pace = new Pace(AGAIN, logger, () => this.#look())
  }

  /** Resolves when all that there were at the start are known. */
  get begun(): Promise<void> {
    return this.#begun.promise
  }

  has(user: string): boolean {
    return this.#users.has(user)
  }

  /** Something has ended for `user`, or (undefined) for anyone: finds out whether that is the account. */
  look(user: string | undefined): void {
    if (user === undefined) this.#loaded = false
    else this.#doubtful.add(user)
    this.#pace.hint()
  }

  close(): Promise<void> {
    return this.#pace.close()
  }

  async #look(): Promise<void> {
    if (!this.#loaded) await this.#load()
    const asked = [...this.#doubtful]
    if (asked.length === 0) return
    this.#doubtful = new Set()
    try {
      const found = await this.#db
        .selectFrom('users')
        .select('id')
        .where(sql<boolean>`id = any(${asked}::text[])`)
        .where('deleted_at', 'is not', null)
        .execute()
      for (const { id } of found) this.#add(id)
    } catch (error) {
      for (const user of asked) this.#doubtful.add(user)
      throw error
    }
  }

  async #load(): Promise<void> {
    this.#loaded = true
    // Deleted ones have no name, and names are indexed.
    const asked = this.#db.selectFrom('users').select('id').where('name_key', 'is', null).execute()
    const rows = await asked.catch((error: unknown) => {
      this.#loaded = false
      throw error
    })
    for (const { id } of rows) {
      if (this.known) this.#add(id)
      else this.#users.add(id)
    }
    this.known = true
    this.#begun.resolve()
  }

  #add(user: string): void {
    if (this.#users.has(user)) return
    this.#users.add(user)
    this.#listener(user)
  }
}
