import type { Person } from './api-types.ts'
import { type Api, Refusal } from './api.ts'

/** So many are asked for at once. */
const AT_ONCE = 4

/** People as the API names them, by their ids. */
export class People {
  readonly #api: Api
  readonly #known = new Map<string, Person | 'gone'>()
  readonly #wanted = new Set<string>()
  readonly #watchers = new Set<() => void>()
  #asking = 0

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
      queueMicrotask(() => this.#askMore())
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

  #askMore(): void {
    for (const id of this.#wanted) {
      if (this.#asking >= AT_ONCE) return
      this.#wanted.delete(id)
      if (!this.#known.has(id)) void this.#ask(id)
    }
  }

  async #ask(id: string): Promise<void> {
    this.#asking++
    try {
      this.put([await this.#api.get<Person>(`/users/${id}`)])
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) {
        this.#known.set(id, 'gone')
        this.#tell()
      }
    } finally {
      this.#asking--
      this.#askMore()
    }
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

const isSame = (one: Person, other: Person): boolean =>
  one.name === other.name && one.displayName === other.displayName && one.statusText === other.statusText
