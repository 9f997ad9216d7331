import { STATUS_CODES, type ServerOptions } from 'node:http'
import type { Socket } from 'node:net'
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyReply } from 'fastify'
import type { Config } from '../config.ts'
import { securityHeaders } from './headers.ts'
import { problem, PROBLEM_TYPE } from './problem.ts'

/** How much and how slowly a client may send before it is refused. Times in ms. */
export interface HttpLimits {
  /** For the head of a request, counted from the opening of the connection or the last answer's end. */
  readonly headersTimeout: number
  /** For a whole request. */
  readonly requestTimeout: number
  /** For the handshake of TLS. */
  readonly handshakeTimeout: number
  /** For which nothing at all passes in either direction. A WebSocket has its own clock. */
  readonly idleTimeout: number
  /** Between two requests. */
  readonly keepAliveTimeout: number
  /** How often the first two are looked at. */
  readonly checkInterval: number
  readonly headerBytes: number
  readonly bodyBytes: number
}

export const httpLimits: HttpLimits = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  handshakeTimeout: 10_000,
  idleTimeout: 30_000,
  // Longer than the 60 s of common load balancers: a connection must not close under a request that they just sent.
  keepAliveTimeout: 72_000,
  checkInterval: 1_000,
  headerBytes: 16_384,
  bodyBytes: 65_536,
}

export interface HttpOptions {
  readonly config: Pick<Config, 'TRUST_PROXY'>
  readonly logger: FastifyBaseLogger
  /** Serve HTTPS. */
  readonly tls?: { readonly cert: Buffer; readonly key: Buffer } | undefined
  readonly limits?: HttpLimits
}

/**
 * The HTTP server that everything is registered on, not listening yet. It logs no requests (their URLs are the clients'
 * own), answers errors as problem+json without anything internal, and gives every answer the security headers.
 */
export const buildHttp = ({ config, logger, tls, limits = httpLimits }: HttpOptions): FastifyInstance => {
  const security = securityHeaders(tls !== undefined)
  const problemHeaders = { ...security, 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' }
  const send = (reply: FastifyReply, status: number): FastifyReply =>
    reply.code(status).headers(problemHeaders).send(problem(status))
  // What fastify says at level info, such as where it listens, the node says itself.
  const quieter = ['trace', 'debug', 'info'].includes(logger.level) ? logger.child({}, { level: 'warn' }) : logger
  const common = {
    loggerInstance: quieter,
    // One for each request would only add a number that nothing else is known by.
    childLoggerFactory: (parent: FastifyBaseLogger) => parent,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: config.TRUST_PROXY ? [...config.TRUST_PROXY] : false,
    connectionTimeout: limits.idleTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    bodyLimit: limits.bodyBytes,
    // While a node drains, its health is still asked for.
    return503OnClosing: false,
    // What fastify itself throws has a status, what Node refuses a code.
    frameworkErrors: (error: { statusCode?: number }, _request: unknown, reply: FastifyReply) => {
      void send(reply, error.statusCode!)
    },
    clientErrorHandler: (error: { code?: string }, socket: Socket) => refuse(socket, error.code!, problemHeaders),
  }
  const node: ServerOptions = {
    headersTimeout: limits.headersTimeout,
    connectionsCheckingInterval: limits.checkInterval,
    maxHeaderSize: limits.headerBytes,
  }
  const app = (
    tls
      ? fastify({ ...common, https: { ...node, ...tls, handshakeTimeout: limits.handshakeTimeout } })
      : fastify({ ...common, http: node })
  ) as FastifyInstance

  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(security)
    done()
  })
  app.setNotFoundHandler((_request, reply) => send(reply, 404))
  app.setErrorHandler((error: { statusCode?: number }, request, reply) => {
    const { statusCode = 500 } = error
    const status = statusCode >= 400 && statusCode < 600 ? statusCode : 500
    if (status >= 500) request.log.error({ err: error, route: request.routeOptions.url }, 'an HTTP request failed')
    return send(reply, status)
  })
  return app
}

const statusOf: Record<string, number> = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 }

/** Answers what Node's HTTP parser gave up on, before any request was there. */
const refuse = (socket: Socket, code: string, problemHeaders: Readonly<Record<string, string>>): void => {
  if (!socket.writable) return void socket.destroy()
  const status = statusOf[code] ?? 400
  const body = problem(status)
  const headers = { ...problemHeaders, 'content-length': body.length, 'connection': 'close' }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  // Nothing waits for the client, who may not be reading, or not have come to the end of a TLS handshake.
  socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`)
  socket.destroy()
}
