import { setTimeout as delay } from 'node:timers/promises'
import { listOffsetsV7, metadataV12 } from '@platformatic/kafka'
import type { API } from '@platformatic/kafka'
import { fail, HoofbeatError } from '../server/errors.ts'
import type { Logger } from '../server/ports/logger.ts'
import type { Offset } from '../server/ports/room-log.ts'
import { Link } from './link.ts'
import type { LinkOptions } from './link.ts'
import { PARTITION } from './topics.ts'
import { explain } from './trouble.ts'
import { fetch, KafkaError, READ_UNCOMMITTED } from './wire.ts'

export interface ClusterOptions extends Omit<LinkOptions, 'host' | 'port'> {
  /** host:port of some of the brokers; the rest is asked of them. */
  readonly brokers: readonly string[]
  /** ms */
  readonly logTimeout: number
  readonly logger: Logger
}
/** What a link is for: a broker answers the requests of one link one by one. */
export type Purpose = 'ask' | 'read' | 'write' | 'retry' | 'fence' | `tail ${number}` | 'join'
/** A topic as the cluster has it. */
export interface Listing {
  /** hex */
  readonly id: string
  /** A broker's number; -1 where there is none now. */
  readonly leader: number
}

/** Not now, but perhaps when asked again. */
export class NotYet extends Error {
  /** Called when nobody asks again. */
  abandoned(): void {}
}

type Address = Pick<LinkOptions, 'host' | 'port'>

const PAUSE_MAX = 200
const BEYOND = 2n ** 62n

/** ms */
const pauseAfter = (tries: number): number => Math.min(PAUSE_MAX, 5 * 2 ** tries)

const addressOf = (text: string): Address => {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
}

/** The brokers, and the links to them. */
export class Cluster {
  readonly #options: ClusterOptions
  readonly #links = new Map<string, Link>()
  readonly #bootstrap: readonly Address[]
  readonly #closing = new AbortController()
  #brokers = new Map<number, Address>()
  #controller = -1
  #asker: Address
  #away = false
  /** host:port of brokers that cannot be reached. */
  readonly #cutOff = new Set<string>()

  constructor(options: ClusterOptions) {
    this.#options = options
    this.#bootstrap = options.brokers.map(addressOf)
    this.#asker = this.#bootstrap[0]!
  }

  get closed(): boolean {
    return this.#closing.signal.aborted
  }
  /** How many brokers there were when we last asked. */
  get size(): number {
    return this.#brokers.size
  }

  /** The link to a broker, by its number. Throws NotYet where nobody knows where that broker is. */
  link(broker: number, purpose: Purpose): Link {
    const address = this.#brokers.get(broker)
    if (!address) throw new NotYet(`broker ${broker} is not there`)
    return this.#linkTo(address, purpose)
  }

  /** The link to the broker that makes and removes topics. */
  controller(): Link {
    return this.link(this.#controller, 'ask')
  }

  /** Waits before the next try after so many: at first hardly, later as long as an outage may be noticed too late. */
  async backOff(tries: number): Promise<void> {
    await this.pause(pauseAfter(tries))
  }

  /** Waits, but not for longer than the driver is open. */
  async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#closing.signal }).catch(() => undefined)
  }

  /**
   * Tries until it works or `timeout` ms (the log's, unless given) have passed, then rejects with LOG_UNAVAILABLE.
   * Errors of our own table end it at once.
   */
  async patiently<T>(attempt: () => Promise<T>, timeout = this.#options.logTimeout): Promise<T> {
    const deadline = Date.now() + timeout
    for (let tries = 0; ; tries++) {
      try {
        if (this.closed) throw fail('LOG_UNAVAILABLE', 'this node is closing')
        return await attempt()
      } catch (cause) {
        if (cause instanceof HoofbeatError) throw cause
        if (Date.now() + pauseAfter(tries) > deadline) {
          if (cause instanceof NotYet) cause.abandoned()
          throw fail('LOG_UNAVAILABLE', undefined, { cause })
        }
        await this.backOff(tries)
      }
    }
  }

  /** Asks any broker: the one that answered last, and where it does not, the others. */
  async any<Arguments extends unknown[], Answer>(api: API<Arguments, Answer>, ...args: Arguments): Promise<Answer> {
    const addresses = new Map<string, Address>()
    for (const address of [this.#asker, ...this.#brokers.values(), ...this.#bootstrap]) {
      addresses.set(`${address.host}:${address.port}`, address)
    }
    let problem: unknown
    let last = ''
    for (const [broker, address] of addresses) {
      try {
        const answer = await this.#linkTo(address, 'ask').call(api, ...args)
        this.#asker = address
        this.#isAway(false)
        return answer
      } catch (error) {
        problem = error
        last = broker
      }
    }
    this.#isAway(true, { broker: last, ...explain(problem, this.#options) })
    throw problem
  }

  /** Says so once when the cluster goes away, and once when it is back. */
  #isAway(away: boolean, trouble: object = {}): void {
    if (away === this.#away || this.closed) return
    this.#away = away
    if (away) this.#options.logger.warn(trouble, 'no Kafka broker answers')
    else this.#options.logger.info({}, 'Kafka answers again')
  }

  /** Says so once when a broker that others have named cannot be reached, and once when it can again. */
  #isCutOff(broker: string, problem: unknown): void {
    if (this.closed || this.#cutOff.has(broker) === (problem !== undefined)) return
    if (problem === undefined) {
      this.#cutOff.delete(broker)
      this.#options.logger.info({ broker }, 'a Kafka broker can be reached again')
    } else {
      this.#cutOff.add(broker)
      this.#options.logger.warn({ broker, ...explain(problem, this.#options) }, 'a Kafka broker cannot be reached')
    }
  }

  /** Asks for the brokers and for `topics`, null for all of them. Rejects where no broker answers. */
  async metadata(topics: string[] | null): Promise<metadataV12.MetadataResponseTopic[]> {
    const answer = await this.any(metadataV12.api, topics, false, false)
    if (answer.brokers.length > 0) {
      this.#brokers = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]))
    }
    this.#controller = answer.controllerId
    return answer.topics
  }

  /** What the cluster has of each topic; undefined where there is none. */
  async list(topics: readonly string[]): Promise<(Listing | undefined | Error)[]> {
    const listings = new Map<string, Listing | undefined | Error>()
    for (const { name, topicId, errorCode, partitions } of await this.metadata([...new Set(topics)])) {
      const leader = partitions.find(({ partitionIndex }) => partitionIndex === PARTITION)?.leaderId ?? -1
      const listing = { id: topicId.replaceAll('-', ''), leader }
      if (errorCode === KafkaError.NONE) listings.set(name!, listing)
      else if (errorCode !== KafkaError.UNKNOWN_TOPIC_OR_PARTITION) listings.set(name!, notYet(name!, errorCode))
    }
    return topics.map(topic => listings.get(topic))
  }

  /** The offset at `timestamp` (-2: the first, -1: after the last; answers -1 for none) of each topic, all of them led by `leader`. */
  async offsets(leader: number, timestamp: bigint, topics: readonly string[]): Promise<(Offset | Error)[]> {
    const asked = [{ partitionIndex: PARTITION, currentLeaderEpoch: -1, timestamp }]
    const names = Array.from(new Set(topics), name => ({ name, partitions: asked }))
    const answer = await this.link(leader, 'ask').call(listOffsetsV7.api, -1, READ_UNCOMMITTED, names)
    const offsets = new Map<string, Offset | Error>()
    for (const { name, partitions } of answer.topics) {
      const { errorCode, offset } = partitions[0]!
      offsets.set(name, errorCode === KafkaError.NONE ? offset : notYet(name, errorCode))
    }
    return topics.map(topic => offsets.get(topic)!)
  }

  /** Which of the topics, by their ids, `leader` leads: undefined for these, for others what stands in the way. */
  async leads(leader: number, ids: readonly string[]): Promise<(undefined | Error)[]> {
    // Where no log reaches nothing can be read, and the leader of such a topic says just that.
    const wanted = Array.from(new Set(ids), id => ({ id, from: BEYOND, bytes: 1 }))
    const query = { wait: 0, bytes: 1, sessionId: 0, sessionEpoch: -1, wanted, forgotten: [] }
    const answer = await this.link(leader, 'ask').call(fetch, query)
    const errors = new Map(answer.rooms.map(({ id, errorCode }) => [id, errorCode]))
    return ids.map(id => {
      const errorCode = errors.get(id) ?? answer.errorCode
      return errorCode === KafkaError.OFFSET_OUT_OF_RANGE ? undefined : notYet(id, errorCode)
    })
  }

  /** Ends all waiting and all requests. */
  close(): void {
    this.#closing.abort()
    for (const link of this.#links.values()) link.close()
  }

  #linkTo(address: Address, purpose: Purpose): Link {
    const broker = `${address.host}:${address.port}`
    const key = `${purpose} ${broker}`
    let link = this.#links.get(key)
    if (!link) {
      // Whether anybody can be asked is another matter: see `any`.
      const attempted = purpose === 'ask' ? {} : { attempted: (problem: unknown) => this.#isCutOff(broker, problem) }
      link = new Link({ ...this.#options, ...address, ...attempted })
      this.#links.set(key, link)
    }
    return link
  }
}

/** What stands in the way of a topic, by Kafka's number for it. */
export const notYet = (topic: string, errorCode: number): NotYet => new NotYet(`${topic}: Kafka's error ${errorCode}`)
