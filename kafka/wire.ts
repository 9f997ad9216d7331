import { createAPI, fetchV13, produceV9, Reader, readKnownTaggedFields, Writer } from '@platformatic/kafka'
import type { Offset } from '../server/ports/room-log.ts'
import { PARTITION } from './topics.ts'

/*
  The two requests that every message passes through. Their form is Kafka's, at the versions that every broker from 3.6
  to 4.x speaks. They are here because batches are put together, and taken apart, by record.ts: what one room's batch is
  like then never concerns another room's.
*/

/** What went wrong with one partition or topic, as numbers in an answer. */
export const KafkaError = {
  UNKNOWN_SERVER_ERROR: -1,
  NONE: 0,
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  REQUEST_TIMED_OUT: 7,
  MESSAGE_TOO_LARGE: 10,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  INVALID_TIMESTAMP: 32,
  TOPIC_ALREADY_EXISTS: 36,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  UNKNOWN_PRODUCER_ID: 59,
  PRODUCER_FENCED: 90,
} as const

/** Isolation: what is in the log counts, also beside a transaction that an outsider left open. */
export const READ_UNCOMMITTED = 0
/** acks=all: durable on every broker that is in sync. */
const ALL = -1

export interface TopicBatch {
  readonly topic: string
  readonly batch: Buffer
}

const createProduce = (timeout: number, batches: readonly TopicBatch[]): Writer =>
  Writer.create()
    .appendString(null)
    .appendInt16(ALL)
    .appendInt32(timeout)
    .appendArray([...batches], (writer, { topic, batch }) => {
      writer.appendString(topic).appendArray([batch], inner => inner.appendInt32(PARTITION).appendBytes(batch))
    })
    .appendTaggedFields()

/** Produce: at most one batch a topic. @param timeout ms that the broker waits for its copies. */
export const produce = createAPI<[timeout: number, batches: readonly TopicBatch[]], produceV9.ProduceResponse>(
  0,
  9,
  createProduce,
  produceV9.parseResponse,
)

export interface FetchAnswer {
  /** Of the session; the rooms' own are in `rooms`. */
  readonly errorCode: number
  readonly sessionId: number
  readonly rooms: readonly RoomAnswer[]
}
export interface RoomAnswer {
  /** The topic's id, hex. */
  readonly id: string
  readonly errorCode: number
  /** Up to where the room can be read now; -1 with an error. */
  readonly end: Offset
  /** Batches as the log has them, the last one possibly cut off. */
  readonly batches: Buffer
}
/** One room of a fetch: from where on, and how much at a time. */
export interface Wanted {
  readonly id: string
  readonly from: Offset
  readonly bytes: number
}
export interface FetchQuery {
  /** How long the broker may wait for something to answer, ms. */
  readonly wait: number
  readonly bytes: number
  /** 0: a new session at epoch 0, none at epoch -1. */
  readonly sessionId: number
  readonly sessionEpoch: number
  /** What is new or has changed in the session. */
  readonly wanted: readonly Wanted[]
  /** Ids that leave the session. */
  readonly forgotten: readonly string[]
}

const createFetch = ({ wait, bytes, sessionId, sessionEpoch, wanted, forgotten }: FetchQuery): Writer => {
  const topics = wanted.map(each => ({
    topicId: each.id,
    partitions: [
      {
        partition: PARTITION,
        currentLeaderEpoch: -1,
        fetchOffset: each.from,
        lastFetchedEpoch: -1,
        partitionMaxBytes: each.bytes,
      },
    ],
  }))
  const left = forgotten.map(topicId => ({ topicId, partitions: [PARTITION] }))
  return fetchV13.createRequest(wait, 1, bytes, READ_UNCOMMITTED, sessionId, sessionEpoch, topics, left, '')
}

const NOTHING = Buffer.alloc(0)

/** One partition's part of an answer; its layout is that of Fetch 13. */
const readPartition = (reader: Reader): Omit<RoomAnswer, 'id'> => {
  reader.readInt32()
  const errorCode = reader.readInt16()
  const end = reader.readInt64()
  reader.readInt64()
  reader.readInt64()
  reader.readNullableArray(transaction => [transaction.readInt64(), transaction.readInt64()])
  reader.readInt32()
  const batches = reader.readNullableBytes() ?? NOTHING
  readKnownTaggedFields(reader, {})
  return { errorCode, end, batches }
}

const parseFetch = (_correlation: number, _key: number, _version: number, answer: Reader): FetchAnswer => {
  // In one piece, so that records are parts of it and need no copies of their own.
  const reader = Reader.from(answer.buffer.slice(answer.position))
  reader.readInt32()
  const errorCode = reader.readInt16()
  const sessionId = reader.readInt32()
  const rooms: RoomAnswer[] = []
  reader.readArray(() => {
    const id = reader.readUUID().replaceAll('-', '')
    reader.readArray(() => rooms.push({ id, ...readPartition(reader) }), true, false)
  })
  return { errorCode, sessionId, rooms }
}

/** Fetch, by topic ids: a topic that was made again under an old name is not taken for the old one. */
export const fetch = createAPI<[query: FetchQuery], FetchAnswer>(1, 13, createFetch, parseFetch)
