import { setTimeout as wait } from 'node:timers/promises'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey, type LocalJWKSet } from 'jose'
import type { Logger } from '../../ports/logger.ts'

/** For so long keys are used without looking for newer ones, ms. */
export const FRESH = 10 * 60_000
/** For so long keys are used while newer ones cannot be fetched, ms: an outage of the issuer does not lock everyone out. */
export const KEPT = 60 * 60_000
/** At most one fetch in this time, ms, whatever tokens come: nobody floods the issuer through a node. */
export const FETCH_INTERVAL = 5_000
/** A fetch that takes longer than this has failed, ms. */
export const FETCH_TIMEOUT = 5_000

/** The keys that tokens are signed with cannot be had, so no token can be checked now. */
export class KeysUnavailable extends Error {
  override readonly name = 'KeysUnavailable'
  constructor() {
    super('the keys that tokens are signed with cannot be fetched')
  }
}

export interface RemoteKeysOptions {
  readonly url: string
  /** Milliseconds of any clock: only differences count. */
  readonly now: () => number
  /** How long a fetch may take, ms. */
  readonly fetchTimeout: number
  readonly logger: Logger
}

/** The public keys of an issuer, fetched from its JWKS address when they are needed. */
export interface RemoteKeys {
  /** The key that a token's header names. Rejects with KeysUnavailable, or as jose does where no key fits. */
  readonly keyFor: JWTVerifyGetKey
  /** Rejects with KeysUnavailable, within `timeout` ms. */
  check(timeout: number): Promise<void>
  /** Gives up a fetch that is under way. */
  close(): void
}

export const remoteKeys = ({ url, now, fetchTimeout, logger }: RemoteKeysOptions): RemoteKeys => {
  const closing = new AbortController()
  // A query or a password in the address could be a secret.
  const { origin, pathname } = new URL(url)
  let keys: LocalJWKSet | undefined
  let fetchedAt = -Infinity
  let triedAt = -Infinity
  let failing = false
  let pending: Promise<void> | undefined

  const load = async (): Promise<void> => {
    triedAt = now()
    try {
      keys = await fetchKeys(url, AbortSignal.any([closing.signal, AbortSignal.timeout(fetchTimeout)]))
      fetchedAt = triedAt
      if (failing) logger.info({ url: origin + pathname }, 'the keys of tokens can be fetched again')
      failing = false
    } catch (error) {
      if (!failing && !closing.signal.aborted)
        logger.warn({ url: origin + pathname, reason: reasonOf(error) }, 'cannot fetch the keys of tokens')
      failing = true
    }
  }
  /** Whoever comes while a fetch is out waits for that one. Never rejects. */
  const fetchUnlessTried = (): Promise<void> => {
    if (!pending && now() - triedAt < FETCH_INTERVAL) return Promise.resolve()
    pending ??= load().finally(() => {
      pending = undefined
    })
    return pending
  }
  const current = async (): Promise<LocalJWKSet> => {
    if (now() - fetchedAt >= FRESH) await fetchUnlessTried()
    if (!keys || now() - fetchedAt >= KEPT) throw new KeysUnavailable()
    return keys
  }

  return {
    async keyFor(header, token) {
      const known = await current()
      try {
        return await known(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      }
      // The issuer may have a new key.
      await fetchUnlessTried()
      if (failing) throw new KeysUnavailable()
      return (await current())(header, token)
    },
    async check(timeout) {
      const inTime = new AbortController()
      const late = wait(timeout, undefined, { signal: inTime.signal }).then(() => {
        throw new KeysUnavailable()
      })
      try {
        await Promise.race([current(), late])
      } finally {
        inTime.abort()
      }
    },
    close() {
      closing.abort()
    },
  }
}

const fetchKeys = async (url: string, signal: AbortSignal): Promise<LocalJWKSet> => {
  const response = await fetch(url, { signal, redirect: 'manual', headers: { accept: 'application/json' } })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new Error(`status ${response.status}`)
  }
  return createLocalJWKSet((await response.json()) as JSONWebKeySet)
}

/** In our own words, as a library's might quote the whole address. */
const reasonOf = (error: unknown): string => {
  const { name, cause, message } = error as Error & { cause?: { code?: string } }
  if (name === 'TimeoutError') return 'no answer in time'
  if (error instanceof SyntaxError || error instanceof errors.JOSEError) return 'the answer is not a JWK set'
  return message.startsWith('status ') ? message : (cause?.code ?? name)
}
