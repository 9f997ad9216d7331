import { fail } from '../errors.ts'
import type { NewRecord, RoomId } from '../ports/room-log.ts'
import { DONE, type FrameHandler } from './connection.ts'
import { required } from './headers.ts'
import { appendInOrder } from './send.ts'

/** What a parked SEND costs beside its text, bytes: empty ones are not free. */
const OVERHEAD = 256

interface Transaction {
  readonly sends: { readonly room: RoomId; readonly record: NewRecord }[]
  readonly acks: (() => void)[]
  bytes: number
}

/** The open transactions of one connection: SENDs and ACKs that take effect, in order, at COMMIT. */
export class Transactions {
  /** Made when one is begun: few connections ever do. */
  #open: Map<string, Transaction> | undefined
  readonly #most: number
  readonly #mostBytes: number
  #bytes = 0

  constructor(limits: { readonly most: number; readonly bytes: number }) {
    this.#most = limits.most
    this.#mostBytes = limits.bytes
  }

  begin(name: string): void {
    this.#open ??= new Map()
    if (this.#open.has(name)) throw fail('DUPLICATE_TRANSACTION', name)
    if (this.#open.size >= this.#most) throw fail('TOO_MANY_TRANSACTIONS')
    this.#open.set(name, { sends: [], acks: [], bytes: 0 })
  }

  parkSend(name: string, room: RoomId, record: NewRecord): void {
    const transaction = this.#find(name)
    transaction.sends.push({ room, record })
    this.#park(transaction, sizeOf(record))
  }

  parkAck(name: string, acknowledge: () => void): void {
    const transaction = this.#find(name)
    transaction.acks.push(acknowledge)
    this.#park(transaction, OVERHEAD)
  }

  /** Closes a transaction and returns what it held. */
  take(name: string): Transaction {
    const transaction = this.#find(name)
    this.#open?.delete(name)
    this.#bytes -= transaction.bytes
    return transaction
  }

  #park(transaction: Transaction, bytes: number): void {
    transaction.bytes += bytes
    this.#bytes += bytes
    if (this.#bytes > this.#mostBytes) throw fail('FRAME_TOO_LARGE', 'too much in open transactions')
  }

  #find(name: string): Transaction {
    const transaction = this.#open?.get(name)
    if (!transaction) throw fail('UNKNOWN_TRANSACTION', name)
    return transaction
  }
}

const sizeOf = (record: NewRecord): number => {
  let bytes = OVERHEAD + record.body.length
  for (const [name, value] of record.headers) bytes += name.length + value.length
  return bytes
}

export const begin: FrameHandler = (connection, frame) => {
  connection.transactions.begin(required(frame, 'transaction'))
  return DONE
}

export const abort: FrameHandler = (connection, frame) => {
  connection.transactions.take(required(frame, 'transaction'))
  return DONE
}

/** COMMIT: the records of each room together or not at all; the RECEIPT comes when all rooms are durable. */
export const commit: FrameHandler = (connection, frame) => {
  const { sends, acks } = connection.transactions.take(required(frame, 'transaction'))
  for (const acknowledge of acks) acknowledge()
  if (sends.length === 0) return DONE
  const { access } = connection.around
  const asked = sends.map(async ({ room, record }) => access.maySend(connection.identity, room, record))
  const allowed = Promise.all(asked).then(answers => answers.every(Boolean))
  const rooms = Map.groupBy(sends, ({ room }) => room)
  const appends = Array.from(rooms, async ([room, parked]) => {
    const records = parked.map(({ record }) => record)
    const { settled } = await appendInOrder(connection, room, records, allowed)
    await settled
  })
  return Promise.all(appends).then(() => DONE)
}
