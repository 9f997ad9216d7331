import type { Credentials } from './chat/index.ts'

/** Who uses the page. */
export interface Account {
  readonly user: string
  readonly credentials: Credentials
}

/** A name as it may be used; undefined where it may not. */
export const cleanName = (typed: string): string | undefined => {
  const name = typed.normalize('NFC').trim().replace(/\s+/g, ' ')
  // What a header of a CONNECT frame cannot carry unchanged to everyone is left out from the start.
  const allowed = name !== '' && [...name].length <= 40 && !/[\p{Cc}\p{Cs}\\]/u.test(name)
  return allowed ? name : undefined
}

export const namedAccount = (typed: string): Account | undefined => {
  const user = cleanName(typed)
  return user === undefined ? undefined : { user, credentials: { login: user } }
}

/** The account of a JWT. Only the server can tell whether it is valid. */
export const tokenAccount = (typed: string): Account | undefined => {
  const token = typed.trim()
  const user = subjectOf(token)
  return user === undefined ? undefined : { user, credentials: { token } }
}

const subjectOf = (token: string): string | undefined => {
  const payload = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(token)?.[1]
  if (payload === undefined) return undefined
  try {
    const base64 = payload.replaceAll('-', '+').replaceAll('_', '/')
    const bytes = Uint8Array.from(atob(base64), letter => letter.codePointAt(0) ?? 0)
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes))
    if (typeof claims !== 'object' || claims === null || !('sub' in claims)) return undefined
    return typeof claims.sub === 'string' && claims.sub !== '' ? claims.sub : undefined
  } catch {
    return undefined
  }
}
