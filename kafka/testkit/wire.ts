import { Cluster } from '../cluster.ts'
import { Places } from '../places.ts'
import type { Place } from '../places.ts'
import { encodeBatch, packRecord } from '../record.ts'
import type { Identity } from '../record.ts'
import { fetch, produce } from '../wire.ts'
import { record } from './log.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

const connected = async <T>(
  brokers: string,
  room: string,
  work: (cluster: Cluster, place: Place) => Promise<T>,
): Promise<T> => {
  const options = { clientId: 'test', timeout: 5_000, logTimeout: 5_000, logger: silent }
  const cluster = new Cluster({ brokers: brokers.split(','), ...options })
  try {
    return await work(cluster, await new Places(cluster, silent).of(room))
  } finally {
    await cluster.close()
  }
}

/** The producer id under which the room's first batch was written. */
export const firstProducerId = (brokers: string, room: string): Promise<bigint> =>
  connected(brokers, room, async (cluster, place) => {
    const wanted = [{ id: place.id, from: 0n, bytes: 1000 }]
    const query = { wait: 0, bytes: 1000, sessionId: 0, sessionEpoch: -1, wanted, forgotten: [] }
    const answer = await cluster.link(place.leader, 'read').call(fetch, query)
    return answer.rooms[0]!.batches.readBigInt64BE(43)
  })

/** Writes one record under any number, and resolves with Kafka's error, 0 for none. */
export const writeAs = (brokers: string, room: string, identity: Identity, body: string): Promise<number> =>
  connected(brokers, room, async (cluster, place) => {
    const batch = encodeBatch([packRecord(record(body), Date.now())], identity)
    const answer = await cluster.link(place.leader, 'write').call(produce, 1_000, [{ topic: place.topic, batch }])
    return answer.responses[0]!.partitionResponses[0]!.errorCode
  })
