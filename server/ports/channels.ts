/** What JSON can say. Whoever is given it changes nothing in it: others have been given the same. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

export type Listener = (event: Json) => void

/** Who listens to which channel, within this process. */
export class Channels {
  readonly #channels = new Map<string, Set<{ readonly listener: Listener }>>()

  names(): Iterable<string> {
    return this.#channels.keys()
  }

  has(channel: string): boolean {
    return this.#channels.has(channel)
  }

  /** Returns how to leave, which does nothing the second time; `left` is called when nobody listens to it any more. */
  join(channel: string, listener: Listener, left: () => void): () => void {
    let all = this.#channels.get(channel)
    if (!all) this.#channels.set(channel, (all = new Set()))
    const entry = { listener }
    all.add(entry)
    return () => {
      if (!all.delete(entry) || all.size > 0) return
      this.#channels.delete(channel)
      left()
    }
  }

  tell(channel: string, event: Json): void {
    for (const { listener } of this.#channels.get(channel) ?? []) listener(event)
  }

  clear(): void {
    this.#channels.clear()
  }
}
