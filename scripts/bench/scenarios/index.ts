import type { Bench } from '../bench.ts'
import type { Findings } from '../report/report.ts'
import { connections } from './connections.ts'
import { fanOut } from './fan-out.ts'
import { manyRooms } from './many-rooms.ts'
import { newcomers } from './newcomers.ts'
import { nodes } from './nodes.ts'
import { parser } from './parser.ts'
import { product } from './product.ts'
import { receipts } from './receipts.ts'
import { returning } from './returning.ts'
import { rooms } from './rooms.ts'

/** All of them, in the order in which they run. */
export const scenarios: Readonly<Record<string, (bench: Bench) => Promise<Findings>>> = {
  fanout: fanOut,
  rooms,
  connections,
  receipts,
  nodes,
  newcomers,
  many: manyRooms,
  returning,
  product,
  parser,
}
