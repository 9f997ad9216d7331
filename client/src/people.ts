import type { Person } from './api-types.ts'
import type { Api } from './api.ts'

/** So many can be asked for at once. */
const AT_ONCE = 100

/** People as the API names them, by their ids. */
export class People {
  readonly #api: Api
  readonly #known = new Map<string, Person | 'gone'>()
  readonly #wanted = new Set<string>()
  readonly #watchers = new Set<() => void>()
  #asking = false

  constructor(api: Api) {
    this.#api = api
  }

  readonly subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Undefined: not known yet; then it is found out. `gone`: there is no such account any more. */
  get(id: string): Person | 'gone' | undefined {
    const known = this.#known.get(id)
    if (known === undefined && !this.#wanted.has(id)) {
      this.#wanted.add(id)
      queueMicrotask(() => void this.#ask())
    }
    return known
  }

  /** Takes what was read elsewhere. */
  put(people: Iterable<Person>): void {
    let changed = false
    for (const person of people) {
      const known = this.#known.get(person.id)
      if (person.name === '' || (known !== undefined && known !== 'gone' && isSame(known, person))) continue
      this.#known.set(person.id, person)
      changed = true
    }
    if (changed) this.#tell()
  }

  /** Asks for all that are wanted, one request at a time. */
  async #ask(): Promise<void> {
    if (this.#asking) return
    this.#asking = true
    while (this.#wanted.size > 0) {
      const ids = [...this.#wanted].slice(0, AT_ONCE)
      // Whoever cannot be asked for now is wanted again when they are shown again.
      const answer = await this.#api.get<{ items: readonly Person[] }>('/people', { user: ids }).catch(() => undefined)
      for (const id of ids) this.#wanted.delete(id)
      if (!answer) continue
      this.put(answer.items)
      const gone = ids.filter(id => !this.#known.has(id))
      for (const id of gone) this.#known.set(id, 'gone')
      if (gone.length > 0) this.#tell()
    }
    this.#asking = false
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

const isSame = (one: Person, other: Person): boolean =>
  one.name === other.name && one.displayName === other.displayName && one.statusText === other.statusText
