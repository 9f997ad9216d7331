import { fail } from '../../errors.ts'
import type { Count, Counters } from '../../ports/counters.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Logger } from '../../ports/logger.ts'
import { Link } from './link.ts'
import { Session } from './session.ts'

export interface RedisCountersOptions {
  /** redis:// or, with TLS, rediss://; with user, password and database where they are needed. */
  readonly url: string
  /** Counts while Redis is away. */
  readonly otherwise: Counters
  readonly logger: Logger
}

/** ms; what takes longer is counted without Redis. */
const ANSWER_WITHIN = 500

/** KEYS: the count. ARGV: the window, how many more, the most. Answers how often that makes, and how long it is counted for. */
const ADD = `
local by = tonumber(ARGV[2])
local count = tonumber(redis.call('GET', KEYS[1]) or 0) + by
if count <= tonumber(ARGV[3]) then
  redis.call('INCRBY', KEYS[1], by)
  if count == by then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
end
return {count, redis.call('PTTL', KEYS[1])}
`
const scripts = { add: ADD }
const keyOf = (key: string): string => `hoofbeat:count:${key}`

/** Counts in a Redis that all nodes share. One that is away is not waited for. */
export const openRedisCounters = ({ url, otherwise, logger }: RedisCountersOptions): Driver<Counters> => {
  const link = new Link({
    open: () => Session.open({ url, answerWithin: ANSWER_WITHIN, scripts }),
    found: () => logger.info({}, 'Redis answers: logins and quotas are counted on all nodes together'),
    lost: ({ message }) =>
      logger.warn({ reason: message }, 'Redis does not answer: each node counts logins and quotas by itself'),
  })

  /** What Redis answers; undefined: nothing, in time. */
  const ask = async <T>(question: (session: Session<'add'>) => Promise<T>): Promise<T | undefined> => {
    const { session } = link
    if (!session) return undefined
    try {
      return await question(session)
    } catch {
      link.over(session)
      return undefined
    }
  }
  return {
    port: {
      async add(key, window, { by = 1, most = Number.MAX_SAFE_INTEGER } = {}): Promise<Count> {
        const reply = await ask(session => session.run('add', [keyOf(key)], [window, by, most].map(String)))
        if (reply === undefined) return otherwise.add(key, window, { by, most })
        const [count, left] = reply as [count: number, left: number]
        return { count, left: Math.max(0, left) }
      },
      async clear(key) {
        await Promise.all([ask(session => session.ask(client => client.del(keyOf(key)))), otherwise.clear(key)])
      },
    },
    async check(timeout) {
      if (!(await link.by(performance.now() + timeout))) throw fail('PRESENCE_UNAVAILABLE')
    },
    close: () => link.close(),
  }
}
