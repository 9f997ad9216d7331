import { setTimeout as delay } from 'node:timers/promises'
import { addFaults, Checker, noFaults, type Faults } from './checker.ts'
import { Client, headerOf, type Endpoint } from './client.ts'
import { Latencies, settled, Watch, type Times } from './clock.ts'
import { Publishers, streamsOf } from './publishers.ts'

const PER_CONNECTION = 500
const PUBLISHERS = 4
const PATIENCE_MS = 30_000
/** What a node does after many rooms have come is no idling. */
const BREATH_MS = 3_000

export interface ManyRoomsPlan {
  readonly endpoint: Endpoint
  readonly pid: number
  readonly rooms: number
  readonly perSecond: number
  readonly seconds: number
}

export interface ManyRoomsResult {
  /** Until all rooms were subscribed to and had had a message, seconds. */
  readonly ready: number
  /** The share of its core that the server takes when nothing happens. */
  readonly idle: number
  readonly busy: number
  readonly latency: Times
  readonly faults: Faults
}

/** Subscribes one connection to each of `destinations`, each with a checker of its own. */
const subscribe = async (endpoint: Endpoint, checkers: ReadonlyMap<string, Checker>): Promise<Client> => {
  const client = await Client.connect(endpoint)
  client.onEnd = error => {
    throw error
  }
  client.onMessage = (head, ...rest) => checkers.get(headerOf(head, 'destination') ?? '')?.take(head, ...rest)
  const headers = (destination: string) => ({ id: destination, destination, ack: 'auto' })
  await Promise.all(Array.from(checkers.keys(), destination => client.request('SUBSCRIBE', headers(destination))))
  return client
}

/** One node that follows many rooms: what that costs when nothing happens, and how late messages are. */
export const manyRooms = async (plan: ManyRoomsPlan): Promise<ManyRoomsResult> => {
  const { endpoint, pid, rooms, perSecond, seconds } = plan
  const latencies = new Latencies()
  const start = performance.now()
  // The same names each time: the rooms are made once.
  const destinations = Array.from({ length: rooms }, (_, i) => `/topic/many-${String(i).padStart(5, '0')}`)
  const checkers = destinations.map((destination, room) => {
    const streams = streamsOf(room, rooms, PUBLISHERS)
    return new Checker({ destination, subscription: destination, streams, ids: true, onLatency: latencies.add })
  })
  const clients: Client[] = []
  for (let from = 0; from < rooms; from += PER_CONNECTION) {
    const part = checkers.slice(from, from + PER_CONNECTION)
    clients.push(await subscribe(endpoint, new Map(part.map((checker, i) => [destinations[from + i]!, checker]))))
  }
  const publishers = await Publishers.open({ endpoint, destinations, publishers: PUBLISHERS })
  const messages = (): number => checkers.reduce((sum, each) => sum + each.messages, 0)
  const all = () => settled(() => messages() === publishers.sent.all(), messages, PATIENCE_MS)
  // The first message of a room costs more than the others: brokers make files for it.
  publishers.once()
  await all()
  const ready = (performance.now() - start) / 1000
  await delay(BREATH_MS)
  const nothing = new Watch(pid)
  await delay(seconds * 1000)
  const idle = nothing.serverCpu / nothing.seconds
  latencies.reset()
  const something = new Watch(pid)
  await publishers.publish(perSecond, seconds)
  const busy = something.serverCpu / something.seconds
  await all()
  const faults = noFaults()
  for (const checker of checkers) {
    checker.countLost(publishers.sent.stream)
    addFaults(faults, checker.faults)
  }
  for (const client of clients) client.end()
  publishers.close()
  return { ready, idle, busy, latency: latencies.times(), faults }
}
