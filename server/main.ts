import type { Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Server as TlsServer } from 'node:tls'
import { destination, pino, type Logger } from 'pino'
import packageJson from '../package.json' with { type: 'json' }
import { ConfigError, readConfig, type Config } from './config.ts'
import { Node } from './connection/node.ts'
import { openAccess } from './drivers/open.ts'
import { tokenAccess } from './drivers/token.ts'
import { healthRoutes } from './http/health.ts'
import { createMetrics } from './http/metrics.ts'
import { pageRoutes } from './http/page.ts'
import { buildHttp } from './http/server.ts'
import type { Product, ProductOptions } from './product.ts'
import { followTls, readKafkaTls, readTls, type Tls } from './tls.ts'
import type { Access } from './ports/access.ts'
import type { Claims } from './ports/claims.ts'
import type { Counters } from './ports/counters.ts'
import type { Driver } from './ports/driver.ts'
import type { Presence } from './ports/presence.ts'
import type { RoomLog } from './ports/room-log.ts'
import type { Signals } from './ports/signals.ts'
import { longestFrame } from './stomp/parser.ts'
import { isLoopback, originCheck } from './transport/origin.ts'
import { tcpServer } from './transport/tcp.ts'
import { webSocketRoutes } from './transport/websocket.ts'

/** How long a start waits for Redis before it goes on without, ms. */
const REDIS_FIRST = 1_000

export interface Running {
  /** The page's URL. */
  readonly url: string
  readonly port: number
  /** Of plain STOMP; undefined: none. */
  readonly stompPort: number | undefined
  /** Stops accepting, sends clients elsewhere, settles appends, closes. */
  stop(): Promise<void>
}

/** Starts a node: drivers, bridge, HTTP, listening. Rejects with what is wrong, having freed what it had opened. */
export const start = async (config: Config, logger: Logger): Promise<Running> => {
  const tls = await readTls(config)
  const bridges = config.ROLES.includes('bridge')
  const log = await openLog(config, logger)
  const signals = await openSignals(config, logger)
  const mayConnect = originCheck({
    origins: config.ORIGINS ?? [],
    hosts: config.HOSTS,
    loopback: isLoopback(config.HOST),
  })
  const access = await openAccessDriver(config, logger, { log: log.port, signals: signals.port, mayConnect }).catch(
    async (error: unknown) => {
      await signals.close()
      await log.close()
      throw error
    },
  )
  const app = buildHttp({ config, logger, tls })
  /** What was decided in SQL may still be on its way into the log: it has `within` ms to get there. */
  const closeDrivers = async (within: number): Promise<void> => {
    const closed = access.close()
    await Promise.race([closed, delay(within, undefined, { ref: false })])
    await log.close()
    await closed
    await signals.close()
  }
  try {
    if (config.ROOM_NAMES) await log.port.create(config.ROOM_NAMES)
    const metrics = createMetrics(() => ({ ...node.gauges(), keysReachable: Number(log.keysReachable()) }))
    const version = packageJson.version
    const ports = { log: access.log ?? log.port, access: access.port, signals: signals.port }
    // How many rooms of the product are made is bounded where they are made, not where the first use makes the log.
    const bridge: Config = access.log ? { ...config, ROOMS_PER_MINUTE: Infinity } : config
    const node = new Node({ config: bridge, ...ports, ...access.people, meter: metrics.meter, logger, version })
    if (bridges) await access.follow?.(node)
    const checks = {
      log: (timeout: number) => log.check(timeout),
      [access.part]: (timeout: number) => access.check(timeout),
    }
    const { BODY_BYTES: bodyBytes, HEADERS: headers, HEADER_BYTES: headerBytes } = config
    const maxPayload = longestFrame({ bodyBytes, headers, headerBytes })
    const { meter } = metrics
    app.server.on('clientError', () => meter.add('refused', 1, 'http'))
    if (bridges) await app.register(webSocketRoutes, { node, meter, maxPayload, mayConnect })
    healthRoutes(app, { roles: config.ROLES, checks, draining: () => node.draining, logger })
    metrics.routes(app)
    if (config.ROLES.includes('product')) {
      await access.serve?.(app)
      pageRoutes(app, { root: join(import.meta.dirname, '../client/dist'), access: config.ACCESS })
    }
    await app.listen({ host: config.HOST, port: config.PORT })
    const { STOMP_PORT } = config
    const stomp =
      bridges && STOMP_PORT !== 'off' ? await listen(tcpServer(node, tls), STOMP_PORT, config.HOST) : undefined
    const port = portOf(app.server)
    const renew = (renewed: Tls): void => {
      for (const server of [app.server, stomp]) if (server instanceof TlsServer) server.setSecureContext(renewed)
    }
    const unfollow = followTls(config, renew, logger)
    return {
      port,
      stompPort: stomp && portOf(stomp),
      url: `${tls ? 'https' : 'http'}://${urlHost(config.HOST)}:${port}/`,
      stop: async () => {
        const deadline = performance.now() + config.DRAIN_SECONDS * 1000
        unfollow()
        stomp?.close()
        app.server.close()
        await node.drain()
        // Requests that are not finished now never will be.
        app.server.closeAllConnections()
        await app.close()
        await closeDrivers(Math.max(0, deadline - performance.now()))
      },
    }
  } catch (error) {
    await app.close()
    await closeDrivers(config.DRAIN_SECONDS * 1000)
    throw error
  }
}

interface OpenedLog extends Driver<RoomLog> {
  /** Whether idempotency keys can be looked up now. */
  keysReachable(): boolean
}

const openLog = async (config: Config, logger: Logger): Promise<OpenedLog> => {
  if (!config.KAFKA_BROKERS) {
    const { openLevelLog } = await import('./drivers/level/room-log.ts')
    const log = await openLevelLog({
      folder: join(config.DATA_DIR, 'log'),
      roomsMax: config.ROOMS_MAX,
      idempotencyWindow: config.IDEMPOTENCY_WINDOW,
      logTimeout: config.LOG_TIMEOUT,
      logger,
    })
    return { ...log, keysReachable: () => true }
  }
  if (config.KAFKA_REPLICATION === 1) {
    logger.warn({}, 'KAFKA_REPLICATION=1: each message is on one broker only; this is for trying out')
  }
  const { openKafkaLog } = await import('../kafka/room-log.ts')
  const tls = await readKafkaTls(config)
  const claims = await openClaims(config, logger)
  const log = await openKafkaLog({
    brokers: config.KAFKA_BROKERS,
    ...(tls && { tls }),
    ...saslOf(config),
    replication: config.KAFKA_REPLICATION,
    retentionMs: config.KAFKA_RETENTION_MS,
    logTimeout: config.LOG_TIMEOUT,
    // The node's own bound comes first; this one holds for what a record is in Kafka's form.
    queueBytes: 2 * config.LOG_QUEUE_BYTES,
    roomsMax: config.ROOMS_MAX,
    claims: claims.port,
    idempotencyWindow: config.IDEMPOTENCY_WINDOW,
    logger,
  })
  const close = async (): Promise<void> => {
    await log.close()
    await claims.close()
  }
  return { ...log, close, keysReachable: () => claims.port.since !== undefined }
}

/** Who uses which idempotency key: what nodes on Kafka have to tell each other beside the log. */
const openClaims = async (config: Config, logger: Logger): Promise<Driver<Claims>> => {
  const window = config.IDEMPOTENCY_WINDOW
  if (config.REDIS_URL === undefined) {
    logger.warn({}, 'no REDIS_URL: an idempotency-key holds on one node only')
    const { memoryClaims } = await import('./drivers/memory/claims.ts')
    return memoryClaims({ window })
  }
  const { openRedisClaims } = await import('./drivers/redis/claims.ts')
  const claims = openRedisClaims({ url: config.REDIS_URL, window, timeout: config.LOG_TIMEOUT, logger })
  // Of rooms that are made while it can be reached nothing has to be looked up later.
  await claims.check(REDIS_FIRST).catch(() => undefined)
  return claims
}

/** What nodes tell each other that is gone when it is told. Nothing waits for a Redis that is away. */
const openSignals = async (config: Config, logger: Logger): Promise<Driver<Signals>> => {
  if (config.REDIS_URL === undefined) {
    const { memorySignals } = await import('./drivers/memory/signals.ts')
    return memorySignals()
  }
  const { openRedisSignals } = await import('./drivers/redis/signals.ts')
  return openRedisSignals({ url: config.REDIS_URL, logger })
}

const saslOf = (config: Config) => {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = config
  return mechanism && username && password ? { sasl: { mechanism, username, password } } : {}
}

interface OpenedAccess extends Driver<Access> {
  /** What it needs, as `/health/ready` names it. */
  readonly part: 'keys' | 'database'
  /** Registers the routes that come with it. */
  serve?: Product['serve']
  readonly log?: RoomLog
  readonly people?: Product['people']
  follow?: Product['follow']
}

const openAccessDriver = async (
  config: Config,
  logger: Logger,
  ports: Pick<ProductOptions, 'log' | 'signals' | 'mayConnect'>,
): Promise<OpenedAccess> => {
  if (config.ACCESS !== 'accounts') return { ...openBareAccess(config, logger), part: 'keys' }
  if (config.KAFKA_BROKERS && config.DATABASE_URL === undefined) {
    logger.warn({}, 'no DATABASE_URL: accounts and rooms are on this node only')
  }
  const { openProduct } = await import('./product.ts')
  const counters = await openCounters(config, logger)
  const presence = await openPresence(config, logger)
  const node = { loopback: isLoopback(config.HOST), version: packageJson.version }
  const closeBoth = async (): Promise<void> => {
    await presence.close()
    await counters.close()
  }
  const shared = { counters: counters.port, presence: presence.port }
  const product = await openProduct({ config, logger, ...ports, ...node, ...shared }).catch(async (error: unknown) => {
    await closeBoth()
    throw error
  })
  const close = async (): Promise<void> => {
    await product.close()
    await closeBoth()
  }
  return { ...product, port: product.access, part: 'database', close }
}

/** Who is connected, on all nodes that have a Redis together. Nothing waits for one that is away. */
const openPresence = async (config: Config, logger: Logger): Promise<Driver<Presence>> => {
  const ttl = config.PRESENCE_TTL
  if (config.REDIS_URL === undefined) {
    const { memoryPresence } = await import('./drivers/memory/presence.ts')
    return memoryPresence({ ttl })
  }
  const { openRedisPresence } = await import('./drivers/redis/presence.ts')
  return openRedisPresence({ url: config.REDIS_URL, ttl, logger })
}

/** What was tried lately, counted by all nodes that have a Redis together. */
const openCounters = async (config: Config, logger: Logger): Promise<Driver<Counters>> => {
  const { memoryCounters } = await import('./drivers/memory/counters.ts')
  const own = memoryCounters()
  if (config.REDIS_URL === undefined) return own
  const { openRedisCounters } = await import('./drivers/redis/counters.ts')
  return openRedisCounters({ url: config.REDIS_URL, otherwise: own.port, logger })
}

/** Access for a bridge without the product. */
const openBareAccess = (config: Config, logger: Logger): Driver<Access> => {
  if (config.ACCESS === 'token') {
    return tokenAccess({
      secret: config.JWT_SECRET,
      jwksUrl: config.JWT_JWKS_URL,
      issuer: config.JWT_ISSUER,
      audience: config.JWT_AUDIENCE,
      logger,
    })
  }
  if (!isLoopback(config.HOST)) {
    logger.warn({ host: config.HOST }, 'ACCESS=open: whoever reaches this address may read and write every room')
  }
  return openAccess()
}

const listen = (server: Server, port: number, host: string): Promise<Server> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve(server))
  })

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === 'object' && address ? address.port : 0
}

/** The host as a browser on this machine would write it. */
const urlHost = (host: string): string =>
  host === '0.0.0.0' || host === '::' || isLoopback(host) ? 'localhost' : host.includes(':') ? `[${host}]` : host

/** Two signals within this time are one, ms: make passes on what a whole process group has had already. */
const ONE_SIGNAL_MS = 1_000

const run = async (): Promise<void> => {
  const config = readConfig(process.env)
  // A line may wait 100 ms for others to be written with; at the exit all are waited for.
  const logger = pino({ level: config.LOG_LEVEL }, destination({ sync: false, minLength: 8192, periodicFlush: 100 }))
  const running = await start(config, logger)
  let code = 0
  let stopping: number | undefined
  const stop = (why: string): void => {
    if (stopping !== undefined) {
      // A second signal: whoever sent it has waited long enough.
      if (performance.now() - stopping > ONE_SIGNAL_MS) process.exit(code || 1)
      return
    }
    stopping = performance.now()
    logger.info({ why }, 'draining')
    const ended = (error?: unknown): void => {
      if (error) logger.error({ err: error }, 'the end was not clean')
      logger.info({}, 'stopped')
      process.exit(error ? 1 : code)
    }
    running.stop().then(ended, ended)
  }
  process.on('SIGTERM', () => stop('SIGTERM'))
  process.on('SIGINT', () => stop('SIGINT'))
  process.on('uncaughtException', error => {
    logger.error({ err: error }, 'an error that nobody caught')
    code = 1
    if (stopping === undefined) stop('uncaught error')
  })
  logger.info(
    { url: running.url, port: running.port, stompPort: running.stompPort, access: config.ACCESS, roles: config.ROLES },
    'listening',
  )
}

/** One clear line, where the start fails for a reason that whoever starts it can change. */
const explain = (error: unknown): string => {
  if (error instanceof ConfigError) return error.message
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'EADDRINUSE' || code === 'EACCES' ? `${message}: choose another PORT, STOMP_PORT or HOST` : message
}

if (import.meta.main) {
  try {
    await run()
  } catch (error) {
    process.stderr.write(`hoofbeat: ${explain(error)}\n`)
    process.exit(1)
  }
}
