import fc from 'fast-check'
import t from 'tap'
import { fail, type HoofbeatError } from '../errors.ts'
import type { Position } from '../ports/room-log.ts'
import type { Version } from '../stomp/frame.ts'
import { bare } from '../stomp/framing.ts'
import { ModelLog, type Life } from '../testkit/model-log.ts'
import { Reader } from '../testkit/reader.ts'
import { ackId } from './style.ts'
import { parseMessageId } from './destination.ts'
import { Hub } from './hub.ts'
import type { Start } from './start.ts'
import type { Subscription } from './subscription.ts'

const ROOM = 'room'
const meter = { add() {}, observe() {} }
const logger = { debug() {}, info() {}, warn() {}, error() {} }
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** A subscriber, all it was told and all it got. */
class Client {
  readonly reader = new Reader()
  readonly start: Start
  subscription: Subscription | undefined
  recovered: boolean | undefined
  first: string | undefined
  ended: HoofbeatError | undefined
  left = false
  framesAtEnd = -1
  /** Where it was told that it begins, and whether the room had been made anew by then. */
  joined: { epoch: string; next: bigint; old: boolean } | undefined
  #acked = 0

  constructor(start: Start) {
    this.start = start
  }

  acknowledge(): void {
    const { frames } = this.reader
    while (this.#acked < frames.length)
      this.subscription!.acknowledge(frames[this.#acked++]!.headers.get('message-id')!)
  }

  leave(): void {
    this.left = true
    this.subscription?.end()
    this.framesAtEnd = this.reader.frames.length
  }
}

interface Joining {
  readonly start: Start
  readonly window: number | undefined
  readonly version: Version
  readonly name: string
}

/** The fan-out, a model log and its clients, moved by steps. */
class World {
  readonly log = new ModelLog()
  readonly hub: Hub
  readonly lives = new Map<string, Life>()
  readonly clients: Client[] = []
  readonly positions: Position[] = []
  #texts = 0

  constructor(recentBytes: number) {
    this.hub = new Hub({ log: this.log, meter, logger, recentBytes, idleMs: 0, retryMs: 0 })
    this.make()
    this.log.held = true
  }

  make(): void {
    const life = this.log.make(ROOM)
    this.lives.set(life.epoch, life)
  }

  add(count: number, gap: number): void {
    if (!this.log.rooms.has(ROOM)) this.make()
    const texts = Array.from({ length: count }, () => `${this.#texts++}`)
    this.positions.push(...this.log.add(ROOM, texts, gap))
  }

  get life(): Life | undefined {
    return this.log.rooms.get(ROOM)
  }

  join({ start, window, version, name }: Joining): void {
    const client = new Client(start)
    this.clients.push(client)
    const style = { version, framing: bare, subscription: name, acks: window !== undefined }
    const joining = this.hub.subscribe(ROOM, start, {
      style,
      outlet: client.reader,
      meter,
      ...(window === undefined ? {} : { window }),
      onEnd: error => {
        if ((client.left && client.subscription) || client.ended) throw new Error('ended twice')
        client.ended = error
        client.framesAtEnd = client.reader.frames.length
      },
    })
    joining.then(
      ({ subscription, recovered, first }) => {
        if (client.left) return subscription.end()
        client.subscription = subscription
        client.recovered = recovered
        client.first = first
        client.joined = this.#placeOf(client)
      },
      (error: HoofbeatError) => {
        client.ended = error
        client.framesAtEnd = client.reader.frames.length
      },
    )
  }

  /** As the client knows it. Whoever asked for now or the last n is told nothing: that is where the subscription is. */
  #placeOf({ start, recovered, first, subscription }: Client): Client['joined'] {
    let { epoch, next } = subscription!
    if (first !== undefined) ({ epoch, offset: next } = parseMessageId(first)!)
    else if (recovered && start !== 'now' && 'after' in start && start.after !== 'unknown') {
      epoch = start.after.epoch
      next = start.after.offset + 1n
    }
    return { epoch, next, old: this.lives.get(epoch) !== this.life }
  }

  /** Lets everything finish. */
  async settle(): Promise<void> {
    this.log.held = false
    for (const client of this.clients) client.reader.open = true
    for (let turns = 0, quiet = 0; quiet < 20; turns++) {
      if (turns > 5_000) throw new Error('it does not come to rest')
      for (const call of [...this.log.calls]) call.step()
      this.log.show(ROOM)
      for (const client of this.clients) if (client.subscription) client.acknowledge()
      await turn()
      quiet = this.#atRest() ? quiet + 1 : 0
    }
  }

  #atRest(): boolean {
    const inside = this.clients.some(({ ended, left }) => ended === undefined && !left)
    return this.clients.every(atRest) && this.log.calls.length === 0 && (!inside || this.log.tails.size > 0)
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.leave()
    for (let turns = 0; (this.hub.rooms > 0 || this.log.tails.size > 0) && turns < 20_000; turns++) await turn()
    if (this.hub.rooms > 0 || this.log.tails.size > 0 || this.hub.recentBytes !== 0) {
      throw new Error(
        `left behind: ${this.hub.rooms} rooms, ${this.log.tails.size} tails, ${this.hub.recentBytes} bytes`,
      )
    }
  }
}

const atRest = ({ ended, left, subscription }: Client): boolean =>
  ended !== undefined || left || (subscription?.live === true && !subscription.catchingUp)

// ── What must have been received ──

const wrong = (what: string): never => {
  throw new Error(what)
}

/** Whether all records of `life` in [from, to) have been removed. */
const removed = (life: Life, from: bigint, to: bigint): boolean =>
  life.all.every(({ offset }) => offset < from || offset >= to || offset < life.first)

const checkStart = (world: World, client: Client): void => {
  const { start, recovered, joined } = client
  if (!joined || start === 'now' || 'last' in start) return
  const life = world.lives.get(joined.epoch)!
  const { after } = start
  if (recovered === true) return
  if (after === 'unknown' || after.epoch !== joined.epoch || after.offset >= life.next || joined.old) return
  if (after.offset + 1n <= joined.next && removed(life, after.offset + 1n, joined.next)) return
  wrong(`jumps from ${after.offset} to ${joined.next}`)
}

/** Follows what the client got: the next record of the log, each time, or a jump that it is told of and that had to be. */
const checkReceived = (world: World, client: Client): void => {
  if (!client.joined) return client.reader.frames.length > 0 ? wrong('never joined') : undefined
  let { epoch, next } = client.joined
  for (const { headers, body } of client.reader.frames) {
    const id = parseMessageId(headers.get('message-id')!)!
    const life = world.lives.get(id.epoch)!
    if (headers.get('recovered') === 'false') {
      const first = parseMessageId(headers.get('first')!)!
      if (first.epoch !== id.epoch) wrong('first of another epoch')
      if (first.epoch === epoch ? first.offset < next : false) wrong('goes back')
      if (!removed(life, first.epoch === epoch ? next : 0n, first.offset))
        wrong(`jumps over records to ${first.offset}`)
      epoch = first.epoch
      next = first.offset
    }
    if (id.epoch !== epoch) wrong(`${id.epoch} without notice`)
    const expected = life.all.find(({ offset }) => offset >= next)
    if (expected?.offset !== id.offset || !expected.body.equals(body)) wrong(`${id.offset}, not ${expected?.offset}`)
    const ack =
      client.subscription!.options.window === undefined
        ? undefined
        : ackId(headers.get('message-id')!, headers.get('subscription'))
    if (headers.get('ack') !== ack) wrong('another ack')
    next = id.offset + 1n
  }
  if (client.ended || client.left) {
    if (client.reader.frames.length !== client.framesAtEnd) wrong('got something after its end')
    return
  }
  if (epoch !== world.life!.epoch) wrong(`stays in ${epoch}`)
  if (world.life!.all.some(({ offset }) => offset >= next)) wrong(`stays at ${next}`)
}

// ── The steps ──

type Step = (world: World) => void | Promise<void>
const named = (name: string, step: Step): Step =>
  Object.assign(step, { toString: () => name, [fc.toStringMethod]: () => name })
const small = fc.nat({ max: 5 })
const pick = <T>(list: readonly T[], i: number): T | undefined => list[i % list.length]

const start = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ name: 'now', of: (): Start => 'now' }) },
  { weight: 2, arbitrary: small.map(n => ({ name: `last ${n + 1}`, of: (): Start => ({ last: n + 1 }) })) },
  { weight: 1, arbitrary: fc.constant({ name: 'after unknown', of: (): Start => ({ after: 'unknown' }) }) },
  {
    weight: 4,
    arbitrary: fc.nat(60).map(back => ({
      name: `after ${back} back`,
      of: ({ positions }: World): Start => ({
        after: positions[Math.max(0, positions.length - 1 - back)] ?? 'unknown',
      }),
    })),
  },
)

const steps: { weight: number; arbitrary: fc.Arbitrary<Step> }[] = [
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.integer({ min: 1, max: 12 }), fc.constantFrom(0, 0, 0, 1, 3))
      .map(([n, gap]) => named(`add ${n} gap ${gap}`, world => world.add(n, gap))),
  },
  { weight: 1, arbitrary: small.map(n => named(`hole ${n}`, ({ life }) => void (life && (life.next += BigInt(n))))) },
  {
    weight: 5,
    arbitrary: fc.integer({ min: 1, max: 12 }).map(n => named(`show ${n}`, ({ log }) => log.show(ROOM, n))),
  },
  { weight: 12, arbitrary: small.map(i => named(`step ${i}`, ({ log }) => pick(log.calls, i)?.step())) },
  {
    weight: 1,
    arbitrary: small.map(i => named(`refuse ${i}`, ({ log }) => pick(log.calls, i)?.refuse(fail('LOG_UNAVAILABLE')))),
  },
  { weight: 2, arbitrary: fc.constant(named('break', ({ log }) => log.breakOff(ROOM))) },
  {
    weight: 1,
    arbitrary: small.map(n =>
      named(`retain ${n}`, ({ log, life }) => void (life && log.remove(ROOM, life.all.at(-1 - n * 3)?.offset ?? 0n))),
    ),
  },
  { weight: 1, arbitrary: fc.constant(named('anew', world => world.make())) },
  {
    weight: 0.3,
    arbitrary: fc.constant(named('remove', async ({ log, life }) => void (life && (await log.remove(ROOM))))),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        start,
        fc.constantFrom(undefined, undefined, 1, 3, 10),
        fc.constantFrom('1.1' as const, '1.2' as const),
        small,
      )
      .map(([start, window, version, i]) =>
        named(`join ${start.name} window ${window} ${version} s${i % 2}`, world =>
          world.join({ start: start.of(world), window, version, name: `s${i % 2}` }),
        ),
      ),
  },
  {
    weight: 2,
    arbitrary: small.map(i =>
      named(`shut ${i}`, ({ clients }) => void (clients.length > 0 && (pick(clients, i)!.reader.open = false))),
    ),
  },
  {
    weight: 2,
    arbitrary: small.map(i =>
      named(`open ${i}`, ({ clients }) => void (clients.length > 0 && (pick(clients, i)!.reader.open = true))),
    ),
  },
  {
    weight: 2,
    arbitrary: small.map(i =>
      named(`ack ${i}`, ({ clients }) => void (pick(clients, i)?.subscription && pick(clients, i)!.acknowledge())),
    ),
  },
  { weight: 1, arbitrary: small.map(i => named(`leave ${i}`, ({ clients }) => pick(clients, i)?.leave())) },
  { weight: 8, arbitrary: fc.constant(named('turn', turn)) },
]

const weighted = steps.map(({ weight, arbitrary }) => ({ weight: Math.round(weight * 10), arbitrary }))

const runs = Number(process.env['FANOUT_RUNS'] ?? 600)
t.setTimeout(Math.max(60_000, runs * 100))

void t.test('whatever happens in whatever order, each gets every record once, in order, or is told', async t => {
  const seed = process.env['FANOUT_SEED']
  const property = fc.asyncProperty(
    fc.constantFrom(0, 2_000, 6_000, 1 << 20),
    fc.array(fc.oneof(...weighted), { minLength: 5, maxLength: 60, size: 'max' }),
    async (recentBytes, steps) => {
      const world = new World(recentBytes)
      for (const step of steps) {
        await step(world)
        if (world.hub.recentBytes > recentBytes) wrong(`${world.hub.recentBytes} bytes are kept`)
      }
      await world.settle()
      // A record that all get shows that nothing is on its way to them.
      world.add(1, 0)
      await world.settle()
      for (const client of world.clients) {
        checkStart(world, client)
        checkReceived(world, client)
      }
      await world.close()
    },
  )
  await fc.assert(property, { numRuns: runs, ...(seed === undefined ? {} : { seed: Number(seed) }) })
  t.pass(`${runs} runs`)
})
