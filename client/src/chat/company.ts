import type { Signal } from './connection.ts'

/** Who else is in a room at this moment, as far as they say so. Immutable. */
export interface Company {
  /** Users who are writing something. */
  readonly typing: readonly string[]
  /** The newest message that each user has read, by its id. */
  readonly reads: ReadonlyMap<string, string>
}

/** So long after their last word of it somebody is not writing any more, ms: a little more than the next one would take. */
const TYPING_LASTS = 5_000
/** How often at most one says that one is writing, ms. */
const SAY_EVERY = 3_000

export const ALONE: Company = { typing: [], reads: new Map() }

/** What is fleeting in one room. */
export class CompanyIn {
  readonly #changed: () => void
  readonly #now: () => number
  readonly #typing = new Map<string, ReturnType<typeof setTimeout>>()
  readonly #reads = new Map<string, string>()
  #view: Company = ALONE
  #said = 0
  #seen: string | undefined
  #told: string | undefined

  constructor(changed: () => void, now: () => number = Date.now) {
    this.#changed = changed
    this.#now = now
  }

  get view(): Company {
    return this.#view
  }

  take({ type, sender, body }: Signal): void {
    if (sender === undefined) return
    if (type === 'typing') this.#typed(sender)
    if (type === 'read') this.#reads.set(sender, body)
    this.#look()
  }

  /** A message by `sender` has come: it is what they were writing. */
  wrote(sender: string): void {
    if (this.#typing.has(sender)) this.#stopped(sender)
  }

  /** Whether it is time to say that one is writing. */
  mayType(): boolean {
    if (this.#now() - this.#said < SAY_EVERY) return false
    this.#said = this.#now()
    return true
  }

  /** One has sent what one was writing: the next word of it is new. */
  sent(): void {
    this.#said = 0
  }

  /** One has read up to the message `id`. */
  sees(id: string): void {
    this.#seen = id
  }

  /** Up to which message one has read, where the others have not been told, as they are now. */
  tellRead(): string | undefined {
    const news = this.#seen === this.#told ? undefined : this.#seen
    this.#told = this.#seen
    return news
  }

  end(): void {
    for (const timer of this.#typing.values()) clearTimeout(timer)
    this.#typing.clear()
  }

  #typed(user: string): void {
    clearTimeout(this.#typing.get(user))
    this.#typing.set(
      user,
      setTimeout(() => this.#stopped(user), TYPING_LASTS),
    )
  }

  #stopped(user: string): void {
    clearTimeout(this.#typing.get(user))
    this.#typing.delete(user)
    this.#look()
  }

  #look(): void {
    this.#view = { typing: [...this.#typing.keys()], reads: new Map(this.#reads) }
    this.#changed()
  }
}
