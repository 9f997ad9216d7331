import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'
import { Audience } from './audience.ts'
import type { Faults } from './checker.ts'
import { Client, type Endpoint } from './client.ts'
import { Latencies, now, settled, type Times } from './clock.ts'
import { Publishers, streamsOf } from './publishers.ts'

const BUSY_ROOMS = 20
const BUSY_PER_SECOND = 400
const NEW_ROOMS = 50
/** How often it changes between newcomers and none, so that both see the same moods of the broker. */
const SLICES = 5
const NEWCOMERS = NEW_ROOMS / SLICES
const PATIENCE_MS = 10_000

export interface NewcomersPlan {
  /** The node that knows none of the rooms yet. */
  readonly endpoint: Endpoint
  /** Another node, which everything is sent to. */
  readonly publishTo: Endpoint
  /** How long the busy rooms are looked at without newcomers; with them it takes as long. */
  readonly seconds: number
  /** How many rooms are made and joined before anything is measured: broker and nodes compile what they do often. */
  readonly rehearsals: number
  readonly bare: {
    readonly brokers: readonly string[]
    readonly configs: readonly { name: string; value: string }[]
  }
}

export interface NewcomersResult {
  /** From SUBSCRIBE to the first MESSAGE, which is sent when the RECEIPT is there: in rooms that exist. */
  readonly first: Times
  /** From SUBSCRIBE to its RECEIPT. */
  readonly subscribed: Times
  /** The same as `first`, in rooms that nobody knew. */
  readonly made: Times
  /** The library's createTopics of one topic. */
  readonly bare: Times
  /** Deliveries in the busy rooms, without newcomers and with them. */
  readonly alone: Times
  readonly meanwhile: Times
  readonly faults: Faults
}

const idOf = (): string => randomBytes(6).toString('hex')

/** Subscribes to `room`, has a message sent to it when that holds, and resolves when it came. */
const firstDelivery = async (client: Client, sender: Client, room: string, subscribed: Latencies): Promise<number> => {
  const destination = `/topic/${room}`
  const start = now()
  const came = new Promise<number>(resolve => (client.onMessage = () => resolve(now() - start)))
  await client.request('SUBSCRIBE', { id: room, destination, ack: 'auto' })
  subscribed.add(now() - start)
  sender.send('SEND', { destination }, 'hello')
  return came
}

/** Makes rooms and joins them as it is done when that is measured. */
const rehearse = async (client: Client, sender: Client, times: number): Promise<void> => {
  const ignored = new Latencies()
  for (let made = 0; made < times; made += NEW_ROOMS) {
    const rooms = Array.from({ length: NEW_ROOMS }, () => `rehearsal-${idOf()}`)
    await Promise.all(rooms.map(room => sender.request('SEND', { destination: `/topic/${room}` }, 'before')))
    for (const room of rooms) {
      await firstDelivery(client, sender, room, ignored)
      await client.request('UNSUBSCRIBE', { id: room })
    }
  }
}

/** Rooms that are new to a node, with busy ones beside them; then rooms that are new to Kafka. */
export const newcomers = async ({
  endpoint,
  publishTo,
  seconds,
  rehearsals,
  bare,
}: NewcomersPlan): Promise<NewcomersResult> => {
  const latencies = new Latencies()
  const name = idOf()
  const destinations = Array.from({ length: BUSY_ROOMS }, (_, i) => `/topic/busy-${name}-${i}`)
  const busy = { endpoint, destinations, subscribers: 1, latencies, receipts: true, foreign: false }
  const audience = await Audience.open({ ...busy, streamsOf: room => streamsOf(room, BUSY_ROOMS, 4) })
  const publishers = await Publishers.open({ endpoint: publishTo, destinations, publishers: 4 })
  const [client, sender] = await Promise.all([Client.connect(endpoint), Client.connect(publishTo)])
  await rehearse(client, sender, rehearsals)
  const rooms = Array.from({ length: NEW_ROOMS }, (_, i) => `new-${name}-${i}`)
  // They exist, and the other node knows them.
  for (const room of rooms) await sender.request('SEND', { destination: `/topic/${room}` }, 'before')
  const arrived = () =>
    settled(
      () => audience.messages === publishers.sent.all(),
      () => audience.messages,
      PATIENCE_MS,
    )
  const slice = async (into: Latencies, beside: () => Promise<void>): Promise<void> => {
    await Promise.all([publishers.publish(BUSY_PER_SECOND, seconds / SLICES), beside()])
    await arrived()
    into.take(latencies)
  }
  await slice(new Latencies(), async () => {})
  const [first, subscribed, alone, meanwhile] = [new Latencies(), new Latencies(), new Latencies(), new Latencies()]
  for (let i = 0; i < SLICES; i++) {
    await slice(alone, async () => {})
    await slice(meanwhile, async () => {
      for (const room of rooms.slice(i * NEWCOMERS, (i + 1) * NEWCOMERS)) {
        first.add(await firstDelivery(client, sender, room, subscribed))
        await delay((seconds * 1000) / NEW_ROOMS / 1.2)
      }
    })
  }
  const faults = audience.faults(publishers.sent)
  const { made, topics } = await creations(client, sender, bare)
  audience.close()
  publishers.close()
  client.end()
  sender.end()
  return {
    first: first.times(),
    subscribed: subscribed.times(),
    made: made.times(),
    bare: topics.times(),
    alone: alone.times(),
    meanwhile: meanwhile.times(),
    faults,
  }
}

const CREATIONS = 20
/** A broker is busy with a new topic for a while after it has answered. */
const BREATH_MS = 50

/** In turn: a room that is new to Kafka until its first message, and the library's creation of a topic. */
const creations = async (
  client: Client,
  sender: Client,
  { brokers, configs }: NewcomersPlan['bare'],
): Promise<{ made: Latencies; topics: Latencies }> => {
  const admin = new Admin({ clientId: 'bare', bootstrapBrokers: [...brokers] })
  await admin.metadata({})
  const [made, topics, ignored] = [new Latencies(), new Latencies(), new Latencies()]
  for (let i = 0; i < CREATIONS; i++) {
    made.add(await firstDelivery(client, sender, `made-${idOf()}`, ignored))
    await delay(BREATH_MS)
    const start = now()
    await admin.createTopics({ topics: [`bare-${idOf()}`], partitions: 1, replicas: 1, configs: [...configs] })
    topics.add(now() - start)
    await delay(BREATH_MS)
  }
  await admin.close()
  return { made, topics }
}
