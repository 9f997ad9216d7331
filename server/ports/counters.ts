/** How often something has happened. */
export interface Count {
  readonly count: number
  /** How long until it is counted anew, ms. */
  readonly left: number
}

/**
 * Counts of what happened lately, of all nodes together. They may be forgotten at any time, so nothing is counted here that
 * must not be lost. Neither method rejects: while the others' counts cannot be reached, each node goes on with its own.
 */
export interface Counters {
  /**
   * Counts one more under `key`, or `by` more; where that makes more than `most`, it counts nothing and answers what it would
   * have been. With the first a window of `window` ms begins; after that it is counted anew.
   */
  add(key: string, window: number, options?: { readonly by?: number; readonly most?: number }): Promise<Count>
  /** Forgets what was counted under `key`. */
  clear(key: string): Promise<void>
}
