import { Client, type IFrame, type IMessage } from '@stomp/stompjs'
import type { Message, RoomId } from './message.ts'
import type { Cause, End } from './verdict.ts'

/** What CONNECT brings: a name where access is open, otherwise a JWT. */
export type Credentials = { readonly login: string } | { readonly token: string }

type Headers = Readonly<Record<string, string>>

/** What somebody (`sender`), or the server itself, says fleetingly in a room. */
export interface Signal {
  readonly type: string
  readonly sender?: string
  readonly body: string
}

export interface ConnectionOptions {
  /** `ws://` or `wss://`, with path. */
  readonly url: string
  readonly credentials: Credentials
  /** Subscribe to what concerns the user. */
  readonly events?: boolean
}

/** What a connection tells. After `ended`, which comes exactly once, nothing more. */
export interface ConnectionEvents {
  connected(user: string): void
  message(room: RoomId, message: Message, headers: Headers): void
  receipt(cause: Cause, headers: Headers): void
  /** What concerns this connection, from `/user/queue/session`: `type` says what. */
  notice(headers: Headers): void
  /** What is fleeting in a room, from `/signal/<room>`. */
  signal(room: RoomId, signal: Signal): void
  /** What concerns the user, from `/user/queue/events`: `body` is what its JSON says. */
  event(type: string, body: unknown): void
  ended(end: End): void
}

/** How long to wait for CONNECTED, and for the RECEIPT of DISCONNECT, ms. */
const PATIENCE = 15_000

/** One STOMP connection, from opening its WebSocket to its end: a thin cover over @stomp/stompjs. */
export class Connection {
  readonly #client: Client
  readonly #events: ConnectionEvents
  readonly #withEvents: boolean
  readonly #unanswered = new Map<string, Cause>()
  #receipts = 0
  #connected = false
  #error: IFrame | undefined
  #timer: ReturnType<typeof setTimeout>

  constructor({ url, credentials, events: withEvents = false }: ConnectionOptions, events: ConnectionEvents) {
    this.#events = events
    this.#withEvents = withEvents
    this.#client = new Client({
      brokerURL: url,
      connectHeaders: 'token' in credentials ? bearer(credentials.token) : { login: credentials.login },
      // It lives once: whether and when there is a next one is decided elsewhere.
      reconnectDelay: 0,
      // The closing handshake of a dead network takes minutes.
      discardWebsocketOnCommFailure: true,
      heartbeatIncoming: 10_000,
      heartbeatOutgoing: 10_000,
      onConnect: frame => this.#onConnect(frame),
      onStompError: frame => this.#onError(frame),
      onWebSocketClose: ({ code }: { code: number }) => this.#onClose(code),
    })
    this.#timer = setTimeout(() => this.abandon(), PATIENCE)
    this.#client.activate()
  }

  /** Frames written to a connection that is going are lost with it: everything that needs an answer asks for one. */
  get writable(): boolean {
    return this.#client.connected && this.#error === undefined
  }

  /** `headers` say from where. */
  join(room: RoomId, headers: Headers): void {
    const receipt = this.#await({ kind: 'join', room })
    const deliver = (message: IMessage): void => this.#events.message(room, toMessage(message), message.headers)
    // The same id for everyone in the room: the server then makes the bytes of a message once for all of them.
    this.#client.subscribe(`/topic/${room}`, deliver, { ...headers, id: subscriptionOf(room), receipt })
  }

  leave(room: RoomId): void {
    this.#client.unsubscribe(subscriptionOf(room))
  }

  /** Hears what is fleeting in a room, until `unlisten`. */
  listen(room: RoomId): void {
    const receipt = this.#await({ kind: 'listen', room })
    const hear = ({ headers, body }: IMessage): void => {
      const { type = '', sender } = headers
      this.#events.signal(room, { type, body, ...(sender === undefined ? {} : { sender }) })
    }
    this.#client.subscribe(`/signal/${room}`, hear, { id: signalsOf(room), receipt })
  }

  unlisten(room: RoomId): void {
    this.#client.unsubscribe(signalsOf(room))
  }

  /** Says something fleeting: `typing`, or `read` with a message-id. */
  signal(room: RoomId, type: string, body: string): void {
    const receipt = this.#await({ kind: 'signal', room })
    const headers = { type, receipt, 'content-type': 'text/plain;charset=utf-8' }
    this.#client.publish({ destination: `/signal/${room}`, headers, body })
  }

  send(room: RoomId, key: string, body: string, bytes: number): void {
    const receipt = this.#await({ kind: 'send', key, bytes })
    const headers = { receipt, 'idempotency-key': key, 'content-type': 'text/plain;charset=utf-8' }
    this.#client.publish({ destination: `/topic/${room}`, headers, body })
  }

  /** Goes on under a new token of the same user. */
  renew(token: string): void {
    const receipt = this.#await({ kind: 'renew', token })
    this.#client.publish({ destination: '/session/renew', headers: { ...bearer(token), receipt } })
  }

  /** Says goodbye, so that what was sent is answered first; then `ended`. */
  close(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.abandon(), PATIENCE)
    void this.#client.deactivate().then(() => clearTimeout(this.#timer))
  }

  /** Ends it now; `ended` comes before this returns, where the WebSocket was opened. */
  abandon(): void {
    void this.#client.deactivate({ force: true })
  }

  #await(cause: Cause): string {
    const receipt = `r${++this.#receipts}`
    this.#unanswered.set(receipt, cause)
    this.#client.watchForReceipt(receipt, frame => {
      this.#unanswered.delete(receipt)
      this.#events.receipt(cause, frame.headers)
    })
    return receipt
  }

  #onConnect({ headers }: IFrame): void {
    clearTimeout(this.#timer)
    this.#connected = true
    this.#client.subscribe('/user/queue/session', message => this.#events.notice(message.headers), { id: 'session' })
    if (this.#withEvents) {
      const hear = (message: IMessage): void =>
        this.#events.event(message.headers['type'] ?? '', fromJson(message.body))
      this.#client.subscribe('/user/queue/events', hear, { id: 'events' })
    }
    this.#events.connected(headers['user-name'] ?? '')
  }

  #onError(frame: IFrame): void {
    this.#error = frame
    this.abandon()
  }

  #onClose(closeCode: number): void {
    clearTimeout(this.#timer)
    this.#events.ended({
      connected: this.#connected,
      closeCode,
      unanswered: [...this.#unanswered.values()],
      ...(this.#error ? fromError(this.#error, this.#unanswered) : {}),
    })
  }
}

const subscriptionOf = (room: RoomId): string => `room/${room}`

const signalsOf = (room: RoomId): string => `signal/${room}`

/** What JSON says; undefined where it is none. */
export const fromJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const bearer = (token: string): { Authorization: string } => ({ Authorization: `Bearer ${token}` })

const toMessage = ({ headers, body }: IMessage): Message => ({
  id: headers['message-id'] ?? '',
  sender: headers['sender'] ?? '',
  time: Number(headers['timestamp']) || Date.now(),
  body,
  ...(headers['content-type'] ? { contentType: headers['content-type'] } : {}),
  ...(headers['type'] ? { type: headers['type'] } : {}),
  ...(headers['erased'] === 'true' ? { erased: true } : {}),
})

const fromError = ({ headers, body }: IFrame, unanswered: ReadonlyMap<string, Cause>): Partial<End> => {
  const cause = unanswered.get(headers['receipt-id'] ?? '')
  const retryAfterMs = Number(headers['retry-after-ms'] ?? Number.NaN)
  return {
    problem: { code: headers['code'] ?? 'ERROR', message: headers['message'] ?? '', advice: body },
    ...(cause ? { cause } : {}),
    ...(Number.isFinite(retryAfterMs) ? { retryAfterMs } : {}),
  }
}
