import type { RoomId } from '../ports/room-log.ts'

/** What somebody may do in a room. */
export interface Rights {
  readonly read: boolean
  readonly send: boolean
  /** Delete what others have written. */
  readonly moderate: boolean
}

type Known = Map<RoomId, Map<string, Rights>>

/**
 * The rights that a node has asked for, at most `most`. They are kept in two halves: when the young one is full it becomes
 * the old one, and what nobody has asked for since the last time is forgotten. So looking up is two steps in a map.
 */
export class KnownRights {
  readonly #half: number
  #young: Known = new Map()
  #old: Known = new Map()
  #youngCount = 0

  constructor(most: number) {
    this.#half = Math.ceil(most / 2)
  }

  get(room: RoomId, user: string): Rights | undefined {
    return this.#young.get(room)?.get(user) ?? this.#promote(room, user)
  }

  set(room: RoomId, user: string, rights: Rights): void {
    if (this.#youngCount >= this.#half) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngCount = 0
    }
    let users = this.#young.get(room)
    if (!users) this.#young.set(room, (users = new Map()))
    if (!users.has(user)) this.#youngCount++
    users.set(user, rights)
  }

  /** Forgets what is known of `user`, of `room`, or of one in the other. */
  forget({ user, room }: { readonly user?: string; readonly room?: RoomId }): void {
    const rooms = room === undefined ? new Set([...this.#young.keys(), ...this.#old.keys()]) : [room]
    for (const each of rooms) {
      this.#drop(this.#old, each, user)
      this.#youngCount -= this.#drop(this.#young, each, user)
    }
  }

  #promote(room: RoomId, user: string): Rights | undefined {
    const rights = this.#old.get(room)?.get(user)
    if (rights) this.set(room, user, rights)
    return rights
  }

  /** How many it has dropped. */
  #drop(known: Known, room: RoomId, user: string | undefined): number {
    const users = known.get(room)
    if (!users) return 0
    if (user === undefined) {
      known.delete(room)
      return users.size
    }
    const dropped = Number(users.delete(user))
    if (users.size === 0) known.delete(room)
    return dropped
  }
}
