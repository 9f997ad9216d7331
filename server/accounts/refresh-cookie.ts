import { fail } from '../errors.ts'
import { PAGE_HEADER } from '../http/api.ts'
import { DEVICE_KEPT } from './sessions.ts'

const NAME = 'refresh'
const PATH = '/api/session'

/** What is looked at of a request, and done to an answer, where the cookie counts. */
export interface Asking {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly cookies: Readonly<Record<string, string | undefined>>
  readonly host: string
  readonly protocol: string
}
export interface Answering {
  setCookie(name: string, value: string, options: object): unknown
  clearCookie(name: string, options: object): unknown
}

/** It goes to nobody but this path of this host, and is read by no script. */
const attributes = ({ protocol }: Asking) =>
  ({ path: PATH, httpOnly: true, sameSite: 'strict', secure: protocol === 'https' }) as const

/** Another site's page cannot make a browser send this. Throws FORBIDDEN. */
export const demandPage = ({ headers, host }: Asking, mayConnect: (origin: string, host: string) => boolean): void => {
  const { origin } = headers
  if (headers[PAGE_HEADER] === undefined) throw fail('FORBIDDEN', `where the cookie counts ${PAGE_HEADER} must be sent`)
  if (typeof origin !== 'string' || !mayConnect(origin, host)) throw fail('FORBIDDEN', 'to a page of this origin')
}

/** The refresh token that a browser has kept. */
export const keptToken = ({ cookies }: Asking): string | undefined => cookies[NAME]

/** Has the browser keep it, as long as a device stays signed in. */
export const keepToken = (request: Asking, reply: Answering, token: string): void => {
  reply.setCookie(NAME, token, { ...attributes(request), maxAge: DEVICE_KEPT / 1000 })
}

/** Has the browser forget it. */
export const forgetToken = (request: Asking, reply: Answering): void => {
  reply.clearCookie(NAME, attributes(request))
}
