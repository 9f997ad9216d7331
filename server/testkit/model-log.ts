import { fail } from '../errors.ts'
import type { Bounds, Epoch, LogRecord, NewRecord, Offset, Position, RoomId } from '../ports/room-log.ts'
import type { RoomLog, Sink, Tail } from '../ports/room-log.ts'

/** One life of a room. `all` has what retention removed too: a tail may show it a little longer. */
export interface Life {
  readonly epoch: Epoch
  readonly all: LogRecord[]
  first: Offset
  next: Offset
}

/** A call that waits: the first step looks into the log, the second answers what was seen then. */
export interface Call {
  readonly method: 'tail' | 'read' | 'bounds' | 'create'
  readonly room: RoomId
  step(): void
  /** Rejects it, unless it has looked: then it is answered. */
  refuse(error: Error): void
}

/**
 * A room log in memory that a test moves step by step: what is appended is in the log at once, but tails show it only
 * when told to, and while it is `held` a call neither looks nor answers before its step. So every interleaving that the
 * port allows can be had, in any order and again.
 */
export class ModelLog implements RoomLog {
  readonly rooms = new Map<RoomId, Life>()
  readonly calls: Call[] = []
  readonly tails = new Set<ModelTail>()
  /** How many calls came, by method. */
  readonly counts = { tail: 0, read: 0, bounds: 0, create: 0 }
  held = false
  #lives = 0

  /** Makes `room`, or makes it anew: its tails end as if the log had been away. */
  make(room: RoomId): Life {
    const life = { epoch: `e${++this.#lives}`, all: [], first: 0n, next: 0n }
    this.rooms.set(room, life)
    // No call can have seen the new life before its tails of the old one end.
    this.breakOff(room)
    return life
  }

  /** Appends a record for each text; `gap` offsets before each are left out. */
  add(room: RoomId, texts: readonly string[], gap = 0): Position[] {
    return texts.map(text => this.put(room, { body: Buffer.from(text) }, gap))
  }

  put(room: RoomId, record: Partial<NewRecord>, gap = 0): Position {
    const life = this.rooms.get(room)!
    const offset = life.next + BigInt(gap)
    life.next = offset + 1n
    life.all.push({ offset, time: 1, sender: 'ann', headers: new Map(), body: Buffer.alloc(0), ...record })
    return { epoch: life.epoch, offset }
  }

  /** Shows every tail of `room` the next `most` records that it has not shown, as one batch. */
  show(room: RoomId, most = Infinity): void {
    for (const tail of this.#tailsOf(room)) tail.show(most)
  }

  /** Ends the tails of `room`. */
  breakOff(room: RoomId, error: Error = fail('LOG_UNAVAILABLE')): void {
    for (const tail of this.#tailsOf(room)) tail.end(error)
  }

  #tailsOf(room: RoomId): ModelTail[] {
    return [...this.tails].filter(tail => tail.room === room)
  }

  /** Appends and shows, for tests that do not care. */
  say(room: RoomId, ...texts: string[]): void {
    this.add(room, texts)
    this.show(room)
  }

  create(rooms: readonly RoomId[]): Promise<void> {
    return this.#call('create', rooms[0]!, () => {
      for (const room of rooms) if (!this.rooms.has(room)) this.make(room)
    })
  }

  async append(room: RoomId, records: readonly NewRecord[]): Promise<Position[]> {
    return records.map(record => this.put(room, record))
  }

  tail(room: RoomId, from: Offset | 'end', sink: Sink): Promise<Tail> {
    return this.#call('tail', room, () => {
      const life = this.#life(room)
      const next = from === 'end' ? life.next : from < life.first || from > life.next ? life.first : from
      const tail = new ModelTail(this, room, life, next, sink)
      this.tails.add(tail)
      return tail
    })
  }

  read(room: RoomId, from: Offset, limit: number): Promise<LogRecord[]> {
    return this.#call('read', room, () => {
      const { first, all } = this.#life(room)
      return all.filter(({ offset }) => offset >= from && offset >= first).slice(0, limit)
    })
  }

  bounds(room: RoomId): Promise<Bounds> {
    return this.#call('bounds', room, () => {
      const { epoch, first, next } = this.#life(room)
      return { epoch, first, next }
    })
  }

  /** Removing all of it ends its tails; removing what lies before an offset leaves what a tail has still to show. */
  async remove(room: RoomId, before?: Offset): Promise<void> {
    const life = this.#life(room)
    if (before !== undefined) {
      if (before > life.first) life.first = before < life.next ? before : life.next
      return
    }
    this.rooms.delete(room)
    this.breakOff(room, fail('NO_SUCH_ROOM', room))
  }

  #life(room: RoomId): Life {
    const life = this.rooms.get(room)
    if (!life) throw fail('NO_SUCH_ROOM', room)
    return life
  }

  #call<T>(method: Call['method'], room: RoomId, look: () => T): Promise<T> {
    this.counts[method]++
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    let answer: (() => void) | undefined
    const drop = (): void => void this.calls.splice(this.calls.indexOf(call), 1)
    const see = (): (() => void) => {
      try {
        const seen = look()
        return () => resolve(seen)
      } catch (error) {
        return () => reject(error as Error)
      }
    }
    const call: Call = {
      method,
      room,
      step: () => {
        if (answer === undefined) return void (answer = see())
        drop()
        answer()
      },
      refuse: error => {
        // What has been seen is on its way.
        if (answer !== undefined) return call.step()
        drop()
        reject(error)
      },
    }
    this.calls.push(call)
    if (!this.held) {
      call.step()
      call.step()
    }
    return promise
  }
}

export class ModelTail implements Tail {
  readonly room: RoomId
  readonly epoch: Epoch
  readonly next: Offset
  /** The offset from which on nothing was shown. */
  at: Offset
  readonly #log: ModelLog
  readonly #life: Life
  readonly #sink: Sink

  constructor(log: ModelLog, room: RoomId, life: Life, next: Offset, sink: Sink) {
    this.#log = log
    this.room = room
    this.#life = life
    this.epoch = life.epoch
    this.at = this.next = next
    this.#sink = sink
  }

  show(most: number): void {
    const batch = this.#life.all.filter(({ offset }) => offset >= this.at).slice(0, most)
    if (batch.length === 0) return
    this.at = batch.at(-1)!.offset + 1n
    this.#sink.records(batch)
  }

  end(error?: Error): void {
    this.stop()
    this.#sink.end(error)
  }

  stop(): void {
    this.#log.tails.delete(this)
  }
}
