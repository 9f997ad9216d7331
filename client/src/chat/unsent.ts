import { newKey } from './key.ts'
import type { Outgoing, Problem, RoomId } from './message.ts'

/** The part of the browser's `Storage` that is used. */
export type Store = Pick<Storage, 'length' | 'key' | 'getItem' | 'setItem' | 'removeItem'>

/** For how long the server knows a repeat by its key, ms. */
const WINDOW = 600_000
/** What a server takes by default. Beyond it, it may close without a word. */
const MOST_BYTES = 1024 * 1024

/**
 * What a user has written and the server has not confirmed, in the order of writing. Each message is an item of the
 * store, so that it outlives a reload and two tabs do not overwrite each other; both may send it, under one key.
 * Where the store is full or forbidden, messages are kept in memory alone.
 */
export class Unsent {
  readonly #store: Store | undefined
  readonly #prefix: string
  readonly #now: () => number
  readonly #messages = new Map<string, Outgoing>()
  readonly #snapshots = new Map<RoomId, readonly Outgoing[]>()
  #latest = 0

  constructor(user: string, store: Store | undefined, now: () => number = Date.now) {
    this.#store = store
    this.#now = now
    this.#prefix = `hoofbeat/unsent/${encodeURIComponent(user)}/`
    for (const message of this.#load().sort((a, b) => a.created - b.created)) {
      this.#messages.set(message.key, message)
      this.#latest = message.created
    }
  }

  get size(): number {
    return this.#messages.size
  }

  get(key: string): Outgoing | undefined {
    return this.#messages.get(key)
  }

  /** Those that are to be put on the wire, oldest first. */
  waiting(): Outgoing[] {
    return [...this.#messages.values()].filter(message => !message.failed)
  }

  /** Those of a room, oldest first. Immutable; the same array until something changes. */
  inRoom(room: RoomId): readonly Outgoing[] {
    let snapshot = this.#snapshots.get(room)
    if (!snapshot) {
      snapshot = [...this.#messages.values()].filter(message => message.room === room)
      this.#snapshots.set(room, snapshot)
    }
    return snapshot
  }

  add(room: RoomId, text: string): Outgoing {
    const body = text.toWellFormed()
    // Strictly growing, so that the order of writing survives a reload.
    this.#latest = Math.max(this.#now(), this.#latest + 1)
    const message = { key: newKey(), room, body, created: this.#latest }
    return this.#put(sizeOf(message) > MOST_BYTES ? { ...message, failed: TOO_LARGE } : message)
  }

  /** Notes that it is about to be put on the wire. Answers whether it may: long after a first try, a repeat is not safe. */
  attempt(message: Outgoing): boolean {
    if (message.attempted === undefined) this.#put({ ...message, attempted: this.#now() })
    else if (this.#now() - message.attempted > WINDOW) {
      this.#put({ ...message, failed: UNCERTAIN })
      return false
    }
    return true
  }

  fail(key: string, problem: Problem): void {
    const message = this.#messages.get(key)
    if (message) this.#put({ ...message, failed: problem })
  }

  /** Makes a failed message wait for the wire again. */
  retry(key: string): Outgoing | undefined {
    const message = this.#messages.get(key)
    if (!message?.failed || sizeOf(message) > MOST_BYTES) return undefined
    const { failed, attempted, ...rest } = message
    const again = failed.code === 'UNCERTAIN' || attempted === undefined ? rest : { ...rest, attempted }
    return this.#put(again)
  }

  /** It is in the room, or no longer wanted. */
  remove(key: string): void {
    const message = this.#messages.get(key)
    if (!message) return
    this.#messages.delete(key)
    this.#snapshots.delete(message.room)
    this.#withStore(store => store.removeItem(this.#prefix + key))
  }

  #put(message: Outgoing): Outgoing {
    this.#messages.set(message.key, message)
    this.#snapshots.delete(message.room)
    this.#withStore(store => store.setItem(this.#prefix + message.key, JSON.stringify(message)))
    return message
  }

  #load(): Outgoing[] {
    const found: Outgoing[] = []
    this.#withStore(store => {
      for (let index = 0; index < store.length; index++) {
        const name = store.key(index)
        if (!name?.startsWith(this.#prefix)) continue
        const message = read(store.getItem(name))
        if (message) found.push(message)
      }
    })
    return found
  }

  #withStore(use: (store: Store) => void): void {
    try {
      if (this.#store) use(this.#store)
    } catch {
      // Full, or forbidden by the browser: what is in memory is sent all the same.
    }
  }
}

/** The size of a message's body on the wire, bytes. */
export const sizeOf = ({ body }: Outgoing): number => new TextEncoder().encode(body).length

const TOO_LARGE: Problem = {
  code: 'FRAME_TOO_LARGE',
  message: 'the message is larger than a server takes',
  advice: 'Send less in one message.',
}
const UNCERTAIN: Problem = {
  code: 'UNCERTAIN',
  message: 'the connection was lost for long while the message was under way: it may be in the room already',
  advice: 'Look for it in the room, then send it again or discard it.',
}

const read = (json: string | null): Outgoing | undefined => {
  try {
    const value: unknown = JSON.parse(json ?? 'null')
    return isOutgoing(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isOutgoing = (value: unknown): value is Outgoing =>
  typeof value === 'object' &&
  value !== null &&
  'key' in value &&
  typeof value.key === 'string' &&
  'room' in value &&
  typeof value.room === 'string' &&
  'body' in value &&
  typeof value.body === 'string' &&
  'created' in value &&
  typeof value.created === 'number'
