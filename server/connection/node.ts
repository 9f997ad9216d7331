import { randomUUID } from 'node:crypto'
import type { Config } from '../config.ts'
import { fail, toHoofbeatError } from '../errors.ts'
import { Hub } from '../fanout/hub.ts'
import { Rooms } from '../fanout/rooms.ts'
import { RoomSignals } from '../fanout/signals.ts'
import type { Surroundings } from '../frames/connection.ts'
import { reconsider } from '../frames/leave.ts'
import type { Access, AccessChange } from '../ports/access.ts'
import type { UserEvents } from '../ports/events.ts'
import type { Logger } from '../ports/logger.ts'
import type { Meter } from '../ports/meter.ts'
import type { Attendance } from '../ports/presence.ts'
import type { RoomLog } from '../ports/room-log.ts'
import type { Signals, UserEvent } from '../ports/signals.ts'
import { timedAppend } from './append.ts'
import { Arrivals } from './arrivals.ts'
import { Connection } from './connection.ts'
import { Intake } from './intake.ts'
import { Quotas } from './quotas.ts'
import type { Transport } from './transport.ts'
import { Turn } from './turn.ts'

/** What all connections of a node share. */
export interface NodeParts extends Surroundings {
  readonly logger: Logger
  readonly quotas: Quotas
  readonly intake: Intake
  readonly turn: Turn
  readonly logins: Arrivals
  /** Absent where nobody asks who is there. */
  readonly attendance?: Attendance | undefined
  /** CONNECTED's `server` header. */
  readonly server: string
  /** How often deadlines are looked at, ms. */
  readonly grain: number
  /** A user over the rate is not read from; after so much of it without a break it is told so, ms. */
  readonly ratePatience: number
}

export interface NodeOptions {
  readonly config: Config
  readonly log: RoomLog
  readonly access: Access
  readonly signals: Signals
  readonly events?: UserEvents | undefined
  readonly attendance?: Attendance | undefined
  readonly meter: Meter
  readonly logger: Logger
  readonly version: string
  readonly ratePatience?: number
}

type Gauge = 'connections' | 'subscriptions' | 'rooms' | 'outboxBytes' | 'unsettledBytes' | 'recentBytes'

const RATE_PATIENCE_MS = 10_000

/** A draining node sends its clients elsewhere at this pace, so that they do not all arrive there at once. */
const DRAIN_MS_PER_CONNECTION = 2

/** The bridge of one process: takes transports, runs a STOMP connection on each, and drains. */
export class Node {
  readonly #parts: NodeParts
  /** The handshakes of its transports. */
  readonly handshakes = new Arrivals()
  /** Those whose transport is still there, refused ones too. */
  readonly #connections = new Set<Connection>()
  /** Those that the quotas count. */
  readonly #admitted = new WeakSet<Connection>()
  readonly #ticking: NodeJS.Timeout
  #ticked = Date.now()
  /** Rights that may have ended, to be looked at in this turn. */
  #changes: AccessChange[] = []
  draining = false
  #whenEmpty: (() => void) | undefined

  constructor(options: NodeOptions) {
    const { config, log, access, meter, logger, version, ratePatience = RATE_PATIENCE_MS } = options
    const grain = Math.min(1000, Math.ceil(config.HEART_BEAT / 10), Math.ceil(config.LOGIN_TIMEOUT / 4))
    const rooms = new Rooms(log, config.ROOMS)
    this.#parts = {
      config,
      access,
      meter,
      logger,
      grain,
      ratePatience,
      hub: new Hub({
        log,
        meter,
        logger,
        recentBytes: config.RECENT_BYTES,
        onGone: room => rooms.forget(room),
        isErased: access.erased && (user => access.erased!(user)),
      }),
      rooms,
      signals: new RoomSignals(options.signals, meter),
      events: options.events,
      attendance: options.attendance,
      quotas: new Quotas(config, meter),
      intake: new Intake(config.LOG_QUEUE_BYTES),
      turn: new Turn(),
      logins: new Arrivals(),
      append: timedAppend({ log, meter, rooms }),
      server: `hoofbeat/${version}`,
    }
    access.changes(change => this.#changed(change))
    this.#ticking = setInterval(() => this.#tick(), grain)
    this.#ticking.unref()
  }

  /** What there is now. */
  gauges(): Record<Gauge, number> {
    let subscriptions = 0
    let outboxBytes = 0
    for (const connection of this.#connections) {
      subscriptions += connection.subscriptions.size
      outboxBytes += connection.outlet.size
    }
    const { hub, intake } = this.#parts
    return {
      connections: this.#connections.size,
      subscriptions,
      rooms: hub.rooms,
      outboxBytes,
      unsettledBytes: intake.bytes,
      recentBytes: hub.recentBytes,
    }
  }

  /** Starts a connection on `transport`; one too many gets its ERROR at once. The transport calls `closed` in the end. */
  accept(transport: Transport): Connection {
    const connection = new Connection(transport, this.#parts, randomUUID())
    this.#connections.add(connection)
    const { meter, quotas } = this.#parts
    meter.add('connections')
    try {
      if (this.draining) throw fail('DRAINING', undefined, { headers: this.#retryAfter() })
      quotas.arrive(transport.address)
      this.#admitted.add(connection)
    } catch (error) {
      connection.fail(toHoofbeatError(error))
    }
    return connection
  }

  /** A connection's transport is gone. */
  closed(connection: Connection): void {
    connection.closed()
    this.#connections.delete(connection)
    if (this.#admitted.has(connection)) this.#parts.quotas.leave(connection.address, connection.user)
    if (this.#connections.size === 0) this.#whenEmpty?.()
  }

  /**
   * Tells every client to go elsewhere, settles what is under way, and ends the connections. Resolves when all are
   * closed, at the latest after DRAIN_SECONDS.
   */
  async drain(): Promise<void> {
    this.draining = true
    const late = Promise.withResolvers<void>()
    const timeout = setTimeout(late.resolve, this.#mostDrain)
    const drains = Array.from(this.#connections, connection => connection.drain(this.#retryAfter(), late.promise))
    await Promise.all(drains)
    await Promise.race([Promise.all([this.#empty(), this.#parts.intake.empty()]), late.promise])
    clearTimeout(timeout)
    // Whoever is still there has been written to in this turn, and that was it.
    setImmediate(() => {
      for (const connection of this.#connections) connection.destroy()
    })
    clearInterval(this.#ticking)
    this.#parts.hub.close()
  }

  /** How long a drain takes at most, ms. */
  get #mostDrain(): number {
    return this.#parts.config.DRAIN_SECONDS * 1000
  }

  /** When one of those who are sent elsewhere is to come there. */
  #retryAfter(): { 'retry-after-ms': string } {
    const spread = Math.min(this.#mostDrain, this.#connections.size * DRAIN_MS_PER_CONNECTION)
    return { 'retry-after-ms': (Math.random() * spread).toFixed(0) }
  }

  /** Resolves when no connection is left. */
  async #empty(): Promise<void> {
    if (this.#connections.size === 0) return
    await new Promise<void>(resolve => (this.#whenEmpty = resolve))
  }

  /** Ends the connection `id` where it is on this node. */
  disconnect(id: string): void {
    for (const connection of this.#connections) {
      if (connection.session === id) connection.fail(fail('ENDED_BY_ADMIN'))
    }
  }

  /** Tells every connection that subscribed to the user's own queue `events`. */
  tellAll(event: UserEvent): void {
    for (const connection of this.#connections) connection.own.tellEvent(event)
  }

  #changed(change: AccessChange): void {
    const { session } = change
    if (session === undefined) {
      // Those that come together are looked at together: each look is at every connection.
      if (this.#changes.push(change) === 1) setImmediate(() => this.#reconsider())
      return
    }
    for (const connection of this.#connections) {
      if (connection.signedInBy === session) connection.fail(fail('SESSION_ENDED'))
    }
  }

  /** Has the connections that recent changes concern ask for their rights again. */
  #reconsider(): void {
    if (this.#changes.some(({ erased }) => erased)) this.#parts.hub.erase()
    const changes = Map.groupBy(this.#changes, ({ user }) => user)
    this.#changes = []
    for (const connection of this.#connections) {
      const { user } = connection
      if (user === undefined) continue
      for (const { room } of changes.get(undefined) ?? []) void reconsider(connection, room)
      for (const { room } of changes.get(user) ?? []) void reconsider(connection, room)
    }
  }

  #tick(): void {
    const now = Date.now()
    const overslept = now - this.#ticked > this.#parts.config.HEART_BEAT / 2
    this.#ticked = now
    for (const connection of this.#connections) {
      if (overslept) connection.overslept(now)
      connection.tick(now)
    }
  }
}
