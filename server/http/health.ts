import type { FastifyInstance } from 'fastify'
import type { Logger } from '../ports/logger.ts'

/** How long a part may take to answer, ms: less than the second that probes commonly wait. */
const CHECK_TIMEOUT = 800
/** How long an answer is used again, ms: however many probes come, each part is asked about once a second. */
const KEPT = 1_000

export interface HealthOptions {
  /** What this process does. */
  readonly roles: readonly string[]
  /** What the node needs, by the noun that an answer names it by: each rejects, within the timeout in ms, when it is away. */
  readonly checks: Readonly<Record<string, (timeout: number) => Promise<void>>>
  /** Whether the node is going away. */
  readonly draining: () => boolean
  readonly logger: Logger
  /** Milliseconds of any clock. */
  readonly now?: () => number
}

interface Readiness {
  readonly ready: boolean
  /** Per part: `ok`, or in general words what is wrong. */
  readonly checks: Readonly<Record<string, string>>
}

/**
 * `GET /health/live` answers 200 as long as the process turns; `GET /health/ready` 200 when new clients are welcome, and
 * 503 with the part that is missing otherwise, both with the roles of the process. Why it is missing is in the log only.
 */
export const healthRoutes = (app: FastifyInstance, options: HealthOptions): void => {
  const away = new Set<string>()
  const readiness = shared(() => checkAll(options, away), options.now ?? (() => performance.now()))
  const uncached = { 'cache-control': 'no-store' }

  app.get('/health/live', async (_request, reply) => {
    reply.headers(uncached)
    return { status: 'live' }
  })
  app.get('/health/ready', async (_request, reply) => {
    reply.headers(uncached)
    if (options.draining()) {
      reply.code(503)
      return { status: 'draining', roles: options.roles, checks: {} }
    }
    const { ready, checks } = await readiness()
    if (!ready) reply.code(503)
    return { status: ready ? 'ready' : 'not ready', roles: options.roles, checks }
  })
}

/** `away`: the parts that were missing the last time. It is logged when that changes, however often it is asked for. */
const checkAll = async ({ checks, logger }: HealthOptions, away: Set<string>): Promise<Readiness> => {
  const results = await Promise.all(
    Object.entries(checks).map(async ([part, check]) => {
      try {
        await check(CHECK_TIMEOUT)
        if (away.delete(part)) logger.info({ part }, 'ready again')
        return [part, 'ok'] as const
      } catch (error) {
        if (!away.has(part)) logger.warn({ part, err: error }, 'not ready')
        away.add(part)
        return [part, `the ${part} cannot be reached`] as const
      }
    }),
  )
  return { ready: results.every(([, result]) => result === 'ok'), checks: Object.fromEntries(results) }
}

/** Runs `ask` at most once at a time, and not again before its answer is `KEPT` old. */
const shared = <T>(ask: () => Promise<T>, now: () => number): (() => Promise<T>) => {
  let answer: Promise<T> | undefined
  let until = Infinity
  return () => {
    if (answer && now() < until) return answer
    until = Infinity
    answer = ask().finally(() => {
      until = now() + KEPT
    })
    return answer
  }
}
