/** What lists and pages are of: they are read again when it has changed. `room <id>` is one room. */
export type Topic = 'rooms' | 'friends' | 'invitations' | 'notifications' | 'devices' | `room ${string}`

/** How long changes are gathered before those who watch are told, ms, and how often that is at most: each reads again then. */
const GATHER = 80
const EVERY = 1_000

/** Tells whoever shows something that it has changed. */
export class Changes {
  readonly #watchers = new Map<() => void, readonly Topic[]>()
  readonly #changed = new Set<Topic>()
  #all = false
  #told = 0
  #gathering: ReturnType<typeof setTimeout> | undefined

  watch(topics: readonly Topic[], watcher: () => void): () => void {
    this.#watchers.set(watcher, topics)
    return () => this.#watchers.delete(watcher)
  }

  happened(...topics: readonly Topic[]): void {
    for (const topic of topics) this.#changed.add(topic)
    if (this.#gathering !== undefined) return
    const wait = Math.max(GATHER, this.#told + EVERY - Date.now())
    this.#gathering = setTimeout(() => this.#tell(), wait)
  }

  /** Anything may have changed. */
  everything(): void {
    this.#all = true
    this.happened()
  }

  #tell(): void {
    const concerned = [...this.#watchers].filter(([, of]) => this.#all || of.some(topic => this.#changed.has(topic)))
    this.#gathering = undefined
    this.#told = Date.now()
    this.#changed.clear()
    this.#all = false
    for (const [watcher] of concerned) watcher()
  }
}
