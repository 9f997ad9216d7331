import { initProducerIdV4 } from '@platformatic/kafka'
import type { produceV9 } from '@platformatic/kafka'
import { fail, HoofbeatError } from '../server/errors.ts'
import type { Logger } from '../server/ports/logger.ts'
import type { Position, RoomId } from '../server/ports/room-log.ts'
import { notYet } from './cluster.ts'
import type { Cluster } from './cluster.ts'
import type { Home, Homes } from './homes.ts'
import type { Reader } from './reader.ts'
import type { PackedRecord } from './record.ts'
import { RoomQueue, sizeOf } from './room-queue.ts'
import type { Append, Batch } from './room-queue.ts'
import { BATCH_BYTES } from './topics.ts'
import { reasonOf, verdictOf } from './verdict.ts'
import { KafkaError, produce } from './wire.ts'

export interface ProducerOptions {
  /** ms */
  readonly logTimeout: number
  /** ms that a broker may wait for its copies before it answers. */
  readonly brokerTimeout: number
  readonly logger: Logger
}
interface Sending {
  readonly queue: RoomQueue
  readonly batch: Batch
  readonly home: Home
}
interface Leader {
  readonly broker: number
  /** Rooms in trouble have a link of their own: an answer comes when the slowest room of a request has its outcome. */
  readonly purpose: 'write' | 'retry'
  readonly ready: Set<RoomQueue>
  running: boolean
}
type Part = produceV9.ProduceResponsePartition

/** A room is looked up again now and then: another node may have removed it and made it again. ms */
const HOME_HOLDS = 30_000

/**
 * Writes the rooms: for each broker one request is out, and what is appended meanwhile makes up the next one. Every
 * batch has a number, so a request whose answer was lost is sent again as it was and the broker knows it.
 */
export class Producer {
  readonly #cluster: Cluster
  readonly #homes: Homes
  readonly #reader: Reader
  readonly #options: ProducerOptions
  readonly #queues = new Map<RoomId, RoomQueue>()
  readonly #leaders = new Map<string, Leader>()
  /** What nobody has heard about yet, oldest first. */
  readonly #open = new Set<Append>()
  #timer: NodeJS.Timeout | undefined
  #producerId: bigint | undefined
  #identifying: Promise<void> | undefined
  #closing = false

  constructor(cluster: Cluster, homes: Homes, reader: Reader, options: ProducerOptions) {
    this.#cluster = cluster
    this.#homes = homes
    this.#reader = reader
    this.#options = options
  }

  /** Writes records together or not at all, in the order of the calls for the room; see `RoomLog.append`. */
  async append(room: RoomId, records: readonly PackedRecord[]): Promise<Position[]> {
    if (this.#closing) throw fail('LOG_UNAVAILABLE', 'this node is closing')
    const queue = this.#queueOf(room)
    const bytes = sizeOf(records)
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + this.#options.logTimeout
      const append: Append = { queue, records, bytes, deadline, resolve, reject }
      this.#open.add(append)
      queue.add(append)
      this.#timer ??= setTimeout(() => this.#expire(), this.#options.logTimeout)
      this.#wake(queue)
    })
  }

  /** Refuses what comes, and rejects what has no outcome yet: whoever closes has waited for as long as there was time. */
  close(): void {
    this.#closing = true
    clearTimeout(this.#timer)
    for (const append of this.#open) this.#giveUp(append)
  }

  #queueOf(room: RoomId): RoomQueue {
    let queue = this.#queues.get(room)
    if (!queue) {
      queue = new RoomQueue(room, this.#open)
      this.#queues.set(room, queue)
    }
    return queue
  }

  /** Rejects what has waited long enough. */
  #expire(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const append of this.#open) {
      if (append.deadline > now) {
        this.#timer = setTimeout(() => this.#expire(), append.deadline - now)
        return
      }
      this.#giveUp(append)
    }
  }

  /** Its outcome is unknown from now on, also to us. */
  #giveUp(append: Append): void {
    this.#open.delete(append)
    append.queue.drop(append)
    append.reject(fail('LOG_UNAVAILABLE'))
  }

  /** Sees to it that what waits in the queue is sent. */
  #wake(queue: RoomQueue): void {
    if (queue.busy || queue.empty) return
    queue.busy = true
    const home = this.#homes.known(queue.room)
    if (!home || home.leader < 0 || this.#producerId === undefined) return void this.#prepare(queue)
    this.#ready(queue, home)
    if (Date.now() - home.found > HOME_HOLDS) {
      home.found = Date.now()
      this.#homes.look(queue.room).catch(() => this.#homes.lost(home))
    }
  }

  #ready(queue: RoomQueue, { leader: broker }: Home): void {
    const purpose = queue.failures > 0 ? 'retry' : 'write'
    let leader = this.#leaders.get(`${purpose} ${broker}`)
    if (!leader) {
      leader = { broker, purpose, ready: new Set(), running: false }
      this.#leaders.set(`${purpose} ${broker}`, leader)
    }
    leader.ready.add(queue)
    if (leader.running) return
    leader.running = true
    // Whatever else is appended in this turn comes along.
    queueMicrotask(() => void this.#run(leader))
  }

  /** Finds out where a room is, however long that takes, as long as somebody waits for it. */
  async #prepare(queue: RoomQueue): Promise<void> {
    while (!queue.empty && !this.#cluster.closed) {
      if (queue.failures > 0) await this.#cluster.backOff(queue.failures)
      try {
        await this.#identify()
        return this.#ready(queue, await this.#homes.of(queue.room))
      } catch (error) {
        queue.failures++
        if (!(error instanceof HoofbeatError)) continue
        queue.refuseAll(error)
        this.#queues.delete(queue.room)
      }
    }
    queue.busy = false
  }

  /** The number under which the brokers know us; asked for once. */
  #identify(): Promise<void> {
    this.#identifying ??= this.#askForId().finally(() => (this.#identifying = undefined))
    return this.#identifying
  }

  async #askForId(): Promise<void> {
    if (this.#producerId !== undefined) return
    const { errorCode, producerId } = await this.#cluster.any(initProducerIdV4.api, null, this.#options.logTimeout)
    if (errorCode !== KafkaError.NONE) throw notYet('a producer id', errorCode)
    this.#producerId = producerId
  }

  async #run(leader: Leader): Promise<void> {
    while (leader.ready.size > 0) {
      const sending = this.#compose(leader)
      if (sending.length > 0) await this.#send(leader, sending)
    }
    leader.running = false
  }

  /** The next request to a broker: one batch of each room that has something for it, as long as there is space. */
  #compose(leader: Leader): Sending[] {
    const sending: Sending[] = []
    let bytes = 0
    for (const queue of leader.ready) {
      const home = this.#homes.known(queue.room)
      const here = home?.leader === leader.broker && this.#producerId !== undefined
      const batch = here ? queue.next(home.id, this.#producerId!, home.end) : undefined
      bytes += batch?.bytes.length ?? 0
      if (bytes > BATCH_BYTES && sending.length > 0) break
      leader.ready.delete(queue)
      if (here && batch) sending.push({ queue, batch, home })
      else this.#free(queue)
    }
    return sending
  }

  #free(queue: RoomQueue): void {
    queue.busy = false
    this.#wake(queue)
  }

  async #send(leader: Leader, sending: readonly Sending[]): Promise<void> {
    const answer = await this.#ask(leader, sending).catch(() => undefined)
    const parts = new Map(answer?.responses.map(({ name, partitionResponses }) => [name, partitionResponses[0]]))
    for (const each of sending) {
      const part = parts.get(each.home.topic)
      if (part) this.#answered(each, part)
      else this.#again(each)
    }
  }

  async #ask({ broker, purpose }: Leader, sending: readonly Sending[]): Promise<produceV9.ProduceResponse> {
    const link = this.#cluster.link(broker, purpose)
    await link.ready()
    const before = sending.map(({ batch }) => batch.unknown)
    for (const { batch } of sending) batch.unknown = true
    const batches = sending.map(({ home, batch }) => ({ topic: home.topic, batch: batch.bytes }))
    const answer = await link.call(produce, this.#options.brokerTimeout, batches)
    for (const [index, { batch }] of sending.entries()) batch.unknown = before[index]!
    return answer
  }

  #again({ queue, home }: Sending): void {
    this.#homes.lost(home)
    queue.failures++
    void this.#prepare(queue)
  }

  #answered(sending: Sending, part: Part): void {
    const { queue, batch, home } = sending
    const verdict = verdictOf(part.errorCode)
    if (verdict === 'kept') return void this.#kept(sending, part.baseOffset)
    if (verdict === 'open') batch.unknown = true
    if (verdict === 'open' || verdict === 'again') return this.#again(sending)
    if (verdict === 'fenced') this.#producerId = undefined
    if (batch.unknown || verdict === 'refused') return void this.#lookUp(sending, part)
    this.#options.logger.warn({ room: home.room, kafka: part.errorCode }, 'a batch is sent in another form')
    if (verdict === 'large') queue.tooLarge(batch)
    else queue.renumber(batch)
    this.#free(queue)
  }

  async #kept({ queue, batch, home }: Sending, first: bigint): Promise<void> {
    let current = home
    // Offsets only grow in one life of a room: this is another one, or somebody was shown what is lost now.
    if (first < home.end) current = await this.#homes.look(home.room).catch(() => home)
    this.#homes.shown(current, first + BigInt(batch.appends.reduce((sum, { records }) => sum + records.length, 0)))
    queue.kept(batch, current.id, first)
    this.#free(queue)
  }

  /** The broker refuses a batch for good. If it may have taken it before, the log has the answer; it is not sent again. */
  async #lookUp({ queue, batch, home }: Sending, { errorCode, errorMessage, recordErrors }: Part): Promise<void> {
    const { room } = home
    this.#options.logger.error({ room, kafka: errorCode, reason: errorMessage }, reasonOf(errorCode))
    const found = batch.unknown
      ? await this.#reader.find(home, batch.identity, batch.from).catch(() => undefined)
      : undefined
    if (found !== undefined) return this.#kept({ queue, batch, home }, found)
    const error = fail('LOG_UNAVAILABLE', undefined, { cause: notYet(home.topic, errorCode) })
    const indices = recordErrors.map(({ batchIndex }) => batchIndex)
    // One record that is too old is not the others' fault. Of what may have been sent before nothing is sent anew.
    if (batch.unknown || indices.length === 0) queue.refuse(batch, error)
    else queue.refuseSome(batch, indices, error)
    this.#free(queue)
  }
}
