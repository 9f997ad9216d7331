import type { Target } from '../../server/testkit/probe.ts'
import type { Case } from './acts.ts'
import { FuzzClient, type Scene } from './client.ts'
import type { ModelLimits } from './connection.ts'
import { Peer } from './peer.ts'
import { Room, Sent } from './room.ts'
import { valueOf } from './server-stream.ts'

/** How long an answer may take, ms. */
const PATIENCE = 30_000

/** The limits that a node is tried with: small, so that they are met. */
export const fuzzLimits: ModelLimits = {
  bodyBytes: 4096,
  headers: 16,
  headerBytes: 256,
  subscriptions: 8,
  transactions: 3,
  transactionBytes: 65_536,
  window: 5,
  lastMax: 20,
}

/** The environment of a node with them, where nothing but what a client sends decides about its answers. */
export const fuzzEnvironment: Readonly<Record<string, string>> = {
  ACCESS: 'open',
  BODY_BYTES: String(fuzzLimits.bodyBytes),
  HEADERS: String(fuzzLimits.headers),
  HEADER_BYTES: String(fuzzLimits.headerBytes),
  SUBSCRIPTIONS: String(fuzzLimits.subscriptions),
  TRANSACTIONS: String(fuzzLimits.transactions),
  TRANSACTION_BYTES: String(fuzzLimits.transactionBytes),
  WINDOW: String(fuzzLimits.window),
  LAST_MAX: String(fuzzLimits.lastMax),
  UNSETTLED_APPENDS: '20',
  OUTBOX_BYTES: '65536',
  RECENT_BYTES: '1048576',
  LOGIN_BYTES: '1048576',
  SENDS_PER_SECOND: '10000000',
  ROOMS_MAX: '1000000',
  ROOMS_PER_MINUTE: '1000000',
}

/** Frames that clients sent and the server did, in all cases. */
export interface Tally {
  sent: number
  received: number
  connections: number
}

/** Who sees every message of the rooms of a case, first to last: that is their order. */
class Witness {
  readonly #peer: Peer
  readonly #rooms: readonly Room[]

  constructor(peer: Peer, rooms: readonly Room[]) {
    this.#peer = peer
    this.#rooms = rooms
  }

  async join(): Promise<void> {
    const subscribe = this.#rooms.map(({ destination }, i) => `SUBSCRIBE\nid:${i}\ndestination:${destination}\n\n\0`)
    await this.#peer.send(Buffer.from(`CONNECT\naccept-version:1.2\nlogin:witness\n\n\0${subscribe.join('')}`))
  }

  /** Sends a message to every room: it comes after everything that was done before. */
  async mark(number: () => number): Promise<Sent[]> {
    const marks = this.#rooms.map(
      room => new Sent(room, 'witness', [['n', String(number())]], Buffer.alloc(0), undefined),
    )
    for (const mark of marks) mark.room.add(this, [mark])
    const frames = marks.map(({ room, headers }) => `SEND\ndestination:${room.destination}\nn:${headers[0]![1]}\n\n\0`)
    await this.#peer.send(Buffer.from(frames.join('')))
    return marks
  }

  /** Looks at what has come. Always true. */
  look(): boolean {
    for (const frame of this.#peer.frames) {
      if (frame.command === 'ERROR') throw new Error(`the witness got ${frame.lines.join()}`)
      if (frame.command === 'MESSAGE') this.#rooms[Number(valueOf(frame, 'subscription'))]!.see(frame)
    }
    this.#peer.frames = []
    if (this.#peer.closed) throw new Error('the witness has lost its connection')
    return true
  }

  close(): void {
    this.#peer.destroy()
  }
}

/** Resolves when something holds that is looked at whenever something has come to anyone. */
class Notice {
  readonly #waiting = new Set<() => void>()
  readonly #patience: number
  constructor(patience: number) {
    this.#patience = patience
  }
  readonly notify = (): void => {
    for (const look of this.#waiting) look()
  }
  readonly until = (condition: () => boolean, what: () => string): Promise<void> =>
    new Promise((resolve, reject) => {
      const settle = (done: () => void): void => {
        this.#waiting.delete(look)
        clearTimeout(timer)
        done()
      }
      const look = (): void => {
        try {
          if (condition()) settle(resolve)
        } catch (error) {
          settle(() => reject(error))
        }
      }
      const timer = setTimeout(() => settle(() => reject(new Error(`waited for ${what()}`))), this.#patience)
      this.#waiting.add(look)
      look()
    })
}

let cases = 0

/** Plays a case against the node at `target`. Rejects where anything comes that should not, or does not that should. */
export const play = async (
  target: Target,
  { clients, rounds }: Case,
  tally: Tally,
  patience = PATIENCE,
): Promise<void> => {
  const name = `${(++cases).toString(36)}${Math.random().toString(36).slice(2, 10)}`
  const names = [name, `${name}/../a:b_c.d-e//`, `${name}-`.padEnd(120, 'x')]
  const rooms = names.map(each => new Room(each, true))
  const others = new Map<string, Room>()
  const roomOf = (wanted: string): Room => {
    const room = rooms.find(each => each.name === wanted) ?? others.get(wanted) ?? new Room(wanted, false)
    if (!rooms.includes(room)) others.set(wanted, room)
    return room
  }
  let counter = 0
  const number = (): number => ++counter
  const notice = new Notice(patience)
  // What the witness has seen comes first: the others are held against it.
  const until: Scene['until'] = (condition, what) => notice.until(() => witness.look() && condition(), what)
  const { notify } = notice
  const scene: Scene = { target, limits: fuzzLimits, rooms, roomOf, number, until, notify }
  const peer = await Peer.open('tcp', target)
  peer.onChange = notify
  const witness = new Witness(peer, rooms)
  const all = clients.map(client => new FuzzClient(scene, client))
  /** Resolves when the witness has seen what was done before; gives how many messages each room had by then. */
  const mark = async (): Promise<Map<Room, number>> => {
    const marks = await witness.mark(number)
    await until(
      () => marks.every(({ index }) => index !== undefined),
      () => 'the witness',
    )
    return new Map(marks.map(({ room, index }) => [room, index! + 1]))
  }
  try {
    await witness.join()
    await mark()
    await Promise.all(all.map(client => client.connect()))
    for (const round of rounds) await playRound(all, round, mark)
    await until(
      () => all.every(client => client.hasNothingMissing()),
      () => 'messages of who has left',
    )
    for (const room of rooms) room.checkWhole()
    for (const client of all) client.checkClaims()
  } finally {
    witness.close()
    for (const client of all) {
      client.close()
      tally.sent += client.sent
      tally.received += client.received
      tally.connections += client.connections
    }
  }
}

const playRound = async (
  clients: readonly FuzzClient[],
  round: Case['rounds'][number],
  mark: () => Promise<Map<Room, number>>,
): Promise<void> => {
  const burst = async (client: FuzzClient, index: number): Promise<void> => {
    if (!client.alive) await client.connect()
    for (const [number, act] of round) if (number % clients.length === index) await client.act(act)
    await client.finish()
  }
  await Promise.all(clients.map(burst))
  await Promise.all(clients.map(client => client.settle()))
  const counts = await mark()
  await Promise.all(clients.map(client => client.deliver(counts)))
}
