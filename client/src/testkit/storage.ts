import type t from 'tap'
import { openStore } from '../remembered.ts'

type Tap = typeof t

/** The storage of a page whose browser allows none. */
export const passing = (t: Pick<Tap, 'intercept'>): Storage => {
  const { restore } = t.intercept(globalThis, 'localStorage', {
    get: () => {
      throw new DOMException('no', 'SecurityError')
    },
  })
  const store = openStore('localStorage')
  restore()
  return store
}
