/**
 * The logs without anything of ours around them, on the core that servers have. Takes what to do as JSON, and prints a
 * line of JSON with what it found.
 */
import { Consumer, Producer } from '@platformatic/kafka'
import { Latencies, now, paced, type Times } from '../load/clock.ts'
import { BODY_BYTES } from '../load/frames.ts'
import { openBareLevel, SENDER } from './bare-level.ts'

export interface KafkaPlace {
  readonly brokers: readonly string[]
  /** Exists, with one partition. */
  readonly topic: string
}
/** Records written in batches of `group`, one batch after the other, each durable before the next. */
export interface WritePlan {
  readonly work: 'write'
  readonly group: number
  readonly seconds: number
  /** Absent: LevelDB, synced. */
  readonly kafka?: KafkaPlace
}
/** From the library's `send` to its `fetch`, one batch under way at a time: what is due meanwhile is the next one. */
export interface PassPlan {
  readonly work: 'pass'
  readonly perSecond: number
  /** How long it goes before anything is measured, seconds. */
  readonly warmUp: number
  readonly seconds: number
  readonly kafka: KafkaPlace
}
export interface WriteResult {
  readonly perSecond: number
}

const WARM_UP = 0.25

/** Calls `write` over and over; resolves with records a second. */
const over = async (write: () => Promise<unknown>, { group, seconds }: WritePlan): Promise<WriteResult> => {
  for (const until = performance.now() + WARM_UP * seconds * 1000; performance.now() < until;) await write()
  const start = performance.now()
  let records = 0
  for (; performance.now() - start < seconds * 1000; records += group) await write()
  return { perSecond: (records * 1000) / (performance.now() - start) }
}

const writeLevel = async (plan: WritePlan): Promise<WriteResult> => {
  const level = await openBareLevel()
  const result = await over(() => level.write(plan.group), plan)
  await level.close()
  return result
}

const producerOf = ({ brokers }: KafkaPlace) =>
  new Producer({ clientId: 'bare', bootstrapBrokers: [...brokers], idempotent: true, acks: -1 })

const writeKafka = async (plan: WritePlan, place: KafkaPlace): Promise<WriteResult> => {
  const producer = producerOf(place)
  const { topic } = place
  const message = { topic, partition: 0, key: Buffer.from(SENDER), value: Buffer.alloc(BODY_BYTES, 'hoofbeat ') }
  const write = (): Promise<unknown> =>
    producer.send({ messages: Array.from({ length: plan.group }, () => message), acks: -1 })
  const result = await over(write, plan)
  await producer.close()
  return result
}

/** Fetches from the end of the topic on until `stop` is called; `see` gets each value. */
const follow = async ({ brokers, topic }: KafkaPlace, see: (value: Buffer) => void) => {
  const consumer = new Consumer({ clientId: 'bare', bootstrapBrokers: [...brokers], groupId: 'bare' })
  const metadata = await consumer.metadata({ topics: [topic] })
  const { id } = metadata.topics.get(topic)!
  const node = [...metadata.brokers.keys()][0]!
  const offsets = await consumer.listOffsets({ topics: [topic], timestamp: -1n, isolationLevel: 0 })
  let next = offsets.get(topic)![0]!
  let stopped = false
  const reading = (async () => {
    const partition = { partition: 0, currentLeaderEpoch: -1, lastFetchedEpoch: -1, partitionMaxBytes: 524_288 }
    while (!stopped) {
      const topics = [{ topicId: id, partitions: [{ ...partition, fetchOffset: next }] }]
      const limits = { maxWaitTime: 500, minBytes: 1, maxBytes: 1_048_576, isolationLevel: 0 } as const
      const answer = await consumer.fetch({ node, ...limits, topics })
      for (const batch of answer.responses[0]?.partitions[0]?.records ?? []) {
        for (const { value, offsetDelta } of batch.records) {
          see(value!)
          next = batch.firstOffset + BigInt(offsetDelta) + 1n
        }
      }
    }
  })()
  const stop = async (): Promise<void> => {
    stopped = true
    await reading
    await consumer.close(true)
  }
  return { stop }
}

const pass = async ({ kafka, perSecond, warmUp, seconds }: PassPlan): Promise<Times> => {
  const latencies = new Latencies()
  const reader = await follow(kafka, value => latencies.add(now() - value.readDoubleBE()))
  const producer = producerOf(kafka)
  let waiting: Buffer[] = []
  let sending: Promise<void> | undefined
  const send = async (): Promise<void> => {
    while (waiting.length > 0) {
      const messages = waiting.map(value => ({ topic: kafka.topic, partition: 0, value, key: Buffer.from(SENDER) }))
      waiting = []
      await producer.send({ messages, acks: -1 })
    }
    sending = undefined
  }
  const during = async (time: number): Promise<void> => {
    await paced(perSecond, time, (count, first, step) => {
      for (let i = 0; i < count; i++) {
        const body = Buffer.alloc(BODY_BYTES)
        body.writeDoubleBE(first + i * step)
        waiting.push(body)
      }
      sending ??= send()
    })
    await sending
  }
  await during(warmUp)
  latencies.reset()
  await during(seconds)
  await reader.stop()
  await producer.close()
  return latencies.times()
}

const plan = JSON.parse(process.argv[2] ?? '{}') as WritePlan | PassPlan
const result =
  plan.work === 'pass' ? await pass(plan) : plan.kafka ? await writeKafka(plan, plan.kafka) : await writeLevel(plan)
process.stdout.write(`${JSON.stringify(result)}\n`)
process.exit(0)
