/** A worker thread: many clients that come back to a room at once. Its data is a `Returning`. */
import { once } from 'node:events'
import { parentPort, workerData } from 'node:worker_threads'
import { addFaults, noFaults, type Faults } from './checker.ts'
import { settled } from './clock.ts'
import { comeBack, type ComingBack } from './coming-back.ts'

export interface Returning extends ComingBack {
  readonly clients: number
}
/** What it is told, once: everything that was sent, by stream. */
export interface CrowdOrder {
  readonly sent: readonly number[]
}
/** What it says, in this order. `ms`: from the first connect until everyone has had what they missed. */
export type CrowdWord =
  | { readonly kind: 'caught-up'; readonly ms: number }
  | { readonly kind: 'faults'; readonly faults: Faults }

const PATIENCE_MS = 30_000

const say = (word: CrowdWord): void => parentPort!.postMessage(word)

const plan = workerData as Returning
const start = performance.now()
const returned = await Promise.all(Array.from({ length: plan.clients }, () => comeBack(plan)))
await Promise.all(returned.map(({ caughtUp }) => caughtUp))
say({ kind: 'caught-up', ms: performance.now() - start })

const [{ sent }] = (await once(parentPort!, 'message')) as [CrowdOrder]
const each = sent.reduce((sum, messages, stream) => sum + messages - plan.from.sent[stream]!, 0)
const messages = (): number => returned.reduce((sum, { checker }) => sum + checker.messages, 0)
await settled(() => messages() >= each * plan.clients, messages, PATIENCE_MS)
const faults = noFaults()
for (const { client, checker } of returned) {
  checker.countLost(stream => sent[stream]!)
  addFaults(faults, checker.faults)
  client.end()
}
say({ kind: 'faults', faults })
