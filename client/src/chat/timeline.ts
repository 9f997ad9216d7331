import { type Message, placeOf } from './message.ts'

interface Entry {
  message: Message
  readonly epoch: number
  /** Undefined for an id of another server's making: such messages stay in the order in which they came. */
  readonly offset: bigint | undefined
}

/**
 * The newest messages of a room, each once, in the log's order: by offset, and a later epoch after an earlier one.
 * The server delivers in that order already; what needs sorting is an own message whose RECEIPT came first.
 */
export class Timeline {
  readonly #keep: number
  #entries: Entry[] = []
  readonly #ids = new Set<string>()
  readonly #epochs: string[] = []
  #broken = false
  #snapshot: readonly Message[] | undefined

  constructor(keep: number) {
    this.#keep = keep
  }

  get size(): number {
    return this.#entries.length
  }

  /** Messages are missing after the newest one. */
  get broken(): boolean {
    return this.#broken
  }

  /** Immutable; the same array until something changes. */
  get messages(): readonly Message[] {
    this.#snapshot ??= this.#entries.map(entry => entry.message)
    return this.#snapshot
  }

  has(id: string): boolean {
    return this.#ids.has(id)
  }

  /** Puts a message in its place. One that is there takes over what the new copy knows better. Answers if it was new. */
  add(message: Message): boolean {
    this.#snapshot = undefined
    if (this.#ids.has(message.id)) {
      this.#merge(message)
      return false
    }
    const place = placeOf(message.id)
    const entry: Entry = { message, epoch: this.#epochOf(place?.epoch), offset: place?.offset }
    let at = this.#entries.length
    while (at > 0 && isAfter(this.#entries[at - 1]!, entry)) at--
    if (this.#broken && at === this.#entries.length) {
      this.#broken = false
      entry.message = { ...message, gap: true }
    }
    this.#entries.splice(at, 0, entry)
    this.#ids.add(message.id)
    this.#forget(Math.max(0, this.#entries.length - this.#keep))
    return true
  }

  /** Says under which key the message `id` was sent from here. Answers if it is there. */
  own(id: string, key: string): boolean {
    const entry = this.#entries.findLast(({ message }) => message.id === id)
    if (!entry) return false
    entry.message = { ...entry.message, key }
    this.#snapshot = undefined
    return true
  }

  /** Takes back what `own` said. */
  disown(id: string, key: string): void {
    const entry = this.#entries.findLast(({ message }) => message.id === id && message.key === key)
    if (!entry) return
    const { key: _, ...message } = entry.message
    entry.message = message
    this.#snapshot = undefined
  }

  /**
   * The server could not go on where we were: what comes next begins at `first`. Messages from there on that we have
   * are of a log that was set back, and are forgotten: their ids now name other messages.
   */
  restart(first: string | undefined): void {
    this.#broken ||= this.#entries.length > 0
    const place = first === undefined ? undefined : placeOf(first)
    const epoch = place ? this.#epochs.indexOf(place.epoch) : -1
    if (place && epoch >= 0) {
      const kept = this.#entries.filter(e => e.epoch !== epoch || e.offset === undefined || e.offset < place.offset)
      if (kept.length < this.#entries.length) this.#replace(kept)
    }
    this.#snapshot = undefined
  }

  #merge(message: Message): void {
    const entry = this.#entries.findLast(known => known.message.id === message.id)
    if (entry) entry.message = { ...entry.message, time: message.time, ...(message.key ? { key: message.key } : {}) }
  }

  #epochOf(epoch: string | undefined): number {
    if (epoch === undefined) return Math.max(0, this.#epochs.length - 1)
    const known = this.#epochs.indexOf(epoch)
    return known >= 0 ? known : this.#epochs.push(epoch) - 1
  }

  #replace(entries: Entry[]): void {
    this.#entries = entries
    this.#ids.clear()
    for (const { message } of entries) this.#ids.add(message.id)
  }

  #forget(count: number): void {
    for (const { message } of this.#entries.splice(0, count)) this.#ids.delete(message.id)
  }
}

const isAfter = (a: Entry, b: Entry): boolean =>
  a.epoch === b.epoch ? a.offset !== undefined && b.offset !== undefined && a.offset > b.offset : a.epoch > b.epoch
