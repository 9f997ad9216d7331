import type { Message, Outgoing, Problem, RoomId } from './message.ts'
import { Timeline } from './timeline.ts'

/** What a room looks like now. Immutable. */
export interface RoomView {
  /** `joining` only until the first time that the server lets us in: later breaks are the connection's matter. */
  readonly is: 'joining' | 'joined' | 'refused'
  /** Why it is refused. */
  readonly problem?: Problem
  /** In the order of the room's log. */
  readonly messages: readonly Message[]
  /** Ours that are not known to be in the room, in the order of writing. */
  readonly outgoing: readonly Outgoing[]
  /** Messages after the newest one can no longer be had. */
  readonly broken: boolean
}

/** How many of the newest messages to ask for in the first place, and where nothing was seen since. */
const FIRST = 50
const SINCE_EMPTY = 1000
/** How far the clocks of a client and of the log may be apart for one to recognize its own message, ms. */
const SKEW = 120_000

/** One room that we are in, across all the connections that it takes. */
export class Room {
  readonly id: RoomId
  readonly #timeline: Timeline
  /** The newest message that came over a subscription: everything before it has come too. */
  #seen: string | undefined
  #most = SINCE_EMPTY
  #is: RoomView['is'] = 'joining'
  #problem: Problem | undefined
  /** Own messages (by key) that seem to have come over the room (by id) before their RECEIPT. */
  readonly #echoes = new Map<string, string>()
  #view: { readonly from: readonly unknown[]; readonly view: RoomView } | undefined

  constructor(id: RoomId, keep: number) {
    this.id = id
    this.#timeline = new Timeline(keep)
  }

  get refused(): boolean {
    return this.#is === 'refused'
  }

  /** What a SUBSCRIBE says so that nothing is missed and nothing repeated. */
  resumeHeaders(): Record<string, string> {
    if (this.#seen !== undefined) return { after: this.#seen }
    return { last: String(this.#newest) }
  }

  joined(headers: Readonly<Record<string, string>>): void {
    this.#is = 'joined'
    this.#problem = undefined
    this.#resumed(headers)
  }

  refuse(problem: Problem): void {
    // A server may give fewer of the newest messages than we ask for by habit.
    if (problem.code === 'BAD_HEADER' && this.#seen === undefined && this.#most > 1) {
      this.#most = this.#newest > FIRST ? FIRST : Math.ceil(this.#newest / 7)
      return
    }
    this.#is = 'refused'
    this.#problem = problem
  }

  /** Tries again after a refusal. */
  reopen(): void {
    this.#is = 'joining'
    this.#problem = undefined
  }

  /**
   * A MESSAGE of this room. `own` are our unsent messages of this room where we are the sender. Answers the one of them
   * that this must be, long after it was sent.
   */
  receive(message: Message, headers: Readonly<Record<string, string>>, own: readonly Outgoing[]): Outgoing | undefined {
    this.#resumed(headers)
    this.#seen = message.id
    if (!this.#timeline.add(message)) return undefined
    const echo = own.find(
      ({ key, body, attempted, created }) =>
        attempted !== undefined && !this.#echoes.has(key) && body === message.body && message.time > created - SKEW,
    )
    if (!echo) return undefined
    this.#echoes.set(echo.key, message.id)
    this.#timeline.own(message.id, echo.key)
    if (!echo.failed) return undefined
    this.#echoes.delete(echo.key)
    return echo
  }

  /** The server has put our message into the room as `id`. */
  delivered({ key, body }: Outgoing, id: string, sender: string, now: number): void {
    const echo = this.#echoes.get(key)
    this.#echoes.delete(key)
    if (echo === id) return
    if (echo !== undefined) this.#timeline.disown(echo, key)
    if (!this.#timeline.own(id, key)) this.#timeline.add({ id, sender, time: now, body, key })
  }

  view(unsent: readonly Outgoing[]): RoomView {
    const from = [this.#is, this.#problem, this.#timeline.messages, this.#timeline.broken, unsent, this.#echoes.size]
    if (this.#view?.from.every((part, index) => part === from[index])) return this.#view.view
    const view: RoomView = {
      is: this.#is,
      ...(this.#problem ? { problem: this.#problem } : {}),
      messages: this.#timeline.messages,
      outgoing: unsent.filter(({ key }) => !this.#echoes.has(key)),
      broken: this.#timeline.broken,
    }
    this.#view = { from, view }
    return view
  }

  /** How many of the newest messages to ask for. */
  get #newest(): number {
    return Math.min(this.#most, this.#is === 'joined' ? SINCE_EMPTY : FIRST)
  }

  #resumed(headers: Readonly<Record<string, string>>): void {
    if (headers['recovered'] === 'false') this.#timeline.restart(headers['first'])
  }
}
