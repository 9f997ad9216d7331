import type { Outlet } from '../fanout/subscription.ts'
import type { Meter } from '../ports/meter.ts'
import type { Transport } from './transport.ts'
import type { Turn } from './turn.ts'

/** Small parts are joined into writes of up to this size; beyond it a copy costs more than the system call that it saves. */
const WRITE_BYTES = 16 * 1024

/**
 * What waits for a connection's transport: whole frames, written once an event-loop turn, all that gathered at once. At
 * most about 64 KiB are in the socket's own stream; the rest is here, where MESSAGE frames can still be dropped.
 */
export class Outbox implements Outlet {
  readonly #transport: Transport
  readonly #turn: Turn
  readonly #meter: Meter
  readonly #highWater: number
  #parts: Buffer[] = []
  #bytes = 0
  /** Those of the parts that are no MESSAGE frames; absent where there are none, as most of the time. */
  #answers: Set<Buffer> | undefined
  #answerBytes = 0
  #scheduled = false
  #listeners: (() => void)[] = []
  #finished: (() => void) | undefined
  /** When the socket last took something, or had nothing to take, epoch ms. */
  progress = Date.now()
  /** Called before anything is written. */
  beforeWrite: () => void = () => {}
  /** When something was last handed to the socket, epoch ms. */
  lastWrite = Date.now()
  readonly #flush = (): void => this.flush()

  constructor(options: { transport: Transport; turn: Turn; meter: Meter; highWater: number }) {
    this.#transport = options.transport
    this.#turn = options.turn
    this.#meter = options.meter
    this.#highWater = options.highWater
  }

  /** Bytes that wait, in the socket's stream too. */
  get size(): number {
    return this.#bytes + this.#transport.buffered
  }

  get open(): boolean {
    return this.size < this.#highWater
  }

  /** Whether so much of what cannot be dropped waits that nothing should be asked that calls for more of it. */
  get crowded(): boolean {
    return this.#answerBytes >= this.#highWater
  }

  /** For how many ms the socket has taken nothing of what waits. Asked every so often, or it does not know. */
  stuckFor(now: number): number {
    if (this.size === 0) this.progress = now
    return now - this.progress
  }

  push(bytes: Buffer, frames: number): void {
    this.#meter.add('deliveries', frames)
    this.#add(bytes)
  }

  /** Takes a frame that is no MESSAGE: it is never dropped. */
  answer(bytes: Buffer): void {
    this.#answers ??= new Set()
    this.#answers.add(bytes)
    this.#answerBytes += bytes.length
    this.#add(bytes)
  }

  #add(bytes: Buffer): void {
    this.#parts.push(bytes)
    this.#bytes += bytes.length
    this.#schedule()
  }

  whenOpen(listener: () => void): void {
    this.#listeners.push(listener)
    this.#schedule()
  }

  /** Drops the MESSAGE frames that wait. */
  dropMessages(): void {
    this.#parts = this.#parts.filter(part => this.#answers?.has(part))
    this.#bytes = this.#parts.reduce((sum, part) => sum + part.length, 0)
  }

  /** Drops the MESSAGE frames that wait and have `line` among their headers. What waits in one part has one destination. */
  dropLine(line: string): void {
    const wanted = `\n${line}`
    this.#parts = this.#parts.filter(part => this.#answers?.has(part) || !firstHead(part).includes(wanted))
    this.#bytes = this.#parts.reduce((sum, part) => sum + part.length, 0)
    // It may be open now for those who wait for that.
    this.#schedule()
  }

  /** Calls `finished` when all has been handed to the socket. */
  finish(finished: () => void): void {
    this.#finished = finished
    this.#schedule()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#turn.schedule(this.#flush)
  }

  /** The socket has taken all that was written. */
  drained(): void {
    this.progress = Date.now()
    this.flush()
  }

  /** Writes what the socket takes now. */
  flush(): void {
    this.#scheduled = false
    this.beforeWrite()
    const parts = this.#parts
    let at = 0
    while (at < parts.length && !this.#transport.full) at = this.#write(parts, at)
    if (at < parts.length) parts.splice(0, at)
    else if (at > 0) this.#parts = []
    if (this.#listeners.length > 0 && this.size < this.#highWater / 2) this.#call()
    if (this.#finished && this.#parts.length === 0) this.#finished()
  }

  /** Writes parts from `at` on as one piece; returns where it ended. */
  #write(parts: readonly Buffer[], at: number): number {
    let to = at + 1
    let length = parts[at]!.length
    while (to < parts.length && length + parts[to]!.length <= WRITE_BYTES) length += parts[to++]!.length
    if (this.#answers) this.#answered(this.#answers, parts, at, to)
    const piece = to === at + 1 ? parts[at]! : this.#turn.join(parts.slice(at, to), length)
    this.#transport.write(piece)
    this.#bytes -= length
    this.#meter.add('bytesOut', length)
    this.lastWrite = this.progress = Date.now()
    return to
  }

  #answered(answers: Set<Buffer>, parts: readonly Buffer[], from: number, to: number): void {
    for (let i = from; i < to; i++) if (answers.delete(parts[i]!)) this.#answerBytes -= parts[i]!.length
    if (answers.size === 0) this.#answers = undefined
  }

  #call(): void {
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) listener()
  }
}

/** The first MESSAGE's head. What lies before it, such as its length on a WebSocket, may look like an empty line. */
const firstHead = (part: Buffer): Buffer => {
  const start = part.indexOf('MESSAGE\n')
  return part.subarray(start, part.indexOf('\n\n', start) + 1)
}
