import { Kafka, logLevel } from 'kafkajs'
import type { KafkaMessage } from 'kafkajs'
import { topicOf } from '../../kafka/topics.ts'
import type { Kept } from './ledger.ts'

/** What to read of a room: the offsets from `from` up to `end`, not `end` itself. */
export interface Wanted {
  readonly room: string
  readonly from: number
  readonly end: number
}

/** Names of headers that begin with `hb-` are Hoofbeat's own; with any but these two the record is no message. */
const isMessage = (names: readonly string[]): boolean =>
  names.every(name => !name.startsWith('hb-') || name === 'hb-key' || name.startsWith('hb-.'))

const text = (value: Buffer | string | readonly (Buffer | string)[] | undefined): string => String(value ?? '')

/** A room of which something is still to be read, from `next` on. */
interface Reading extends Wanted {
  next: number
}

/**
 * Reads rooms straight from the brokers, with another client than the nodes have, so that no mistake of theirs hides
 * itself. Resolves with the records of each room.
 */
export const readRooms = async (brokers: string, wanted: readonly Wanted[]): Promise<Map<string, Kept[]>> => {
  const retry = { initialRetryTime: 50, retries: 20 }
  const client = new Kafka({ clientId: 'chaos', brokers: brokers.split(','), logLevel: logLevel.NOTHING, retry })
  const groupId = `chaos-${crypto.randomUUID()}`
  // It begins at the end, and would wait there before it goes where it is sent.
  const consumer = client.consumer({ groupId, allowAutoTopicCreation: false, maxWaitTimeInMs: 50, retry })
  const open = new Map<string, Reading>()
  for (const each of wanted) if (each.from < each.end) open.set(topicOf(each.room), { ...each, next: each.from })
  const records = new Map(wanted.map(({ room }): [string, Kept[]] => [room, []]))
  if (open.size === 0) return records
  const { promise: complete, resolve: done, reject } = Promise.withResolvers<void>()
  // Brokers that have just come back may make it begin anew; then it forgets where it was.
  consumer.on(consumer.events.GROUP_JOIN, () => {
    for (const [topic, { next }] of open) consumer.seek({ topic, partition: 0, offset: String(next) })
  })
  consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || reject(payload.error))
  const take = (reading: Reading, { offset, headers, value }: KafkaMessage): void => {
    const at = Number(offset)
    if (at < reading.next || at >= reading.end) return
    reading.next = at + 1
    const lines = Object.entries(headers ?? {}).map(([name, each]) => [name, text(each)] as const)
    if (!isMessage(lines.map(([name]) => name))) return
    records.get(reading.room)?.push({ offset: at, headers: new Map(lines), body: value ?? Buffer.alloc(0) })
  }
  try {
    await consumer.connect()
    await consumer.subscribe({ topics: [...open.keys()] })
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        const reading = open.get(batch.topic)
        if (!reading) return
        for (const message of batch.messages) take(reading, message)
        if (reading.next >= reading.end) open.delete(batch.topic)
        if (open.size === 0) done()
      },
    })
    await complete
    return records
  } finally {
    await consumer.disconnect()
  }
}
