/**
 * The archive: room logs, copied into SQL. Whoever appends to a room hints at it; what nobody hints at is found by going
 * through all rooms, some at a time.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Db } from '../database/database.ts'
import { Pace, Trouble } from '../database/pace.ts'
import { HoofbeatError } from '../errors.ts'
import { tell } from '../people/index.ts'
import type { Logger } from '../ports/logger.ts'
import type { Bounds, Offset, RoomId, RoomLog } from '../ports/room-log.ts'
import type { Signals } from '../ports/signals.ts'
import { eraseSome, type Leave } from './erasure.ts'
import { fold, type Folded, type Page } from './fold.ts'
import { copiedOf } from './places.ts'

/** How often some rooms are looked at that nobody hinted at, ms, and how many. */
const EVERY = 1_000
const ROOMS_A_LOOK = 50
/** After some rooms have been copied, how long hints gather before the next are, ms: many messages cost what one does. */
const GATHERED = 100
/** How long the others wait for a room whose log does not answer, ms. */
const PATIENCE = 2_000
/** Of all rooms that are copied together. A page is about 1 MiB at most, too. */
const ROOMS_AT_ONCE = 8
const RECORDS_A_PAGE = 200
/** What is copied waits for so many transactions that erase, at most. */
const ERASURES_A_ROUND = 10

export interface ArchiveOptions {
  readonly db: Db
  readonly log: Pick<RoomLog, 'bounds' | 'read'>
  /** By which those are told whom it concerns. */
  readonly signals: Signals
  /** Done for each room of somebody whose account is gone. */
  readonly leave: Leave
  readonly logger: Logger
  /** ms */
  readonly every?: number
  /** ms */
  readonly gathered?: number
  /** ms */
  readonly patience?: number
}

export interface Archive {
  /** Something was appended to `room`: copy it now. */
  hint(room: RoomId): void
  /** Ends what is under way, and begins nothing any more. */
  close(): Promise<void>
}

/** Copies what is appended to any room until it is closed, through any outage of the database and of the log. */
export const openArchive = (options: ArchiveOptions): Archive => {
  const settings = { every: EVERY, gathered: GATHERED, patience: PATIENCE, ...options }
  const copier = new Copier(settings, () => pace.hint())
  const pace = new Pace(settings.every, settings.logger, () => copier.round())
  return {
    hint: room => copier.hint(room),
    close: () => {
      copier.closing.abort()
      return pace.close()
    },
  }
}

/** `more`: the log held more than that. */
type ReadPage = Page & { readonly more: boolean }

class Copier {
  readonly closing = new AbortController()
  /** Rooms whose logs may have gone on. */
  readonly #waiting = new Set<RoomId>()
  /** Those that something was in the way of: until the next look. */
  readonly #later = new Set<RoomId>()
  /** Those whose logs have not answered yet. */
  readonly #busy = new Set<RoomId>()
  /** The room that was looked at last, and when, ms. */
  #place: RoomId = ''
  #lookedAt = -Infinity
  /** All rooms have been looked at once. */
  #been = false
  #erasing = false
  /** Of a room that was copied in this round there was more than a page. */
  #behind = false
  readonly #options: Required<ArchiveOptions>
  readonly #again: () => void
  readonly #trouble: Trouble

  /** `again`: there is more to do. */
  constructor(options: Required<ArchiveOptions>, again: () => void) {
    this.#options = options
    this.#again = again
    this.#trouble = new Trouble(
      options.logger,
      'messages are not in the archive yet: it is tried again',
      'messages are copied to the archive again',
    )
  }

  hint(room: RoomId): void {
    this.#waiting.add(room)
    this.#again()
  }

  async round(): Promise<void> {
    const { db, signals, leave, every, gathered } = this.#options
    const { signal } = this.closing
    if (performance.now() - this.#lookedAt >= every) await this.#look()
    this.#behind = false
    let busy = false
    // What is hinted at from here on is the next round's: there is always something where much is written.
    let left = this.#waiting.size
    for (let rooms = this.#take(left); rooms.length > 0 && !signal.aborted; rooms = this.#take(left)) {
      await this.#copy(rooms)
      left -= rooms.length
      busy = true
    }
    for (let i = 0; i < ERASURES_A_ROUND && this.#erasing && !signal.aborted; i++) {
      const telling = await eraseSome(db, leave)
      tell(signals, telling ?? [])
      this.#erasing = telling !== undefined
    }
    if (this.#behind || this.#erasing || (!this.#been && this.#waiting.size === 0)) this.#again()
    else if (busy) await delay(gathered, undefined, { signal }).catch(() => undefined)
  }

  /** Looks at the next rooms; when a node starts, at all of them, one part after the other. */
  async #look(): Promise<void> {
    this.#lookedAt = performance.now()
    const rooms = await this.#options.db
      .selectFrom('rooms')
      .select('id')
      .where('id', '>', this.#place)
      .orderBy('id')
      .limit(ROOMS_A_LOOK)
      .execute()
    const last = rooms.length < ROOMS_A_LOOK
    this.#place = last ? '' : rooms.at(-1)!.id
    this.#been ||= last
    if (!this.#been) this.#lookedAt = -Infinity
    this.#erasing = true
    for (const { id } of rooms) this.#waiting.add(id)
    for (const room of this.#later) this.#waiting.add(room)
    this.#later.clear()
  }

  /** There is another page of it: at once, not with those of which hints gather. */
  #goOn(room: RoomId): void {
    this.#behind = true
    this.#waiting.add(room)
  }

  #take(most: number): RoomId[] {
    const rooms: RoomId[] = []
    for (const room of this.#waiting) {
      if (rooms.length >= Math.min(most, ROOMS_AT_ONCE - this.#busy.size)) break
      // When its log has answered it is hinted at.
      if (this.#busy.has(room)) continue
      this.#waiting.delete(room)
      rooms.push(room)
    }
    return rooms
  }

  async #copy(rooms: readonly RoomId[]): Promise<void> {
    const { db, log, signals } = this.#options
    try {
      const bounds = await this.#ask(rooms, room => log.bounds(room))
      if (bounds.size === 0) return
      const copied = await copiedOf(db, bounds)
      const behind = [...copied].filter(([room, next]) => next < bounds.get(room)!.next).map(([room]) => room)
      const pages = await this.#ask(behind, room => this.#read(room, bounds.get(room)!, copied.get(room)!))
      if (pages.size === 0) return
      const folded = await this.#fold([...pages.values()])
      for (const { telling } of folded) tell(signals, telling)
      for (const { room, more } of pages.values()) {
        // Another node has it, or somebody changes the room.
        if (!folded.some(({ rooms }) => rooms.has(room))) this.#later.add(room)
        else if (more) this.#goOn(room)
      }
      if (this.#later.size === 0) this.#trouble.over()
    } catch (error) {
      this.#failed(rooms, error)
    }
  }

  async #read(room: RoomId, { epoch, next: end }: Bounds, from: Offset): Promise<ReadPage> {
    const { log } = this.#options
    const records = await log.read(room, from, RECORDS_A_PAGE)
    const after = await log.bounds(room)
    // Epochs do not come back: where it is the same before and after, the records are of that one. Otherwise once more.
    if (after.epoch !== epoch) return this.#read(room, after, 0n)
    // Where nothing was found there was nothing up to what had been the end before.
    const last = records.at(-1)
    const next = last ? last.offset + 1n : end
    return { room, epoch, from, next, records, more: next < end }
  }

  /** All at once; where that fails for a reason of its own, one by one: one room does not stop the others. */
  async #fold(pages: readonly Page[]): Promise<Folded[]> {
    const { db } = this.#options
    try {
      return [await fold(db, pages)]
    } catch (error) {
      if (pages.length === 1 || isAway(error)) throw error
    }
    const folded: Folded[] = []
    for (const page of pages) {
      await fold(db, [page]).then(
        each => void folded.push(each),
        (error: unknown) => this.#failed([page.room], error),
      )
    }
    return folded
  }

  #failed(rooms: Iterable<RoomId>, error: unknown): void {
    for (const room of rooms) this.#later.add(room)
    // That the database is away is logged where that is found out.
    if (!isAway(error)) this.#trouble.began(error)
  }

  /** What the logs answer in time; the others come later. A room without a log has nothing to copy. */
  async #ask<T>(rooms: readonly RoomId[], ask: (room: RoomId) => Promise<T>): Promise<Map<RoomId, T>> {
    const answers = new Map<RoomId, T>()
    const late = new AbortController()
    const asked = rooms.map(async room => {
      this.#busy.add(room)
      try {
        const answer = await ask(room)
        if (late.signal.aborted) this.#later.add(room)
        else answers.set(room, answer)
      } catch (error) {
        if (!(error instanceof HoofbeatError && error.code === 'NO_SUCH_ROOM')) this.#failed([room], error)
      } finally {
        this.#busy.delete(room)
      }
    })
    const patience = delay(this.#options.patience, undefined, { signal: late.signal }).catch(() => undefined)
    await Promise.race([Promise.all(asked), patience])
    late.abort()
    return answers
  }
}

const isAway = (error: unknown): boolean => error instanceof HoofbeatError && error.code === 'DATABASE_UNAVAILABLE'
