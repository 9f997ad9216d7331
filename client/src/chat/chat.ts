import { type ConnectionState, Lifeline, type LifelineOptions } from './lifeline.ts'
import { ALONE, type Company, CompanyIn } from './company.ts'
import { type Connection, type Credentials, fromJson, type Signal } from './connection.ts'
import type { Message, Outgoing, RoomId } from './message.ts'
import { Presence } from './presence.ts'
import { Room, type RoomView } from './room.ts'
import { sizeOf, type Store, Unsent } from './unsent.ts'
import { type Cause, type End, judge, type Verdict } from './verdict.ts'

export interface ChatOptions extends LifelineOptions {
  /** Whom the credentials name. What a user has not got rid of yet is kept apart by this. */
  readonly user: string
  /** Where unsent messages outlive the page, such as `localStorage`. Absent: in memory only. */
  readonly store?: Store
  /** How many of a room's messages to keep, the newest. */
  readonly keep?: number
}

/** What happened that no view shows. */
export type ChatEvent =
  /** What concerns the user. `body` is as the server says it. */
  | { readonly is: 'event'; readonly type: string; readonly body: unknown }
  /** The server says something of a room, in the room. */
  | { readonly is: 'system'; readonly room: RoomId }
  /** It is online, for the first time or again: what was told meanwhile was missed. */
  | { readonly is: 'online' }

/** How long changes are gathered before those who watch are told, ms: about one frame of a screen. */
const GATHER = 16

/**
 * A chat that goes on by itself: through lost connections, nodes that go away and reloads, every room without a gap or a
 * repeat, and every message that was handed to `send` delivered once.
 *
 * `subscribe`, `state` and `room` are made for React's useSyncExternalStore, and need no React.
 */
export class Chat {
  readonly #lifeline: Lifeline
  readonly #rooms = new Map<RoomId, Room>()
  readonly #unsent: Unsent
  readonly #keep: number
  readonly #watchers = new Set<() => void>()
  readonly #listeners = new Set<(event: ChatEvent) => void>()
  readonly #company = new Map<RoomId, CompanyIn>()
  /** Where we may say nothing fleeting, as far as we know. */
  readonly #muted = new Set<RoomId>()
  /** Who is there. */
  readonly presence = new Presence()
  #user: string
  #gathering: ReturnType<typeof setTimeout> | undefined

  constructor(options: ChatOptions) {
    this.#user = options.user
    this.#keep = options.keep ?? 2000
    this.#unsent = new Unsent(options.user, options.store)
    this.#lifeline = new Lifeline(options, {
      connected: connection => this.#connected(connection),
      message: (room, message, headers) => this.#message(room, message, headers),
      receipt: (cause, headers) => this.#receipt(cause, headers),
      signal: (room, signal) => this.#signal(room, signal),
      event: (type, body) => this.#event(type, body),
      ended: end => this.#ended(end),
      changed: () => this.#changed(),
    })
  }

  /** Calls `watcher` some milliseconds after something changed. Answers how to end that. */
  readonly subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** Immutable; the same object until it changes. */
  get state(): ConnectionState {
    return this.#lifeline.state
  }

  /** Who we are: what the credentials say, or the server, once it has. */
  get user(): string {
    return this.#user
  }

  /** Whether it connects with a token. */
  get withToken(): boolean {
    return 'token' in this.#lifeline.credentials
  }

  /** How many messages are not known to be in their rooms. */
  get unsent(): number {
    return this.#unsent.size
  }

  /** Immutable; the same object until it changes. Undefined: not joined. */
  room(id: RoomId): RoomView | undefined {
    return this.#rooms.get(id)?.view(this.#unsent.inRoom(id))
  }

  /** Calls `listener` at once with each event. Answers how to end that. */
  readonly onEvent = (listener: (event: ChatEvent) => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Who else is in a room that is listened to. Immutable; the same object until it changes. */
  company(id: RoomId): Company {
    return this.#company.get(id)?.view ?? ALONE
  }

  start(): void {
    this.#lifeline.start()
  }

  /** Ends the connection and all trying. Rooms and messages stay; `start` goes on. */
  stop(): void {
    this.#lifeline.stop()
  }

  /** Connects as the same user with other credentials, after a refusal. */
  signIn(credentials: Credentials): void {
    this.#lifeline.signIn(credentials)
  }

  /** Tries to connect now, where it waits to try again. */
  retryNow(): void {
    this.#lifeline.retryNow()
  }

  /** Joins a room, or tries again where it was refused. */
  join(id: RoomId): void {
    const known = this.#rooms.get(id)
    if (known && !known.refused) return
    known?.reopen()
    this.#muted.delete(id)
    const room = known ?? new Room(id, this.#keep)
    this.#rooms.set(id, room)
    const { connection } = this.#lifeline
    if (connection) this.#enter(connection, room)
    this.#changed()
  }

  leave(id: RoomId): void {
    const room = this.#rooms.get(id)
    if (!room) return
    if (!room.refused) this.#quit(id)
    this.#rooms.delete(id)
    this.#changed()
  }

  /** Hears what is fleeting in a room, while it is joined, until what it answers is called. */
  listen(id: RoomId): () => void {
    const company = new CompanyIn(() => this.#changed())
    this.#company.get(id)?.end()
    if (!this.#company.has(id) && this.#isIn(id)) this.#lifeline.connection?.listen(id)
    this.#company.set(id, company)
    return () => {
      company.end()
      if (this.#company.get(id) !== company) return
      this.#company.delete(id)
      if (this.#isIn(id)) this.#lifeline.connection?.unlisten(id)
    }
  }

  /** Tells the others in a room that one is writing, now and then, where it is listened to. */
  sayTyping(id: RoomId): void {
    if (this.#maySay(id) && this.#company.get(id)?.mayType()) this.#lifeline.connection?.signal(id, 'typing', '')
  }

  /** Tells the others in a room, where it is listened to, up to which message one has read, now or when there is a connection. */
  sayRead(id: RoomId, message: string): void {
    this.#company.get(id)?.sees(message)
    this.#tellRead(id)
  }

  #tellRead(id: RoomId): void {
    const message = this.#maySay(id) ? this.#company.get(id)?.tellRead() : undefined
    if (message !== undefined) this.#lifeline.connection?.signal(id, 'read', message)
  }

  /** Whether it is joined, and not refused. */
  #isIn(id: RoomId): boolean {
    return this.#rooms.get(id)?.refused === false
  }

  #maySay(id: RoomId): boolean {
    return this.#lifeline.connection !== undefined && this.#isIn(id) && !this.#muted.has(id)
  }

  #enter(connection: Connection, room: Room): void {
    connection.join(room.id, room.resumeHeaders())
    if (!this.#company.has(room.id)) return
    connection.listen(room.id)
    this.#tellRead(room.id)
  }

  #quit(id: RoomId): void {
    const { connection } = this.#lifeline
    connection?.leave(id)
    if (this.#company.has(id)) connection?.unlisten(id)
  }

  /** Whether somebody is there, as far as it was found out elsewhere. */
  seed(user: string, online: boolean): void {
    this.presence.seed(user, online)
    this.#changed()
  }

  /** Sends `text` to a room, now or when there is a connection. */
  send(room: RoomId, text: string): void {
    const message = this.#unsent.add(room, text)
    if (!message.failed) this.#put(message)
    this.#company.get(room)?.sent()
    this.#changed()
  }

  /** Sends a message that failed once more. */
  retry(key: string): void {
    const message = this.#unsent.retry(key)
    if (message) this.#put(message)
    this.#changed()
  }

  /** Forgets a message that failed. */
  discard(key: string): void {
    this.#unsent.remove(key)
    this.#changed()
  }

  #put(message: Outgoing): void {
    const { connection } = this.#lifeline
    if (connection && this.#unsent.attempt(message)) {
      connection.send(message.room, message.key, message.body, sizeOf(message))
    }
  }

  #connected(connection: Connection): void {
    const { state } = this.#lifeline
    if (state.is === 'online' && state.user !== '') this.#user = state.user
    for (const room of this.#rooms.values()) if (!room.refused) this.#enter(connection, room)
    for (const message of this.#unsent.waiting()) this.#put(message)
    this.#tell({ is: 'online' })
  }

  #message(id: RoomId, message: Message, headers: Readonly<Record<string, string>>): void {
    const room = this.#rooms.get(id)
    const own = message.sender === this.#user ? this.#unsent.inRoom(id) : []
    const settled = room?.receive(message, headers, own)
    if (settled) this.#unsent.remove(settled.key)
    this.#company.get(id)?.wrote(message.sender)
    if (message.type === 'system') this.#tell({ is: 'system', room: id })
    this.#changed()
  }

  #signal(id: RoomId, signal: Signal): void {
    if (signal.type === 'presence') {
      this.presence.take(fromJson(signal.body))
      this.#changed()
    } else if (signal.sender !== this.#user) this.#company.get(id)?.take(signal)
  }

  #event(type: string, body: unknown): void {
    if (type === 'presence') this.presence.take(body)
    if (type === 'removed' && typeof body === 'object' && body !== null && 'room' in body) this.#removed(body.room)
    this.#tell({ is: 'event', type, body })
    this.#changed()
  }

  /** The right to a room has ended, and with it the subscriptions: their ids are given back. */
  #removed(id: unknown): void {
    const room = typeof id === 'string' ? this.#rooms.get(id) : undefined
    if (!room || room.refused) return
    this.#quit(room.id)
    room.refuse(REMOVED)
  }

  #tell(event: ChatEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  #receipt(cause: Cause, headers: Readonly<Record<string, string>>): void {
    if (cause.kind === 'join') this.#rooms.get(cause.room)?.joined(headers)
    if (cause.kind === 'renew') this.#lifeline.renewed(cause.token)
    if (cause.kind === 'send') this.#delivered(cause.key, headers['message-id'])
    this.#changed()
  }

  #delivered(key: string, id: string | undefined): void {
    const message = this.#unsent.get(key)
    if (!message) return
    this.#unsent.remove(key)
    // Who may write may say that they do.
    this.#muted.delete(message.room)
    if (id !== undefined) this.#rooms.get(message.room)?.delivered(message, id, this.#user, Date.now())
  }

  #ended(end: End): Verdict {
    const verdict = judge(end)
    const problem = end.problem ?? TOO_LARGE
    if (verdict.then === 'failRoom') this.#rooms.get(verdict.room)?.refuse(problem)
    if (verdict.then === 'mute') this.#muted.add(verdict.room)
    if (verdict.then === 'failMessage') this.#unsent.fail(verdict.key, problem)
    return verdict
  }

  #changed(): void {
    if (this.#gathering !== undefined) return
    this.#gathering = setTimeout(() => {
      this.#gathering = undefined
      for (const watcher of this.#watchers) watcher()
    }, GATHER)
  }
}

const REMOVED = { code: 'REMOVED', message: 'the right to this room has ended', advice: '' }
const TOO_LARGE = { code: 'FRAME_TOO_LARGE', message: 'the message is larger than the server takes', advice: '' }
