import type { Place } from './message.ts'
import type { Random } from './random.ts'
import { Sender } from './sender.ts'
import type { SenderKind } from './sender.ts'
import type { World } from './session.ts'
import { Stranger } from './stranger.ts'
import { StompjsReader } from './stompjs-reader.ts'
import { Subscriber } from './subscriber.ts'
import type { SubscriberOptions } from './subscriber.ts'

/** How many of each there are in each room. */
export interface Crowd {
  readonly rooms: number
  readonly keyed: number
  readonly receipted: number
  readonly bare: number
  readonly plain: number
  readonly sluggish: number
  readonly acknowledging: number
  readonly lapsing: number
  readonly stompjs: number
  readonly strangers: number
  /** ms between two messages of a sender. */
  readonly every: number
}

type Kind = 'plain' | 'sluggish' | 'acknowledging' | 'lapsing'

const manner = (
  kind: Kind,
  index: number,
  random: Random,
): Pick<SubscriberOptions, 'ack' | 'sluggish' | 'lifetime'> => ({
  ack: kind !== 'acknowledging' ? 'auto' : index % 2 === 0 ? 'client' : 'client-individual',
  sluggish: kind === 'sluggish',
  ...(kind === 'lapsing' && { lifetime: () => random.integer(4_000, 20_000) }),
})

/** All clients of a run. */
export class Clients {
  readonly rooms: readonly string[]
  readonly #readers: readonly (Subscriber | StompjsReader)[]
  readonly #world: World
  /** One a room, which only says what ends a cycle. */
  readonly #callers = new Map<string, Sender>()
  readonly #senders: Sender[] = []
  readonly #strangers: Stranger[] = []
  #places = new Map<string, Place>()

  constructor(world: World, crowd: Crowd) {
    this.#world = world
    this.rooms = Array.from({ length: crowd.rooms }, (_, index) => `room${index + 1}`)
    const kinds: readonly Kind[] = ['plain', 'sluggish', 'acknowledging', 'lapsing']
    this.#readers = this.rooms.flatMap(room => [
      ...Array.from({ length: crowd.stompjs }, (_, index) => {
        return new StompjsReader(world, `stompjs reader ${index + 1} of ${room}`, room)
      }),
      ...kinds.flatMap(kind =>
        Array.from({ length: crowd[kind] }, (_, index) => {
          const name = `${kind} reader ${index + 1} of ${room}`
          return new Subscriber({ world, name, room, ...manner(kind, index, world.random) })
        }),
      ),
    ])
    for (const room of this.rooms) this.#populate(room, crowd)
  }

  /** Resolves when everybody is where they belong; from then on all senders send. */
  async ready(): Promise<void> {
    await Promise.all(this.#readers.map(({ subscribed }) => subscribed))
    await this.catchUp()
    this.cut(1)
    for (const sender of this.#senders) sender.begin()
  }

  /**
   * Says something in every room, and waits until every subscriber has it, and with it all that was said before.
   * Resolves with where that was.
   */
  async catchUp(): Promise<ReadonlyMap<string, Place>> {
    const places = new Map<string, Place>()
    this.#places = places
    await Promise.all(Array.from(this.#callers, async ([room, caller]) => places.set(room, await caller.say())))
    await Promise.all(this.#readers.map(({ inbox }) => inbox.reach(places.get(inbox.delivered.room)?.offset ?? -1)))
    return places
  }

  /** What `catchUp` still waits for. */
  get awaited(): string[] {
    const unsaid = this.rooms.filter(room => !this.#places.has(room)).map(room => `no RECEIPT in ${room}`)
    const behind = this.#readers
      .map(({ inbox: { offset, delivered } }) => ({ offset, delivered, place: this.#places.get(delivered.room) }))
      .filter(({ offset, place }) => place !== undefined && offset < place.offset)
      .map(({ offset, delivered, place }) => `${delivered.name} is at ${offset}, not ${place?.offset}`)
    return [...unsaid, ...behind]
  }

  /** Cuts a share of the connections in the middle of what they write or read; answers how many. */
  cut(share: number): number {
    const { random } = this.#world
    const readers = this.#readers.filter(() => random.chance(share))
    const writers = this.#senders.filter(() => random.chance(share))
    for (const reader of readers) reader.cutAfter(random.integer(1, 3_000))
    for (const writer of writers) writer.tear(random.next())
    return readers.length + writers.length
  }

  /** Compares what everybody was given with the log, up to the offset that `end` says of a room. */
  compare(end: (room: string) => number): void {
    for (const { inbox } of this.#readers) this.#world.ledger.compare(inbox.delivered, end(inbox.delivered.room))
  }

  /** Nothing new is sent; resolves when nothing waits for a receipt. */
  async finish(): Promise<void> {
    await Promise.all(this.#senders.map(sender => sender.finish()))
  }

  async stop(): Promise<void> {
    const all = [...this.#senders, ...this.#callers.values(), ...this.#readers, ...this.#strangers]
    await Promise.all(all.map(each => each.stop()))
  }

  #populate(room: string, crowd: Crowd): void {
    const world = this.#world
    const { every } = crowd
    const sender = (kind: SenderKind, name: string, index: number): Sender =>
      new Sender({ world, name, kind, room, atOnce: 1 + (index % 4), every })
    this.#callers.set(room, sender('keyed', `caller of ${room}`, 0))
    for (const kind of ['keyed', 'receipted', 'bare'] as const) {
      for (let index = 0; index < crowd[kind]; index++) {
        this.#senders.push(sender(kind, `${kind} sender ${index + 1} of ${room}`, index))
      }
    }
    for (let index = 0; index < crowd.strangers; index++) {
      this.#strangers.push(new Stranger({ world, name: `stranger ${index + 1} to ${room}`, room }))
    }
  }
}
