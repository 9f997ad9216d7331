import { fail } from '../../errors.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Client, Presence, Transition } from '../../ports/presence.ts'

export interface MemoryPresenceOptions {
  /** After so long without a touch a connection counts as gone, ms. */
  readonly ttl: number
}

interface Here {
  readonly client: Client
  /** When it counts as gone, epoch ms. */
  ends: number
}
type Gone = Pick<Client, 'connection' | 'user'>

/** Who is there, of one process alone. */
class MemoryPresence implements Presence {
  readonly #ttl: number
  readonly #users = new Map<string, Map<string, Here>>()
  #at = 0
  #closed = false

  constructor({ ttl }: MemoryPresenceOptions) {
    this.#ttl = ttl
  }

  async touch(clients: readonly Client[]): Promise<readonly Transition[]> {
    const now = this.#now()
    return this.#changing(clients, client => {
      let all = this.#users.get(client.user)
      if (!all) this.#users.set(client.user, (all = new Map()))
      all.set(client.connection, { client, ends: now + this.#ttl })
    })
  }

  async off(clients: readonly Gone[], after: number): Promise<readonly Transition[]> {
    const now = this.#now()
    return this.#changing(clients, client => {
      const here = this.#users.get(client.user)?.get(client.connection)
      if (here && after > 0) here.ends = now + after
      else this.#drop(client)
    })
  }

  async sweep(): Promise<readonly Transition[]> {
    const now = this.#now()
    const over = this.#all().filter(({ ends }) => ends <= now)
    return this.#changing(
      over.map(({ client }) => client),
      client => this.#drop(client),
    )
  }

  async of(users: readonly string[]): Promise<{ at: number; online: ReadonlySet<string> }> {
    this.#now()
    return { at: this.#next(), online: new Set(users.filter(user => this.#users.has(user))) }
  }

  async list(after: Gone | undefined, limit: number): Promise<readonly Client[]> {
    this.#now()
    const from = after && placeOf(after)
    return this.#all()
      .map(({ client }) => [placeOf(client), client] as const)
      .filter(([place]) => from === undefined || place > from)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .slice(0, limit)
      .map(([, client]) => client)
  }

  check(): void {
    if (this.#closed) throw fail('PRESENCE_UNAVAILABLE', 'this node is closing')
  }

  close(): void {
    this.#closed = true
    this.#users.clear()
  }

  #now(): number {
    this.check()
    return Date.now()
  }

  /** In µs, as long as there is not more than one a µs. */
  #next(): number {
    return (this.#at = Math.max(Date.now() * 1_000, this.#at + 1))
  }

  #all(): Here[] {
    return [...this.#users.values()].flatMap(all => [...all.values()])
  }

  #drop({ user, connection }: Gone): void {
    const all = this.#users.get(user)
    if (all?.delete(connection) && all.size === 0) this.#users.delete(user)
  }

  /** Does `change` to each, and answers for whom that makes a difference. */
  #changing<C extends Gone>(clients: readonly C[], change: (client: C) => void): Transition[] {
    const users = new Set(clients.map(({ user }) => user))
    const before = new Map(Array.from(users, user => [user, this.#users.has(user)]))
    for (const client of clients) change(client)
    const at = this.#next()
    return Array.from(before, ([user, was]) => ({ user, was, online: this.#users.has(user), at }))
      .filter(({ was, online }) => was !== online)
      .map(({ user, online }) => ({ user, online, at }))
  }
}

const placeOf = ({ user, connection }: Gone): string => `${user}\0${connection}`

export const memoryPresence = (options: MemoryPresenceOptions): Driver<Presence> => {
  const presence = new MemoryPresence(options)
  return { port: presence, check: async () => presence.check(), close: async () => presence.close() }
}
