/** What has to be done now to keep a connection alive, or that it is dead. */
export type Pulse = 'none' | 'beat' | 'ping' | 'dead'

/**
 * The signs of life both ways, in epoch ms. On TCP what the client promised counts, with twice the time for it. On
 * WebSocket the server pings instead, because browsers throttle the timers of hidden tabs; whatever arrives is life.
 */
export class Liveness {
  readonly #pings: boolean
  readonly #interval: number
  /** How late a tick may be, ms. */
  readonly #grain: number
  #send = 0
  #receive: number
  #heard = Date.now()
  #pinged = 0

  constructor(options: { pings: boolean; interval: number; grain: number }) {
    this.#pings = options.pings
    this.#interval = options.interval
    this.#grain = options.grain
    this.#receive = options.pings ? options.interval : 0
  }

  /** What CONNECT agreed, ms; 0: nothing. */
  agree(send: number, receive: number): void {
    this.#send = send
    if (!this.#pings) this.#receive = receive
  }

  heard(now: number): void {
    this.#heard = now
  }

  /** Whether a pong is overdue: perhaps the ping waits behind what the client has not read yet. */
  doubtful(now: number): boolean {
    return this.#pings && now - this.#heard >= 1.5 * this.#interval
  }

  /** `lastWrite`: when the server last sent something. */
  tick(now: number, lastWrite: number): Pulse {
    const silent = now - this.#heard
    if (this.#receive > 0 && silent > 2 * this.#receive + this.#grain) return 'dead'
    if (this.#send > 0 && now - lastWrite >= this.#send - 2 * this.#grain) return 'beat'
    if (this.#pings && silent >= this.#interval && now - this.#pinged >= this.#interval) {
      this.#pinged = now
      return 'ping'
    }
    return 'none'
  }
}
