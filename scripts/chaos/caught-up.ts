import { setTimeout as delay } from 'node:timers/promises'
import { isEnding } from '../launch.ts'
import type { Clients } from './clients.ts'
import type { Ledger } from './ledger.ts'
import type { Place } from './message.ts'

/** How long clients may take to catch up when nothing is wrong any more, ms. */
const PATIENCE = 90_000
const STEP = 500

/** Where everybody is, once they are; undefined, and broken promises, where somebody stays behind. */
export const caughtUp = async (clients: Clients, ledger: Ledger): Promise<ReadonlyMap<string, Place> | undefined> => {
  const all = clients.catchUp()
  for (let waited = 0; waited < PATIENCE && !isEnding(); waited += STEP) {
    const step = new AbortController()
    const soon = delay(STEP, undefined, { signal: step.signal }).catch(() => undefined)
    const places = await Promise.race([all, soon])
    step.abort()
    if (places) return places
  }
  if (isEnding()) return undefined
  for (const what of clients.awaited) ledger.broke('stuck', `${what}, ${PATIENCE / 1000} s after all was well again`)
  return undefined
}
