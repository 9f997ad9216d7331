const FIRST_MS = 500
const MOST_MS = 30_000

/**
 * How long to wait before the next try, in ms, after `attempt` tries that failed (0: the first one).
 * Doubles from half a second to half a minute; half of it is chance, so that clients of a dead node do not come back
 * all at once.
 */
export const backOff = (attempt: number, random: () => number = Math.random): number => {
  const full = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt, 16))
  return Math.round(full / 2 + (full / 2) * random())
}
