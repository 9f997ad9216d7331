import type { FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Counter as PromCounter, Gauge, Registry } from 'prom-client'
import { errors } from '../errors.ts'
import type { Counter, Meter, Timing } from '../ports/meter.ts'
import { Histogram } from './histogram.ts'

/** How much there is of something at this moment, on this node. */
export interface Gauges {
  readonly connections: number
  readonly subscriptions: number
  /** Rooms that are tailed. */
  readonly rooms: number
  /** Bytes that wait in outboxes. */
  readonly outboxBytes: number
  /** Bytes of appends that are not durable yet. */
  readonly unsettledBytes: number
  /** Bytes of recent messages that are kept, of at most RECENT_BYTES. */
  readonly recentBytes: number
  /** 1 while idempotency keys can be looked up, 0 while what has one waits for that. */
  readonly keysReachable: number
}

export interface Metrics {
  readonly meter: Meter
  /** `GET /metrics`, in Prometheus' text format. */
  routes(app: FastifyInstance): void
}

interface CounterSpec {
  readonly name: string
  readonly help: string
  /** Counted apart by this label, of which these values are known. A client can send anything: the rest is `other`. */
  readonly by?: { readonly label: string; readonly values: readonly string[] }
}

const received = 'CONNECT STOMP SEND SUBSCRIBE UNSUBSCRIBE ACK NACK BEGIN COMMIT ABORT DISCONNECT'.split(' ')
const sent = ['CONNECTED', 'MESSAGE', 'RECEIPT', 'ERROR']

const counters: Record<Counter, CounterSpec> = {
  connections: { name: 'connections_total', help: 'Connections accepted' },
  refused: {
    name: 'refused_total',
    help: 'Connections that were refused: too many, of an origin that may not, or against HTTP or WebSocket',
    by: { label: 'reason', values: ['user', 'address', 'waiting', 'origin', 'http', 'websocket'] },
  },
  framesIn: { name: 'frames_in_total', help: 'Frames received', by: { label: 'command', values: received } },
  framesOut: { name: 'frames_out_total', help: 'Frames sent', by: { label: 'command', values: sent } },
  deliveries: { name: 'deliveries_total', help: 'Messages delivered to subscriptions' },
  bytesOut: { name: 'bytes_out_total', help: 'Bytes written to clients' },
  slowSubscribers: { name: 'slow_subscribers_total', help: 'Times that a connection fell behind and had to catch up' },
  windowFull: { name: 'window_full_total', help: 'Times that a subscription had its window full' },
  signalsDropped: {
    name: 'signals_dropped_total',
    help: 'Signals and events not told: the sender was over the rate, or a client did not keep up',
    by: { label: 'reason', values: ['rate', 'slow'] },
  },
  errors: { name: 'errors_total', help: 'Errors told to clients', by: { label: 'code', values: Object.keys(errors) } },
}

const gauges: Record<keyof Gauges, { readonly name: string; readonly help: string }> = {
  connections: { name: 'connections', help: 'Connections that are open' },
  subscriptions: { name: 'subscriptions', help: 'Subscriptions' },
  rooms: { name: 'rooms_tailed', help: 'Rooms whose log is tailed' },
  outboxBytes: { name: 'outbox_bytes', help: 'Bytes that wait in outboxes' },
  unsettledBytes: { name: 'unsettled_bytes', help: 'Bytes of appends that are not durable yet' },
  recentBytes: { name: 'recent_bytes', help: 'Bytes of recent messages that are kept in memory' },
  keysReachable: { name: 'keys_reachable', help: 'Whether idempotency keys can be looked up' },
}

const PREFIX = 'hoofbeat_'
const OTHER = 'other'

/** The node's figures: counted in plain numbers, as that happens on hot paths, and copied when they are asked for. */
export const createMetrics = (read: () => Gauges): Metrics => {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const totals = mapValues(counters, spec => registerCounter(registry, spec))
  const present = mapValues(gauges, ({ name, help }) => new Gauge({ name: PREFIX + name, help, registers: [registry] }))
  const timings: Record<Timing, Histogram> = {
    append: new Histogram(
      `${PREFIX}append_seconds`,
      'From the append of a record to its being durable',
      [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15],
    ),
    logLag: new Histogram(
      `${PREFIX}log_lag_seconds`,
      'From the time that the log gave a record to its fan-out on this node',
      [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60],
    ),
  }
  return {
    meter: {
      add(name, amount = 1, label = OTHER) {
        const counts = totals[name]
        const key = counts.has(label) ? label : OTHER
        if (amount > 0 && amount < Infinity) counts.set(key, counts.get(key)! + amount)
      },
      observe(name, seconds) {
        timings[name].observe(seconds)
      },
    },
    routes(app) {
      app.get('/metrics', async (_request, reply) => {
        const values = read()
        for (const key of Object.keys(gauges) as (keyof Gauges)[]) present[key].set(values[key])
        reply.header('cache-control', 'no-store').type(registry.contentType)
        return (await registry.metrics()) + timings.append + timings.logLag
      })
    },
  }
}

/** The totals per value of its label, which has `other` alone where there is no label. */
const registerCounter = (registry: Registry, { name, help, by }: CounterSpec): Map<string, number> => {
  const totals = new Map([...(by?.values ?? []), OTHER].map(value => [value, 0]))
  const counter = new PromCounter({
    name: PREFIX + name,
    help,
    labelNames: by ? [by.label] : [],
    registers: [registry],
    collect() {
      counter.reset()
      for (const [value, total] of totals) counter.inc(by ? { [by.label]: value } : {}, total)
    },
  })
  return totals
}

const mapValues = <K extends string, A, B>(record: Record<K, A>, map: (value: A) => B): Record<K, B> =>
  Object.fromEntries(Object.entries<A>(record).map(([key, value]) => [key, map(value)])) as Record<K, B>
