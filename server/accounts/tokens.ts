import { createHmac, timingSafeEqual } from 'node:crypto'
import { errors, jwtVerify, SignJWT } from 'jose'
import { fail, HoofbeatError } from '../errors.ts'
import { isUser } from '../ports/access.ts'
import { ALGORITHM, type Keys } from './keys.ts'

/** How long an access token holds, ms. */
export const ACCESS_FOR = 900_000

export interface AccessToken {
  readonly token: string
  /** Epoch ms. */
  readonly expires: number
}

/** Whom an access token names, and until when. */
export interface Bearer {
  readonly user: string
  /** As they signed up with it. */
  readonly name?: string
  readonly session: string
  /** Epoch ms. */
  readonly expires: number
}

/** A token that says who somebody is, at every door, for a quarter of an hour. */
export const signAccess = async (
  keys: Keys,
  { user, name, session }: Omit<Bearer, 'expires'>,
  now: number,
): Promise<AccessToken> => {
  const { id, key } = await keys.signer()
  // In whole seconds, as a token says them.
  const from = Math.floor(now / 1000)
  const to = from + ACCESS_FOR / 1000
  const token = await new SignJWT({ sid: session, name })
    .setProtectedHeader({ alg: ALGORITHM, kid: id, typ: 'JWT' })
    .setSubject(user)
    .setIssuedAt(from)
    .setExpirationTime(to)
    .sign(key)
  return { token, expires: to * 1000 }
}

/** Rejects with BAD_CREDENTIALS, TOKEN_EXPIRED, or DATABASE_UNAVAILABLE where its key is not known and cannot be looked up. */
export const verifyAccess = async (keys: Keys, token: string, now: number): Promise<Bearer> => {
  try {
    const { payload } = await jwtVerify(token, keys.keyFor, {
      algorithms: [ALGORITHM],
      currentDate: new Date(now),
      requiredClaims: ['sub', 'sid', 'exp'],
    })
    const { sub, sid, exp, name } = payload as { sub: string; sid: unknown; exp: number; name?: unknown }
    if (!isUser(sub)) throw fail('BAD_CREDENTIALS', 'the token is of no user')
    return { user: sub, ...(typeof name === 'string' && { name }), session: String(sid), expires: exp * 1000 }
  } catch (error) {
    if (error instanceof HoofbeatError) throw error
    if (error instanceof errors.JWTExpired) throw fail('TOKEN_EXPIRED')
    // Without a cause: jose's errors hold the claims.
    throw fail('BAD_CREDENTIALS', 'the token is not one of ours')
  }
}

/** Whether `text` has the form of a JWT, which no password is taken for. */
export const isJwt = (text: string): boolean => /^eyJ[\w-]*\.eyJ[\w-]*\.[\w-]+$/.test(text)

/*
  refresh token := session "." generation "." mac     mac: HMAC-SHA-256 of what is before it, base64url
*/

export interface Generation {
  readonly session: string
  /** The first is 0. */
  readonly generation: number
}

const macOf = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** The one refresh token of this generation: asked for again it is the same. */
export const writeRefresh = (key: Buffer, { session, generation }: Generation): string => {
  const text = `${session}.${generation}`
  return `${text}.${macOf(key, text).toString('base64url')}`
}

/** Throws BAD_CREDENTIALS where it was not made here. */
export const readRefresh = (key: Buffer, token: string): Generation => {
  const [, text = '', session = '', generation = '', mac = ''] =
    /^(([0-9a-z]{1,32})\.(\d{1,9}))\.([\w-]{43})$/.exec(token) ?? []
  const given = Buffer.from(mac, 'base64url')
  const right = macOf(key, text)
  if (given.length !== right.length || !timingSafeEqual(given, right)) {
    throw fail('BAD_CREDENTIALS', 'the refresh token is not one of ours')
  }
  return { session, generation: Number(generation) }
}
