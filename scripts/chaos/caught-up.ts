import { setTimeout as delay } from 'node:timers/promises'
import type { Clients } from './clients.ts'
import type { Ledger } from './ledger.ts'
import type { Place } from './message.ts'

/** How long clients may take to catch up when nothing is wrong any more, ms. */
const PATIENCE = 90_000

/** Where everybody is, once they are; undefined, and broken promises, where somebody stays behind. */
export const caughtUp = async (clients: Clients, ledger: Ledger): Promise<ReadonlyMap<string, Place> | undefined> => {
  const waiting = new AbortController()
  const late = delay(PATIENCE, undefined, { signal: waiting.signal }).catch(() => undefined)
  const places = await Promise.race([clients.catchUp(), late])
  waiting.abort()
  if (places) return places
  for (const what of clients.awaited) ledger.broke('stuck', `${what}, ${PATIENCE / 1000} s after all was well again`)
  return undefined
}
