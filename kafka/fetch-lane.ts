import type { Offset } from '../server/ports/room-log.ts'
import { KafkaError } from './wire.ts'
import type { FetchAnswer, FetchQuery, RoomAnswer, Wanted } from './wire.ts'

/** A room that is read as it grows. */
export interface Followed {
  /** The topic's id, hex. */
  readonly id: string
  /** Where to read on. */
  readonly position: Offset
  /** What the broker answered when it was asked for what is there `from` on. */
  answered(from: Offset, answer: RoomAnswer): void
}
export interface LaneOptions {
  /** Asks the broker, on the connection of the long polls or on that of the newcomers. */
  readonly fetch: (on: 'tail' | 'join', query: FetchQuery) => Promise<FetchAnswer>
  /** Called when the broker did not answer, `failures` times in a row; resolves when it is time to try again. */
  readonly broken: (failures: number) => Promise<void>
}

/** How long a poll may be out, ms. While it is, newcomers are asked for in short polls beside it. */
const LONG = 1_000
const SHORT = 5
const ANSWER_BYTES = 1024 * 1024
const ROOM_BYTES = 512 * 1024
const LAST_EPOCH = 0x7fffffff

/**
 * Reads rooms that one broker leads and somebody here follows: one poll for all of them, on a session, in which the
 * broker remembers the rooms, so that a poll tells only what has changed. Idle rooms cost us nothing, but with every
 * answer the broker looks at each room of the session.
 */
export class FetchLane {
  readonly #options: LaneOptions
  readonly #rooms = new Map<string, Followed>()
  /** What the session has, and from where on. */
  readonly #session = new Map<string, Offset>()
  /** Rooms that the session has not, has elsewhere, or has in vain. */
  readonly #changed = new Set<string>()
  /** Rooms that changed while a long poll was out. */
  readonly #newcomers = new Map<string, Followed>()
  #sessionId = 0
  #epoch = 0
  #polling = false
  #joining = false
  #failures = 0

  constructor(options: LaneOptions) {
    this.#options = options
  }

  /** How many rooms it reads. */
  get size(): number {
    return this.#rooms.size
  }

  /** Follows a room from its position on; also after the position was set back. */
  add(room: Followed): void {
    this.#rooms.set(room.id, room)
    this.#changed.add(room.id)
    if (!this.#polling) {
      this.#polling = true
      queueMicrotask(() => void this.#poll())
      return
    }
    this.#newcomers.set(room.id, room)
    if (this.#joining) return
    this.#joining = true
    queueMicrotask(() => void this.#join())
  }

  /** The room is not told of anything any more. */
  remove(room: Followed): void {
    if (this.#rooms.get(room.id) !== room) return
    this.#rooms.delete(room.id)
    this.#newcomers.delete(room.id)
    this.#changed.add(room.id)
  }

  async #poll(): Promise<void> {
    while (this.#rooms.size > 0) {
      let answer: FetchAnswer
      try {
        answer = await this.#options.fetch('tail', this.#query())
        this.#continue(answer)
      } catch {
        this.#forget()
        await this.#options.broken(++this.#failures)
        continue
      }
      this.#failures = 0
      for (const each of answer.rooms) this.#tell(this.#session.get(each.id), each)
    }
    this.#polling = false
  }

  /** What has changed since the last poll. From now on the long poll has the newcomers too. */
  #query(): FetchQuery {
    const wanted: Wanted[] = []
    const forgotten: string[] = []
    for (const id of this.#changed) {
      const room = this.#rooms.get(id)
      if (room) {
        wanted.push({ id, from: room.position, bytes: ROOM_BYTES })
        this.#session.set(id, room.position)
      } else if (this.#session.delete(id)) forgotten.push(id)
    }
    this.#changed.clear()
    this.#newcomers.clear()
    const session = { sessionId: this.#sessionId, sessionEpoch: this.#epoch }
    return { wait: LONG, bytes: ANSWER_BYTES, ...session, wanted, forgotten }
  }

  /** Goes on with the session, or where the broker has none for us asks for everything again. */
  #continue({ errorCode, sessionId }: FetchAnswer): void {
    if (errorCode !== KafkaError.NONE) throw new Error(`the session is over: Kafka's error ${errorCode}`)
    if (sessionId === 0) return this.#forget()
    this.#sessionId = sessionId
    this.#epoch = this.#epoch === LAST_EPOCH ? 1 : this.#epoch + 1
  }

  /** Begins a new session with the next poll. */
  #forget(): void {
    this.#sessionId = 0
    this.#epoch = 0
    for (const id of this.#rooms.keys()) this.#changed.add(id)
  }

  #tell(from: Offset | undefined, answer: RoomAnswer): void {
    const room = this.#rooms.get(answer.id)
    if (!room || from === undefined) return
    room.answered(from, answer)
    if (this.#rooms.get(answer.id)?.position !== from) this.#changed.add(answer.id)
  }

  /** Asks for the newcomers until the long poll is back and has them. */
  async #join(): Promise<void> {
    while (this.#newcomers.size > 0) {
      const asked = new Map<string, Offset>()
      const wanted = Array.from(this.#newcomers.values(), ({ id, position }) => {
        asked.set(id, position)
        return { id, from: position, bytes: ROOM_BYTES }
      })
      const query = { wait: SHORT, bytes: ANSWER_BYTES, sessionId: 0, sessionEpoch: -1, wanted, forgotten: [] }
      let answer: FetchAnswer
      try {
        answer = await this.#options.fetch('join', query)
      } catch {
        await this.#options.broken(++this.#failures)
        continue
      }
      for (const each of answer.rooms) this.#tell(asked.get(each.id), each)
    }
    this.#joining = false
  }
}
