/**
 * The load generator: a process of its own, with a core of its own where there are two. It runs one load as its
 * argument (JSON) says, and prints one line of JSON with what it found.
 */
import { connecting } from './load/connecting.ts'
import { fanOut } from './load/fan-out.ts'
import { idle } from './load/idle.ts'
import { listing } from './load/listing.ts'
import { manyRooms } from './load/many-rooms.ts'
import { newcomers } from './load/newcomers.ts'
import { receipts } from './load/receipts.ts'
import { crowd, resume } from './load/returning.ts'
import { revoking } from './load/revoking.ts'
import { seeing } from './load/seeing.ts'
import { signingIn } from './load/signing-in.ts'
import { subscribing } from './load/subscribing.ts'
import { touring } from './load/touring.ts'

const product = { listing, revoking, seeing, signingIn, subscribing, touring }
const loads = { 'fan-out': fanOut, 'idle': idle, connecting, crowd, manyRooms, newcomers, receipts, resume, ...product }

export type Loads = typeof loads
export type LoadName = keyof Loads

if (import.meta.main) {
  const { load, plan } = JSON.parse(process.argv[2] ?? '{}') as { load: LoadName; plan: never }
  const result = await loads[load](plan)
  process.stdout.write(`${JSON.stringify(result)}\n`)
  process.exit(0)
}
