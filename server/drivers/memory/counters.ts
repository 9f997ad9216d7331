import type { Count, Counters } from '../../ports/counters.ts'
import type { Driver } from '../../ports/driver.ts'

/** How many keys are remembered at most; beyond that the one that began first is forgotten. */
const MOST = 100_000

/** Counts of this process alone. */
export const memoryCounters = ({ most = MOST }: { readonly most?: number } = {}): Driver<Counters> => {
  const counts = new Map<string, { count: number; readonly until: number }>()
  return {
    port: {
      async add(key, window, { by = 1, most: limit = Infinity } = {}): Promise<Count> {
        const now = performance.now()
        const known = counts.get(key)
        if (known && known.until > now) {
          const count = known.count + by
          if (count <= limit) known.count = count
          return { count, left: known.until - now }
        }
        counts.delete(key)
        if (by > limit) return { count: by, left: 0 }
        counts.set(key, { count: by, until: now + window })
        const [first] = counts.keys()
        if (counts.size > most) counts.delete(first!)
        return { count: by, left: window }
      },
      async clear(key) {
        counts.delete(key)
      },
    },
    check: async () => {},
    close: async () => counts.clear(),
  }
}
