import type { Json } from '../../ports/channels.ts'

/** A listener, what it has heard, and when something has come. */
export const hearing = <T = Json>() => {
  const heard: T[] = []
  const waiting = new Set<() => void>()
  const listener = (event: unknown): void => {
    heard.push(event as T)
    for (const look of waiting) look()
  }
  /** Resolves with all that was heard when so many have come. */
  const until = (count: number): Promise<T[]> =>
    new Promise(resolve => {
      const look = (): void => {
        if (heard.length < count) return
        waiting.delete(look)
        resolve(heard)
      }
      waiting.add(look)
      look()
    })
  return { heard, listener, until }
}
