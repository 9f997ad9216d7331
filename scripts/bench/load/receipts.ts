import { Client, headerOf, type Endpoint } from './client.ts'
import { noFaults, type Faults } from './checker.ts'
import { Latencies, now, Watch, type Times } from './clock.ts'
import { BODY_BYTES, frame, masked } from './frames.ts'

export interface ReceiptsPlan {
  readonly endpoint: Endpoint
  readonly pid: number
  /** A room that nobody else sends to. */
  readonly destination: string
  readonly publishers: number
  /** How many SENDs of a publisher wait for their RECEIPT at any time. */
  readonly outstanding: number
  readonly seconds: number
}

export interface ReceiptsResult {
  readonly perSecond: number
  readonly latency: Times
  readonly busy: number
  readonly load: number
  readonly faults: Faults
}

/** What all publishers have sent, and what they were told of it. */
class Ledger {
  readonly latencies = new Latencies()
  readonly faults = noFaults()
  sent = 0
  /** Offsets that were given to somebody. */
  readonly offsets = new Set<number>()
  sending = true

  take(head: string, last: number): number {
    const id = headerOf(head, 'message-id') ?? ''
    const offset = Number(id.slice(id.lastIndexOf('-') + 1))
    if (this.offsets.has(offset)) this.faults.repeated++
    else if (!(offset > last)) this.faults.reordered++
    this.offsets.add(offset)
    return offset
  }
}

/** Keeps as many SENDs under way as there may be; resolves when the last RECEIPT is there. */
const publish = async (client: Client, bytes: Buffer, outstanding: number, ledger: Ledger): Promise<void> => {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const due: number[] = []
  let last = -1
  client.onEnd = reject
  const send = (): void => {
    due.push(now())
    ledger.sent++
    client.write(bytes)
  }
  client.onReceipt = head => {
    ledger.latencies.add(now() - due.shift()!)
    last = ledger.take(head, last)
    if (ledger.sending) send()
    else if (due.length === 0) resolve()
  }
  for (let i = 0; i < outstanding; i++) send()
  await promise
}

/** Publishers that each wait for their RECEIPTs: how many a second, and how long they wait. */
export const receipts = async (plan: ReceiptsPlan): Promise<ReceiptsResult> => {
  const { endpoint, destination, publishers, outstanding, pid, seconds } = plan
  const clients = await Promise.all(Array.from({ length: publishers }, () => Client.connect(endpoint)))
  const headers = { destination, 'receipt': 'r', 'content-length': String(BODY_BYTES) }
  const bytes = masked(frame('SEND', headers, 'hoofbeat '.repeat(BODY_BYTES).slice(0, BODY_BYTES)))
  const during = async (time: number): Promise<{ ledger: Ledger; took: number }> => {
    const ledger = new Ledger()
    const start = performance.now()
    setTimeout(() => (ledger.sending = false), time * 1000)
    await Promise.all(clients.map(client => publish(client, bytes, outstanding, ledger)))
    return { ledger, took: (performance.now() - start) / 1000 }
  }
  await during(1)
  const watch = new Watch(pid)
  const { ledger, took } = await during(seconds)
  const { serverCpu, load } = watch
  for (const client of clients) client.end()
  // Nobody else sends to this room, so what was sent has filled the offsets without a hole.
  const offsets = [...ledger.offsets].toSorted((a, b) => a - b)
  ledger.faults.lost = ledger.sent - offsets.length
  ledger.faults.damaged = Math.abs(offsets.at(-1)! - offsets[0]! + 1 - offsets.length)
  const { latencies, faults, sent } = ledger
  return { perSecond: sent / took, latency: latencies.times(), busy: serverCpu / took, load, faults }
}
