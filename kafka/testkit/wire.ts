import { deleteRecordsV2 } from '@platformatic/kafka'
import type { produceV9 } from '@platformatic/kafka'
import { Cluster } from '../cluster.ts'
import { Link } from '../link.ts'
import { Homes } from '../homes.ts'
import type { Home } from '../homes.ts'
import { encodeBatch, packRecord } from '../record.ts'
import type { Identity } from '../record.ts'
import { PARTITION, topicOf } from '../topics.ts'
import { fetch, produce } from '../wire.ts'
import { record, silent } from './log.ts'

/** Works with a room as the driver sees it, on connections of its own. */
export const connected = async <T>(
  brokers: string,
  room: string,
  work: (cluster: Cluster, home: Home) => Promise<T>,
): Promise<T> => {
  const options = { clientId: 'test', timeout: 5_000, logTimeout: 5_000, logger: silent }
  const cluster = new Cluster({ brokers: brokers.split(','), ...options })
  try {
    return await work(cluster, await new Homes(cluster, silent).of(room))
  } finally {
    cluster.close()
  }
}

/** The number of the broker that leads the room. */
export const leaderOf = (brokers: string, room: string): Promise<number> =>
  connected(brokers, room, async (_cluster, home) => home.leader)

/** The producer id under which the room's first batch was written. */
export const firstProducerId = (brokers: string, room: string): Promise<bigint> =>
  connected(brokers, room, async (cluster, home) => {
    const wanted = [{ id: home.id, from: 0n, bytes: 1000 }]
    const query = { wait: 0, bytes: 1000, sessionId: 0, sessionEpoch: -1, wanted, forgotten: [] }
    const answer = await cluster.link(home.leader, 'read').call(fetch, query)
    return answer.rooms[0]!.batches.readBigInt64BE(43)
  })

/** Writes one record under any number, and resolves with Kafka's error, 0 for none. */
export const writeAs = (brokers: string, room: string, identity: Identity, body: string): Promise<number> =>
  connected(brokers, room, async (cluster, home) => {
    const batch = encodeBatch([packRecord(record(body), Date.now())], identity)
    const answer = await cluster.link(home.leader, 'write').call(produce, 1_000, [{ topic: home.topic, batch }])
    return answer.responses[0]!.partitionResponses[0]!.errorCode
  })

/** Works with the broker at this very port. */
export const linked = async <T>(port: number, work: (link: Link) => Promise<T>): Promise<T> => {
  const link = new Link({ clientId: 'test', host: '127.0.0.1', port, timeout: 5_000 })
  try {
    return await work(link)
  } finally {
    link.close()
  }
}

/** Writes one record to the broker at this very port, wherever it says that it is. */
export const writeTo = (port: number, room: string, body: string): Promise<produceV9.ProduceResponse> =>
  linked(port, link => {
    const identity = { producerId: -1n, producerEpoch: -1, sequence: -1 }
    const batch = encodeBatch([packRecord(record(body), Date.now())], identity)
    return link.call(produce, 5_000, [{ topic: topicOf(room), batch }])
  })

/** Removes records at the broker at this very port. */
export const removeBefore = (
  port: number,
  room: string,
  offset: bigint,
): Promise<deleteRecordsV2.DeleteRecordsResponse> =>
  linked(port, link => {
    const partitions = [{ partitionIndex: PARTITION, offset }]
    return link.call(deleteRecordsV2.api, [{ name: topicOf(room), partitions }], 5_000)
  })
