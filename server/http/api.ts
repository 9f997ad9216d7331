/** What the capabilities' routes are registered with: the one door from them to HTTP. */

import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import rateLimit from '@fastify/rate-limit'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type {
  FastifyBaseLogger,
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  RawServerDefault,
  RouteOptions,
} from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { Config } from '../config.ts'
import type { Db } from '../database/database.ts'
import { Pace } from '../database/pace.ts'
import { errors, fail, HoofbeatError } from '../errors.ts'
import { complete, oneExample, openapi, type RouteNotes } from './document.ts'
import { canBeKept } from './fields.ts'
import { docsPolicy } from './headers.ts'
import { hostCheck } from './hosts.ts'
import { forgetKeys } from './once.ts'
import { PROBLEM_TYPE, problemOf } from './problem.ts'

export { nothing } from './document.ts'
export { Id, Time } from './fields.ts'
export { createOnce, forgetCreations } from './once.ts'
export { PageOf, PageQuery, Paging, TimePlace, type Page, type Part } from './paging.ts'

/** Who has signed in, by which session. */
export interface SignedIn {
  readonly user: string
  readonly session: string
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Rejects the request with BAD_CREDENTIALS where nobody is signed in. */
    readonly identity: SignedIn
  }
  interface FastifyContextConfig extends RouteNotes {}
}

/** Where routes are registered. Schemas are TypeBox's; `config` is `RouteNotes`. */
export type Api = FastifyInstance<
  RawServerDefault,
  FastifyRequest['raw'],
  FastifyReply['raw'],
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

export interface ApiOptions {
  readonly config: Pick<Config, 'ORIGINS' | 'HOSTS' | 'REQUESTS_PER_USER' | 'REQUESTS_PER_ADDRESS'>
  /** The node listens on loopback. */
  readonly loopback: boolean
  readonly version: string
  readonly db: Db
  /** Who brings this access token; rejects as `Access.authenticate` does. */
  readonly identify: (token: string) => Promise<SignedIn>
  /** Routes below /api. */
  readonly routes: readonly ((api: Api) => void)[]
  /** Open routes beside it, by their whole address. */
  readonly published: readonly ((api: Api) => void)[]
}

const MINUTE = 60_000
const HOUR = 3_600_000
/** How many users and addresses are counted at most; past it the longest unseen is forgotten. */
const COUNTED = 50_000
/** Addresses of one network count as one, bits. */
const NETWORK = 64
/** How long a browser may keep what a preflight was answered, s. */
const PREFLIGHT_KEPT = 600

/** Registers the API, its document and, at /docs, a page that shows that. */
export const openApi = async (app: FastifyInstance, options: ApiOptions): Promise<void> => {
  const forgetting = new Pace(HOUR, app.log, () => forgetKeys(options.db))
  app.addHook('onClose', () => forgetting.close())
  await app.register(async scope => {
    await scope.register(swagger, {
      openapi: openapi(options.version),
      // What it leaves of lists in parameters.
      transformObject: document => {
        const { openapiObject } = document as Extract<typeof document, { openapiObject: unknown }>
        oneExample(openapiObject)
        return openapiObject
      },
    })
    await scope.register(cookie)
    await scope.register(rateLimit, { global: false, timeWindow: MINUTE, ipv6Subnet: NETWORK, cache: COUNTED })
    guard(scope, options)
    document(scope)
    for (const routes of options.published) routes(scope.withTypeProvider<TypeBoxTypeProvider>())
    await scope.register(below, { ...options, prefix: '/api' })
    await scope.register(swaggerUi, { routePrefix: '/docs', staticCSP: docsPolicy, uiConfig: { docExpansion: 'list' } })
  })
}

/**
 * What holds for every request: by which name, how often, and how it is told what is wrong. Requests are counted by each node
 * for itself: they are what costs a node something, and a node that would have to ask Redis first could be stopped by it. What
 * is to hold for all nodes together (tries to sign in, new accounts, rooms, invitations) is counted through ports/counters.ts.
 */
const guard = (scope: FastifyInstance, { config, loopback }: ApiOptions): void => {
  const mayAsk = hostCheck({ hosts: config.HOSTS, loopback })
  const perAddress = scope.createRateLimit({ max: config.REQUESTS_PER_ADDRESS })
  scope.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    if (!mayAsk(request.host)) throw fail('BAD_HOST')
    await count(request, perAddress)
  })
  scope.addHook('preValidation', async ({ routeOptions: { schema = {} }, params, query, body }) => {
    const given = [schema.params && params, schema.querystring && query, schema.body && body]
    if (!canBeKept(given)) throw fail('BAD_REQUEST', 'a text holds NUL, or half a character')
  })
  scope.setErrorHandler((error: FastifyError, request, reply) => {
    const shown = toProblem(error)
    if (shown.code === 'INTERNAL') {
      request.log.error({ err: shown.cause, route: request.routeOptions.url }, 'an HTTP request failed')
    }
    return sendProblem(reply, shown)
  })
}

type Limit = ReturnType<FastifyInstance['createRateLimit']>

const count = async (request: FastifyRequest, limit: Limit): Promise<void> => {
  const counted = await limit(request)
  if (counted.isAllowed || !counted.isExceeded) return
  throw fail('TOO_MANY_REQUESTS', undefined, { headers: { 'retry-after-ms': String(counted.ttl) } })
}

/** Completes the schema of every route that has one, before it is compiled and written down. */
const document = (scope: FastifyInstance): void => {
  scope.addHook('onRoute', (route: RouteOptions) => {
    const { schema, config = {}, method } = route
    if (schema === undefined || schema.hide === true || method === 'HEAD') return
    route.schema = complete(schema, config)
  })
}

/** Everything below /api. */
const below = async (scope: FastifyInstance, { config, identify, routes }: ApiOptions): Promise<void> => {
  const origins = config.ORIGINS ?? []
  const any = origins.includes('*')
  await scope.register(cors, {
    origin: any ? '*' : [...origins],
    // With any origin no cookie is taken: it would be anybody's who has the page open.
    credentials: !any,
    methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', PAGE_HEADER],
    exposedHeaders: ['retry-after'],
    maxAge: PREFLIGHT_KEPT,
  })
  identities(scope, identify)
  const perUser = scope.createRateLimit({
    max: config.REQUESTS_PER_USER,
    keyGenerator: ({ identity }) => identity.user,
  })
  scope.addHook('onRequest', async request => {
    if (!request.routeOptions.config.open && !request.is404) await count(request, perUser)
  })
  scope.addHook('onRoute', route => {
    const { perMinute, open } = route.config ?? {}
    if (perMinute === undefined) return
    const limit = scope.createRateLimit({
      max: perMinute,
      ...(!open && { keyGenerator: ({ identity }: FastifyRequest) => identity.user }),
    })
    route.onRequest = async request => count(request, limit)
  })
  scope.setNotFoundHandler((_request, reply) => sendProblem(reply, fail('NOT_FOUND')))
  for (const register of routes) register(scope.withTypeProvider<TypeBoxTypeProvider>())
}

/** A header that no other page's form or link can send: where a cookie counts, it has to be there. */
export const PAGE_HEADER = 'x-hoofbeat'

/** Finds out who brings a request, before anything else is looked at; `open` routes look at no token. */
const identities = (scope: FastifyInstance, identify: ApiOptions['identify']): void => {
  const known = new WeakMap<FastifyRequest, SignedIn>()
  scope.decorateRequest('identity', {
    getter() {
      const identity = known.get(this)
      if (!identity) throw fail('BAD_CREDENTIALS', 'a token is needed')
      return identity
    },
  })
  scope.addHook('onRequest', async request => {
    if (request.routeOptions.config.open || request.is404) return
    const token = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined) throw fail('BAD_CREDENTIALS', 'a token is needed, as Authorization: Bearer')
    known.set(request, await identify(token))
  })
}

const sendProblem = (reply: FastifyReply, error: HoofbeatError): FastifyReply => {
  const wait = error.headers['retry-after-ms']
  const { http } = errors[error.code]
  if (wait !== undefined) reply.header('retry-after', String(Math.ceil(Number(wait) / 1000)))
  if (http === 401) reply.header('www-authenticate', 'Bearer')
  return reply.code(http).type(PROBLEM_TYPE).send(problemOf(error))
}

/** What the client is told: of what fastify says only the place of a mistake, never what was written there. */
const toProblem = (error: FastifyError): HoofbeatError => {
  if (error instanceof HoofbeatError) return error
  const { validation, validationContext = '', statusCode = 500 } = error
  const [first] = validation ?? []
  if (first) {
    const place = first.instancePath.slice(1).replaceAll('/', '.') || validationContext
    return fail('BAD_REQUEST', `${place} ${String(first.message)}`)
  }
  if (statusCode === 413) return fail('REQUEST_TOO_LARGE')
  if (statusCode >= 400 && statusCode < 500) return fail('BAD_REQUEST', 'the body must be JSON, with its content-type')
  return fail('INTERNAL', undefined, { cause: error })
}
