import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions } from 'jose'
import { fail, HoofbeatError } from '../errors.ts'
import { isUser, type Access, type Identity } from '../ports/access.ts'
import type { Driver } from '../ports/driver.ts'
import type { Logger } from '../ports/logger.ts'
import { FETCH_INTERVAL, FETCH_TIMEOUT, KeysUnavailable, remoteKeys } from './token/keys.ts'
import { rightsOf, type Rights } from './token/rights.ts'

export interface TokenAccessOptions {
  /** Tokens are signed with HS256 and this. Either this or `jwksUrl`. */
  readonly secret?: string | undefined
  /** Tokens are signed with RS256 or ES256 and a key that is published here. */
  readonly jwksUrl?: string | undefined
  /** The `iss` to require. */
  readonly issuer?: string | undefined
  /** The `aud` to require. */
  readonly audience?: string | undefined
  /** Epoch ms. */
  readonly now?: (() => number) | undefined
  /** How long fetching the keys may take, ms. */
  readonly fetchTimeout?: number | undefined
  readonly logger: Logger
}

/** Where keys come from. The key and the algorithms belong together, so that no token can choose between kinds of key. */
interface Trust {
  readonly algorithms: string[]
  readonly keyFor: JWTVerifyGetKey
  check(timeout: number): Promise<void>
  close(): void
}

/**
 * Access by JWT, from `token` or else `passcode`; `login` is not looked at.
 *
 * `sub` is the user; `exp` and `nbf` hold to the second, and without `exp` the identity does not end; `rooms` limits what
 * may be read and sent. Throws TypeError unless exactly one of `secret` and `jwksUrl` is given.
 */
export const tokenAccess = (options: TokenAccessOptions): Driver<Access> => {
  const { now = Date.now } = options
  const trust = trustOf(options)
  const required: JWTVerifyOptions = { algorithms: trust.algorithms }
  if (options.issuer !== undefined) required.issuer = options.issuer
  if (options.audience !== undefined) required.audience = options.audience
  const rights = new WeakMap<Identity, Rights>()
  let closed = false
  const open = (): void => {
    if (closed) throw fail('DRAINING')
  }

  return {
    port: {
      async authenticate({ token, passcode }) {
        open()
        const jwt = token || passcode
        if (!jwt) throw fail('BAD_CREDENTIALS', 'a token is needed, as a bearer token or as passcode')
        const time = now()
        try {
          const { payload } = await jwtVerify(jwt, trust.keyFor, { ...required, currentDate: new Date(time) })
          const { identity, allowed } = readClaims(payload, time)
          rights.set(identity, allowed)
          return identity
        } catch (error) {
          throw refusal(error, trust.algorithms)
        }
      },
      mayRead(who, room) {
        open()
        return rights.get(who)?.mayRead(room) ?? false
      },
      maySend(who, room) {
        open()
        return rights.get(who)?.maySend(room) ?? false
      },
      changes() {
        // A token's rights end with the identity, and not before.
      },
    },
    async check(timeout) {
      open()
      await trust.check(timeout)
    },
    async close() {
      closed = true
      trust.close()
    },
  }
}

const trustOf = ({ secret, jwksUrl, now, fetchTimeout = FETCH_TIMEOUT, logger }: TokenAccessOptions): Trust => {
  if (secret && !jwksUrl) {
    const hmac = { name: 'HMAC', hash: 'SHA-256' }
    const key = crypto.subtle.importKey('raw', Buffer.from(secret), hmac, false, ['verify'])
    return { algorithms: ['HS256'], keyFor: () => key, check: async () => {}, close: () => {} }
  }
  if (jwksUrl && !secret) {
    const clock = now ?? (() => performance.now())
    return { algorithms: ['RS256', 'ES256'], ...remoteKeys({ url: jwksUrl, now: clock, fetchTimeout, logger }) }
  }
  throw new TypeError('either a secret or a JWKS address')
}

/** The latest time that a Date can hold, epoch ms. */
const LAST_TIME = 8.64e15

const readClaims = (claims: JWTPayload, time: number): { identity: Identity; allowed: Rights } => {
  const { sub, exp, ['rooms']: rooms } = claims
  if (typeof sub !== 'string' || !isUser(sub)) {
    throw fail(
      'BAD_CREDENTIALS',
      'sub must be 1 to 128 characters, without control characters or white space around it',
    )
  }
  const allowed = rightsOf(rooms)
  if (!allowed) throw fail('BAD_CREDENTIALS', 'rooms must have the form { "read": ["team.*"], "send": ["team.*"] }')
  if (exp === undefined) return { identity: { user: sub }, allowed }
  const expires = exp * 1000
  if (expires > LAST_TIME) throw fail('BAD_CREDENTIALS', 'exp must be a time in seconds')
  // jose compares whole seconds.
  if (expires <= time) throw fail('TOKEN_EXPIRED')
  return { identity: { user: sub, expires }, allowed }
}

/** What the client is told. Nothing of the token is in it, and no cause: jose's errors hold the claims. */
const refusal = (error: unknown, algorithms: readonly string[]): HoofbeatError => {
  if (error instanceof HoofbeatError) return error
  if (error instanceof errors.JWTExpired) return fail('TOKEN_EXPIRED')
  if (error instanceof KeysUnavailable) {
    const headers = { 'retry-after-ms': String(FETCH_INTERVAL) }
    return fail('BAD_CREDENTIALS', 'the token cannot be checked now', { headers })
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const { claim, reason } = error
    if (claim === 'nbf' && reason === 'check_failed') return fail('BAD_CREDENTIALS', 'the token is not valid yet')
    return fail('BAD_CREDENTIALS', reason === 'missing' ? `${claim} is missing` : `${claim} is not what is required`)
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return fail('BAD_CREDENTIALS', `the token must be signed with ${algorithms.join(' or ')}`)
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return fail('BAD_CREDENTIALS', 'the signature is wrong')
  if (error instanceof errors.JWKSNoMatchingKey) return fail('BAD_CREDENTIALS', 'no known key signed the token')
  if (error instanceof errors.JWKSMultipleMatchingKeys) {
    return fail('BAD_CREDENTIALS', 'the token must name its key by kid, as several would do')
  }
  const malformed = [errors.JWSInvalid, errors.JWTInvalid, errors.JOSENotSupported].some(type => error instanceof type)
  return fail('BAD_CREDENTIALS', malformed ? 'the token is malformed' : 'the key that signed the token cannot be used')
}
