import { Type } from 'typebox'
import { fail, HoofbeatError } from '../errors.ts'
import { Id, nothing, PAGE_HEADER, Time, type Api } from '../http/api.ts'
import type { Keys } from './keys.ts'
import { readAccount } from './profile.ts'
import { demandPage, forgetToken, keepToken, keptToken, type Answering, type Asking } from './refresh-cookie.ts'
import { AccountSchema, GivenPassword, NewName } from './schemas.ts'
import { beginSession, DEVICES, endSession, refreshSession } from './sessions.ts'
import { holderOf } from './sign-in.ts'
import { readRefresh, signAccess, writeRefresh, type Generation } from './tokens.ts'
import type { RouteParts } from './routes.ts'

export interface SessionRouteParts extends RouteParts {
  readonly keys: Keys
  /** What refresh tokens are made with. */
  readonly refreshKey: Buffer
  readonly mayConnect: (origin: string, host: string) => boolean
  /** Epoch ms. */
  readonly now: () => number
}

const SIGN_INS_PER_MINUTE = 120
const DEVICE_LENGTH = 100
const tags = ['sessions']

const Signed = Type.Object({
  accessToken: Type.String({ description: 'For `Authorization: Bearer`, and for CONNECT', examples: ['eyJhbGciOi…'] }),
  expires: Time('When the access token ends, epoch ms'),
  session: Id,
  user: AccountSchema,
  refreshToken: Type.Optional(Type.String({ description: 'Only where it was asked for in the body' })),
})
const Keep = Type.Union([Type.Literal('cookie'), Type.Literal('body')], {
  default: 'cookie',
  description: 'Where the refresh token goes: pages leave it to the browser, other programs keep it themselves',
})

export const sessionRoutes = (api: Api, parts: SessionRouteParts): void => {
  begin(api, parts)
  refresh(api, parts)
  end(api, parts)
}

/** The answer of who has a session: a fresh access token, and the refresh token where it is kept. */
const signed = async (
  { db, keys, refreshKey, now }: SessionRouteParts,
  request: Asking,
  reply: Answering,
  { user, keep, ...generation }: Generation & { readonly user: string; readonly keep: 'cookie' | 'body' },
) => {
  const account = await readAccount(db, user)
  const { token, expires } = await signAccess(keys, { user, name: account.name, session: generation.session }, now())
  const refreshToken = writeRefresh(refreshKey, generation)
  if (keep === 'cookie') keepToken(request, reply, refreshToken)
  return {
    accessToken: token,
    expires,
    session: generation.session,
    user: account,
    ...(keep === 'body' && { refreshToken }),
  }
}

const begin = (api: Api, parts: SessionRouteParts): void => {
  api.post(
    '/session',
    {
      config: { open: true, perMinute: SIGN_INS_PER_MINUTE, errors: ['BAD_CREDENTIALS', 'FORBIDDEN', ...waiting] },
      schema: {
        tags,
        summary: 'Sign in',
        description:
          `Begins a session of this device; past ${DEVICES} devices the one ends that was not seen for the longest time. ` +
          `A page sends \`${PAGE_HEADER}\` with any value.`,
        body: Type.Object({
          name: NewName,
          password: GivenPassword,
          device: Type.Optional(Type.String({ maxLength: DEVICE_LENGTH, examples: ['Firefox on Linux'] })),
          keep: Keep,
        }),
        response: { 200: Signed },
      },
    },
    async (request, reply) => {
      const { name, password, keep, device = request.headers['user-agent'] ?? '' } = request.body
      if (keep === 'cookie') demandPage(request, parts.mayConnect)
      const address = request.ip
      const { user, hash } = await holderOf(parts, { name, password, address })
      const begun = { user, hash, kind: 'device', device, address } as const
      const { session, ended } = await beginSession(parts.db, begun, parts.now())
      if (ended.length > 0) parts.watch.ended(ended)
      return signed(parts, request, reply, { user, session, generation: 0, keep })
    },
  )
}
const waiting = ['TOO_MANY_LOGINS', 'TOO_BUSY'] as const

const refresh = (api: Api, parts: SessionRouteParts): void => {
  api.post(
    '/session/refresh',
    {
      config: { open: true, perMinute: SIGN_INS_PER_MINUTE, errors: ['BAD_CREDENTIALS', 'FORBIDDEN', 'SESSION_ENDED'] },
      schema: {
        tags,
        summary: 'Get a fresh access token',
        description:
          'For the refresh token in the cookie, or in the body. Each is exchanged for the next one; to use an old one again ' +
          'ends the session.',
        body: Type.Object({ refreshToken: Type.Optional(Type.String({ maxLength: 200 })) }),
        response: { 200: Signed },
      },
    },
    async (request, reply) => {
      const { refreshToken } = request.body
      const keep = refreshToken === undefined ? 'cookie' : 'body'
      if (keep === 'cookie') demandPage(request, parts.mayConnect)
      const token = refreshToken ?? keptToken(request)
      if (token === undefined) throw fail('BAD_CREDENTIALS', 'a refresh token is needed')
      const given = readRefresh(parts.refreshKey, token)
      try {
        const refreshed = await refreshSession(parts.db, given, { now: parts.now(), address: request.ip })
        return await signed(parts, request, reply, { ...refreshed, keep })
      } catch (error) {
        // It may have ended just now, because of this very token.
        if (isEnded(error)) {
          parts.watch.ended([given.session])
          if (keep === 'cookie') forgetToken(request, reply)
        }
        throw error
      }
    },
  )
}

const isEnded = (error: unknown): boolean => error instanceof HoofbeatError && error.code === 'SESSION_ENDED'

const end = (api: Api, { db, watch }: SessionRouteParts): void => {
  api.delete(
    '/session',
    {
      config: { errors: ['NO_SUCH_SESSION'] },
      schema: { tags, summary: 'Sign out', response: { 204: nothing('The session has ended') } },
    },
    async (request, reply) => {
      const { user, session } = request.identity
      await endSession(db, user, session)
      watch.ended([session])
      forgetToken(request, reply)
      return reply.code(204).send(null)
    },
  )
}
