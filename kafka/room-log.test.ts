import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startKafka } from '../scripts/services/kafka.ts'
import { roomLogContract } from '../server/ports/room-log.contract.ts'
import { openKafkaLog } from './room-log.ts'

t.setTimeout(300_000)

const silent = { debug() {}, info() {}, warn() {}, error() {} }

const brokers = await (async () => {
  const given = process.env['KAFKA_TEST_BROKERS']
  if (given) return given.split(',')
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-kafka-'))
  const kafka = await startKafka({ brokers: 1, folder })
  t.teardown(async () => {
    await kafka.stop()
    await rm(folder, { recursive: true, force: true })
  })
  return kafka.brokers.split(',')
})()

const open = (opening: { roomsMax?: number } = {}) =>
  openKafkaLog({
    brokers,
    replication: 1,
    retentionMs: -1,
    logTimeout: 15_000,
    queueBytes: 64 * 1024 * 1024,
    roomsMax: 100_000,
    logger: silent,
    ...opening,
  })

roomLogContract(t, open, { shared: true })
