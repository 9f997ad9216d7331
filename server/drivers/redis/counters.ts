import { createClient } from 'redis'
import type { Count, Counters } from '../../ports/counters.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Logger } from '../../ports/logger.ts'

export interface RedisCountersOptions {
  /** redis:// or, with TLS, rediss://; with user, password and database where they are needed. */
  readonly url: string
  /** Counts while Redis is away. */
  readonly otherwise: Counters
  readonly logger: Logger
}

/** ms; what takes longer is counted without Redis. */
const ANSWER_WITHIN = 500
const RECONNECT = { first: 20, most: 500 }

/** KEYS: the count. ARGV: the window. Answers how often, and how long it is counted for. */
const ADD = `
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}
`
const keyOf = (key: string): string => `hoofbeat:count:${key}`

/** Counts in a Redis that all nodes share. One that is away is not waited for. */
export const openRedisCounters = ({ url, otherwise, logger }: RedisCountersOptions): Driver<Counters> => {
  const client = createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    socket: {
      connectTimeout: ANSWER_WITHIN,
      reconnectStrategy: tries => Math.min(RECONNECT.most, RECONNECT.first * 2 ** tries),
    },
  })
  let away = false
  client.on('error', ({ message }: Error) => {
    if (!away) logger.warn({ reason: message }, 'Redis does not answer: each node counts logins by itself')
    away = true
  })
  client.on('ready', () => {
    if (away) logger.info({}, 'Redis answers: logins are counted on all nodes together')
    away = false
  })
  // It connects again by itself, for as long as it is open.
  const connecting = client.connect().catch(() => undefined)

  /** What Redis answers in time; undefined: nothing. */
  const ask = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    if (!client.isReady) return undefined
    const late = Promise.withResolvers<undefined>()
    const timer = setTimeout(() => late.resolve(undefined), ANSWER_WITHIN)
    try {
      return await Promise.race([work(), late.promise])
    } catch {
      return undefined
    } finally {
      clearTimeout(timer)
    }
  }
  return {
    port: {
      async add(key, window): Promise<Count> {
        const options = { keys: [keyOf(key)], arguments: [String(window)] }
        const reply = (await ask(() => client.eval(ADD, options))) as [count: number, left: number] | undefined
        return reply ? { count: reply[0], left: Math.max(0, reply[1]) } : otherwise.add(key, window)
      },
      async clear(key) {
        await Promise.all([ask(() => client.del(keyOf(key))), otherwise.clear(key)])
      },
    },
    async check(timeout) {
      const deadline = performance.now() + timeout
      while (performance.now() < deadline) {
        if ((await ask(() => client.ping())) !== undefined) return
        await new Promise(resolve => setTimeout(resolve, RECONNECT.first))
      }
      throw new Error(`Redis did not answer in ${timeout} ms`)
    },
    async close() {
      if (client.isOpen) client.destroy()
      await connecting
    },
  }
}
