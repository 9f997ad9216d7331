import type { Count, Counters } from '../../ports/counters.ts'
import type { Driver } from '../../ports/driver.ts'

/** How many keys are remembered at most; beyond that the one that began first is forgotten. */
const MOST = 100_000

/** Counts of this process alone. */
export const memoryCounters = ({ most = MOST }: { readonly most?: number } = {}): Driver<Counters> => {
  const counts = new Map<string, { count: number; readonly until: number }>()
  return {
    port: {
      async add(key, window): Promise<Count> {
        const now = performance.now()
        const known = counts.get(key)
        if (known && known.until > now) return { count: ++known.count, left: known.until - now }
        counts.delete(key)
        counts.set(key, { count: 1, until: now + window })
        const [first] = counts.keys()
        if (counts.size > most) counts.delete(first!)
        return { count: 1, left: window }
      },
      async clear(key) {
        counts.delete(key)
      },
    },
    check: async () => {},
    close: async () => counts.clear(),
  }
}
