import { Connection, ResponseError } from '@platformatic/kafka'
import type { API, ConnectionOptions } from '@platformatic/kafka'

export interface LinkOptions {
  readonly clientId: string
  readonly host: string
  readonly port: number
  readonly tls?: ConnectionOptions['tls']
  readonly sasl?: ConnectionOptions['sasl']
  /** ms, for connecting and for each request. A broker that takes longer counts as gone. */
  readonly timeout: number
  /** Told of each attempt to connect that failed, with why, and of each that did not. */
  readonly attempted?: (problem?: unknown) => void
}

/**
 * A connection to one broker, made when it is needed and again after it broke. A broker answers the requests of one
 * connection one after the other, so what may take long has a link of its own.
 */
export class Link {
  readonly #options: LinkOptions
  #connection: Connection | undefined
  #opening: Promise<Connection> | undefined
  #closed = false
  /** What happened to the connection that broke last. */
  #broken: unknown

  constructor(options: LinkOptions) {
    this.#options = options
  }

  /** Resolves when a request can be written. Where this rejects nothing has been sent. */
  async ready(): Promise<void> {
    await this.#open()
  }

  /**
   * Resolves with the broker's answer, also with one that tells of errors: each part of it has its own. Rejects when
   * there is none; then the broker may have done what was asked, or not.
   */
  async call<Arguments extends unknown[], Answer>(api: API<Arguments, Answer>, ...args: Arguments): Promise<Answer> {
    const connection = await this.#open()
    try {
      return await api.async(connection, ...args)
    } catch (error) {
      if (error instanceof ResponseError && error['response']) return error['response'] as Answer
      // Of a connection that breaks the request only hears that it has closed.
      throw this.#broken ?? error
    }
  }

  /** Requests that are out reject. A broker that hangs is not waited for: the connection is gone when it is. */
  close(): void {
    this.#closed = true
    void this.#connection?.close()
    this.#opening?.then(
      connection => connection.close(),
      () => undefined,
    )
  }

  async #open(): Promise<Connection> {
    if (this.#closed) throw new Error('the link is closed')
    return this.#connection ?? (this.#opening ??= this.#connect())
  }

  async #connect(): Promise<Connection> {
    const { clientId, host, port, tls, sasl, timeout } = this.#options
    const connection = new Connection(clientId, {
      connectTimeout: timeout,
      requestTimeout: timeout,
      maxInflights: 100,
      ...(tls && { tls }),
      ...(sasl && { sasl }),
    })
    const gone = (): void => {
      if (this.#connection === connection) this.#connection = undefined
    }
    connection.on('error', error => {
      if (this.#connection === connection) this.#broken = error
      gone()
    })
    connection.on('close', gone)
    try {
      await connection.connect(host, port)
      this.#broken = undefined
      this.#connection = connection
      this.#options.attempted?.()
      return connection
    } catch (error) {
      this.#options.attempted?.(error)
      throw error
    } finally {
      this.#opening = undefined
    }
  }
}
