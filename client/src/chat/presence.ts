interface Known {
  readonly online: boolean
  /** The server's count: of two, the one with the larger is the later one. */
  readonly at: number
  /** When we were told that they went, epoch ms. */
  readonly left?: number
}

/** Who is there, as far as the server tells us: friends, and members of the room that we are in. */
export class Presence {
  readonly #known = new Map<string, Known>()

  /** Undefined: not known. */
  online(user: string): boolean | undefined {
    return this.#known.get(user)?.online
  }

  /** When somebody went, epoch ms. Undefined: they are there, or went before we were told of them. */
  left(user: string): number | undefined {
    return this.#known.get(user)?.left
  }

  /** Takes the body of a `presence` event: of one user, or of all friends who are there. */
  take(body: unknown): void {
    if (typeof body !== 'object' || body === null) return
    if ('user' in body && typeof body.user === 'string' && 'online' in body) {
      const at = 'at' in body && typeof body.at === 'number' ? body.at : 0
      if (at < (this.#known.get(body.user)?.at ?? 0)) return
      this.#known.set(body.user, body.online === true ? { online: true, at } : { online: false, at, left: Date.now() })
    } else if ('online' in body && Array.isArray(body.online)) {
      const at = 'at' in body && typeof body.at === 'number' ? body.at : 0
      // What was only asked for concerns others too.
      for (const [user, known] of this.#known) if (known.at > 0) this.#known.delete(user)
      for (const user of body.online) if (typeof user === 'string') this.#known.set(user, { online: true, at })
    }
  }

  /** Whether the server tells us of this user by itself. */
  told(user: string): boolean {
    return (this.#known.get(user)?.at ?? 0) > 0
  }

  /** What was asked for over HTTP: whatever was told counts more. */
  seed(user: string, online: boolean): void {
    if (!this.told(user)) this.#known.set(user, { online, at: 0 })
  }
}
