import { setTimeout as delay } from 'node:timers/promises'
import { Client, type Endpoint } from './client.ts'
import { residentOf } from './clock.ts'

/** Connections that are there before memory is first looked at: what a server needs once is not counted. */
const BEFORE = 500
const AT_ONCE = 100
/** Memory has settled when it has changed by less than this share from one look to the next. */
const STILL = 0.002
const LOOKS = 20
const LOOK_MS = 500

export interface IdlePlan {
  readonly endpoint: Endpoint
  /** The server's; it collects its garbage on SIGUSR2. */
  readonly pid: number
  readonly connections: number
  /** What to subscribe to; absent: only the WebSocket is opened. */
  readonly destination?: string
}

const settledMemory = async (pid: number): Promise<number> => {
  let last = Infinity
  for (let look = 0; look < LOOKS; look++) {
    process.kill(pid, 'SIGUSR2')
    await delay(LOOK_MS)
    const bytes = residentOf(pid)
    if (Math.abs(bytes - last) < STILL * bytes) return bytes
    last = bytes
  }
  return last
}

/** Bytes of the server's memory that a connection takes which only waits. */
export const idle = async ({ endpoint, pid, connections, destination }: IdlePlan): Promise<{ bytes: number }> => {
  const clients: Client[] = []
  const join = async (): Promise<void> => {
    const client = await Client.connect(endpoint, destination === undefined)
    clients.push(client)
    if (destination !== undefined) await client.request('SUBSCRIBE', { id: 'sub-0', destination, ack: 'auto' })
  }
  const open = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= AT_ONCE) {
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, left) }, join))
    }
  }
  await open(BEFORE)
  const before = await settledMemory(pid)
  await open(connections)
  const after = await settledMemory(pid)
  for (const client of clients) client.end()
  return { bytes: (after - before) / connections }
}
