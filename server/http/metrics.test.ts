import fastify from 'fastify'
import t, { type Test } from 'tap'
import { errors } from '../errors.ts'
import { createMetrics, type Gauges } from './metrics.ts'

const setUp = async (t: Test) => {
  const bytes = { outboxBytes: 0, unsettledBytes: 0, recentBytes: 0 }
  const gauges: Gauges = { connections: 0, subscriptions: 0, rooms: 0, ...bytes, keysReachable: 0 }
  const { meter, routes } = createMetrics(() => gauges)
  const app = fastify()
  routes(app)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  /** What is scraped: each sample by its name and labels. */
  const scrape = async (): Promise<Map<string, number>> => {
    const response = await fetch(`${url}/metrics`)
    t.equal(response.status, 200)
    t.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
    t.equal(response.headers.get('cache-control'), 'no-store')
    const lines = (await response.text()).split('\n').filter(line => line !== '' && !line.startsWith('#'))
    const samples = lines.map(line => /^([a-z_0-9]+(?:\{[^}]*\})?) (\S+)$/.exec(line))
    t.ok(samples.every(Boolean), 'every line is a sample')
    return new Map(samples.map(sample => [sample?.[1] ?? '', Number(sample?.[2])]))
  }
  return { gauges, meter, scrape, url }
}

void t.test('gauges are read when they are asked for', async t => {
  const { gauges, scrape } = await setUp(t)
  t.equal((await scrape()).get('hoofbeat_connections'), 0)
  Object.assign(gauges, {
    connections: 1,
    subscriptions: 2,
    rooms: 3,
    outboxBytes: 4,
    unsettledBytes: 5,
    recentBytes: 6,
    keysReachable: 1,
  })
  const samples = await scrape()
  t.equal(samples.get('hoofbeat_connections'), 1)
  t.equal(samples.get('hoofbeat_subscriptions'), 2)
  t.equal(samples.get('hoofbeat_rooms_tailed'), 3)
  t.equal(samples.get('hoofbeat_outbox_bytes'), 4)
  t.equal(samples.get('hoofbeat_unsettled_bytes'), 5)
  t.equal(samples.get('hoofbeat_recent_bytes'), 6)
  t.equal(samples.get('hoofbeat_keys_reachable'), 1)
})

void t.test('counters count from zero, and go on from scrape to scrape', async t => {
  const { meter, scrape } = await setUp(t)
  const plain = {
    connections: 'connections_total',
    deliveries: 'deliveries_total',
    bytesOut: 'bytes_out_total',
  } as const
  const rare = { slowSubscribers: 'slow_subscribers_total', windowFull: 'window_full_total' } as const
  const all = Object.entries({ ...plain, ...rare }) as [keyof typeof plain | keyof typeof rare, string][]
  const before = await scrape()
  for (const [name, sample] of all) {
    t.equal(before.get(`hoofbeat_${sample}`), 0, name)
    meter.add(name)
    meter.add(name, 41)
  }
  await scrape()
  for (const [name] of all) meter.add(name, 0.5)
  const after = await scrape()
  for (const [name, sample] of all) t.equal(after.get(`hoofbeat_${sample}`), 42.5, name)
})

void t.test('frames by command, errors by code, and no label that a client made up', async t => {
  const { meter, scrape } = await setUp(t)
  const series = (samples: Map<string, number>): string[] =>
    [...samples.keys()].filter(key => key.startsWith('hoofbeat_'))
  const before = series(await scrape())
  meter.add('framesIn', 1, 'SEND')
  meter.add('framesIn', 2, 'STOMP')
  meter.add('framesIn', 3, 'GET / HTTP/1.1"} 1')
  meter.add('framesIn', 4, 'MESSAGE')
  meter.add('framesIn', 5)
  meter.add('framesOut', 1000, 'MESSAGE')
  meter.add('framesOut', 1, 'toString')
  meter.add('errors', 1, 'LOG_UNAVAILABLE')
  meter.add('errors', 1, '__proto__')
  meter.add('signalsDropped', 2, 'slow')
  meter.add('deliveries', 7, 'x')
  const samples = await scrape()
  t.equal(samples.get('hoofbeat_frames_in_total{command="SEND"}'), 1)
  t.equal(samples.get('hoofbeat_frames_in_total{command="STOMP"}'), 2)
  t.equal(samples.get('hoofbeat_frames_in_total{command="other"}'), 12)
  t.equal(samples.get('hoofbeat_frames_in_total{command="ACK"}'), 0)
  t.equal(samples.get('hoofbeat_frames_out_total{command="MESSAGE"}'), 1000)
  t.equal(samples.get('hoofbeat_frames_out_total{command="other"}'), 1)
  for (const code of Object.keys(errors)) {
    t.equal(samples.get(`hoofbeat_errors_total{code="${code}"}`), code === 'LOG_UNAVAILABLE' ? 1 : 0)
  }
  t.equal(samples.get('hoofbeat_errors_total{code="other"}'), 1)
  t.equal(samples.get('hoofbeat_signals_dropped_total{reason="slow"}'), 2)
  t.equal(samples.get('hoofbeat_signals_dropped_total{reason="rate"}'), 0)
  t.equal(samples.get('hoofbeat_deliveries_total'), 7)
  t.same(series(samples), before, 'no new series')
})

void t.test('timings fall into buckets', async t => {
  const { meter, scrape } = await setUp(t)
  for (const seconds of [0, 0.0005, 0.0006, 0.3, 15, 16]) meter.observe('append', seconds)
  const append = await scrape()
  const bucket = (le: string): number | undefined => append.get(`hoofbeat_append_seconds_bucket{le="${le}"}`)
  t.same(['0.0005', '0.001', '0.25', '0.5', '5', '15', '+Inf'].map(bucket), [2, 3, 3, 4, 4, 5, 6])
  t.equal(append.get('hoofbeat_append_seconds_count'), 6)
  t.equal(append.get('hoofbeat_append_seconds_sum')?.toFixed(4), '31.3011')
  meter.observe('logLag', 0.02)
  const lag = await scrape()
  t.equal(lag.get('hoofbeat_log_lag_seconds_bucket{le="0.01"}'), 0)
  t.equal(lag.get('hoofbeat_log_lag_seconds_bucket{le="0.025"}'), 1)
  t.equal(lag.get('hoofbeat_log_lag_seconds_bucket{le="+Inf"}'), 1)
  t.equal(lag.get('hoofbeat_append_seconds_count'), 6)
})

void t.test('nothing that is noted can break the figures', async t => {
  const { meter, scrape } = await setUp(t)
  for (const amount of [NaN, Infinity, -1, 0]) meter.add('deliveries', amount)
  for (const seconds of [NaN, -5]) meter.observe('logLag', seconds)
  const samples = await scrape()
  t.equal(samples.get('hoofbeat_deliveries_total'), 0)
  t.equal(samples.get('hoofbeat_log_lag_seconds_sum'), 0)
  t.equal(samples.get('hoofbeat_log_lag_seconds_bucket{le="0.001"}'), 2)
})

void t.test("the process's own figures are there", async t => {
  const samples = await (await setUp(t)).scrape()
  for (const name of [
    'nodejs_eventloop_lag_p99_seconds',
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
  ]) {
    t.ok(samples.has(name), name)
  }
})

void t.test('two nodes in one process count apart', async t => {
  const one = await setUp(t)
  const other = await setUp(t)
  one.meter.add('connections')
  t.equal((await one.scrape()).get('hoofbeat_connections_total'), 1)
  t.equal((await other.scrape()).get('hoofbeat_connections_total'), 0)
})
