import { randomBytes } from 'node:crypto'
import { fail } from '../../errors.ts'
import { Channels, type Json, type Listener } from '../../ports/channels.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Logger } from '../../ports/logger.ts'
import type { Signals } from '../../ports/signals.ts'
import { Link, type Ending } from './link.ts'
import { Session } from './session.ts'

export interface RedisSignalsOptions {
  /** redis:// or, with TLS, rediss://; with user, password and database where they are needed. */
  readonly url: string
  readonly logger: Logger
  /** How often it is looked whether Redis is there, ms: a connection that hears nothing would not know. */
  readonly beat?: number
}

const ANSWER_WITHIN = 2_000
const BEAT = 5_000
/** What Redis has not answered yet, at most: beyond it news are dropped. */
const MOST_UNDER_WAY = 10_000
/** How many channels one command joins. */
const AT_ONCE = 1_000

const nameOf = (channel: string): string => `hoofbeat:signal:${channel}`
const channelOf = (name: string): string => name.slice('hoofbeat:signal:'.length)

/** Two connections with a Redis, as long as both last: on the one that hears nothing else can be asked. */
class Line implements Ending {
  readonly ended: Promise<Error>
  readonly #speaking: Session
  readonly #hearing: Session
  readonly #heard: (text: string, name: string) => void
  readonly #joins = new Map<string, Promise<void>>()
  #underWay = 0

  private constructor(
    { speaking, hearing }: { speaking: Session; hearing: Session },
    beat: number,
    heard: (text: string, channel: string) => void,
  ) {
    this.#speaking = speaking
    this.#hearing = hearing
    this.#heard = (text, name) => heard(text, channelOf(name))
    this.ended = Promise.race([speaking.ended, hearing.ended])
    const beating = setInterval(() => this.#beat(), beat)
    beating.unref()
    void this.ended.then(reason => {
      clearInterval(beating)
      this.end(reason)
    })
  }

  static async open(url: string, beat: number, heard: (text: string, channel: string) => void): Promise<Line> {
    const options = { url, answerWithin: ANSWER_WITHIN, scripts: {} }
    const speaking = await Session.open(options)
    try {
      return new Line({ speaking, hearing: await Session.open(options) }, beat, heard)
    } catch (error) {
      speaking.end(error as Error)
      throw error
    }
  }

  /** Resolves when they are joined, those that were already too; rejects where the line has ended. */
  async join(channels: readonly string[]): Promise<void> {
    const missing = channels.filter(channel => !this.#joins.has(channel))
    for (let from = 0; from < missing.length; from += AT_ONCE) {
      const some = missing.slice(from, from + AT_ONCE)
      const joining = this.#hearing.ask(client => client.subscribe(some.map(nameOf), this.#heard))
      // Whoever waits for it is told below; the others need not be.
      joining.catch(() => undefined)
      for (const channel of some) this.#joins.set(channel, joining)
    }
    await Promise.all(channels.map(channel => this.#joins.get(channel)!))
  }

  leave(channel: string): void {
    this.#joins.delete(channel)
    void this.#try(this.#hearing, client => client.unsubscribe(nameOf(channel), this.#heard))
  }

  async publish(channel: string, text: string): Promise<void> {
    if (this.#underWay >= MOST_UNDER_WAY) return
    this.#underWay++
    await this.#try(this.#speaking, client => client.publish(nameOf(channel), text))
    this.#underWay--
  }

  end(reason: Error): void {
    this.#speaking.end(reason)
    this.#hearing.end(reason)
  }

  #beat(): void {
    for (const session of [this.#speaking, this.#hearing]) void this.#try(session, client => client.ping())
  }

  /** What goes wrong ends the line, which is enough. */
  async #try(session: Session, question: Parameters<Session['ask']>[0]): Promise<void> {
    await session.ask(question).catch(() => undefined)
  }
}

/** News that all nodes on one Redis hear, by its PUBLISH. */
class RedisSignals implements Signals {
  readonly #channels = new Channels()
  /** What this node has said itself its listeners have been told already. */
  readonly #name = randomBytes(9).toString('base64url')
  readonly #link: Link<Line>

  constructor({ url, logger, beat = BEAT }: RedisSignalsOptions) {
    this.#link = new Link({
      open: () => Line.open(url, beat, (text, channel) => this.#heard(text, channel)),
      found: line => {
        logger.info({}, 'Redis answers: fleeting news reach all nodes')
        line.join([...this.#channels.names()]).catch(() => undefined)
      },
      lost: ({ message }) =>
        logger.warn({ reason: message }, 'Redis does not answer: fleeting news stay on the node they come from'),
    })
  }

  publish(channel: string, event: Json): void {
    if (this.#link.closed) return
    if (this.#channels.has(channel)) setImmediate(() => this.#channels.tell(channel, event))
    void this.#link.session?.publish(channel, JSON.stringify([this.#name, event]))
  }

  async subscribe(channel: string, listener: Listener): Promise<() => void> {
    if (this.#link.closed) throw fail('DRAINING')
    const leave = this.#channels.join(channel, listener, () => this.#link.session?.leave(channel))
    // Where it does not come about it does with the next line.
    await this.#link.session?.join([channel]).catch(() => undefined)
    return leave
  }

  async check(timeout: number): Promise<void> {
    if (await this.#link.by(performance.now() + timeout)) return
    throw fail(this.#link.closed ? 'DRAINING' : 'PRESENCE_UNAVAILABLE')
  }

  async close(): Promise<void> {
    this.#channels.clear()
    await this.#link.close()
  }

  #heard(text: string, channel: string): void {
    const [node, event] = JSON.parse(text) as [string, Json]
    if (node !== this.#name) this.#channels.tell(channel, event)
  }
}

/** News over a Redis that all nodes share. One that is away is waited for behind the scenes, and nothing is kept for it. */
export const openRedisSignals = (options: RedisSignalsOptions): Driver<Signals> => {
  const signals = new RedisSignals(options)
  return { port: signals, check: timeout => signals.check(timeout), close: () => signals.close() }
}
