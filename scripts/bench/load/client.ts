/**
 * A STOMP client that does as little as can be, so that it is not what is measured: on a bare socket, over WebSocket or
 * TCP, reading into one buffer that all of them share.
 */
import { connect, type Socket } from 'node:net'
import { frame, masked } from './frames.ts'

/** Where clients connect to, and how they log in. */
export interface Endpoint {
  /** `ws://host:port/path` or `tcp://host:port`. */
  readonly url: string
  readonly login?: string
  readonly passcode?: string
  /** STOMP's `host` header: RabbitMQ's virtual host. */
  readonly host?: string
}

/** A MESSAGE: its head as text, and where in `buffer` its body is. Only valid during the call. */
export type OnMessage = (head: string, buffer: Buffer, bodyAt: number, bodyEnd: number) => void

const READ_BYTES = 256 * 1024
/** Nothing of it outlives the call that hands it over. */
const shared = Buffer.allocUnsafe(READ_BYTES)

const END_OF_HEAD = Buffer.from('\n\n')
const PING = 9
const CLOSE = 8
const PONG_OPCODE = 0x8a
const LF = 10
const CR = 13

/** The value of a header in a frame's head, as it is on the wire. */
export const headerOf = (head: string, name: string): string | undefined => {
  const at = head.indexOf(`\n${name}:`)
  return at < 0 ? undefined : head.slice(at + name.length + 2, head.indexOf('\n', at + 1)).replace(/\r$/, '')
}

export class Client {
  readonly #socket: Socket
  readonly #webSocket: boolean
  /** The beginning of what is not whole yet. */
  #carry: Buffer = Buffer.alloc(0)
  #upgraded: boolean
  /** In `counting`: bytes of the WebSocket message that are still to come. */
  #rest = 0
  #waiting = new Map<string, { resolve: (head: string) => void; reject: (error: Error) => void }>()
  #receipts = 0
  #gone: Error | undefined
  onMessage: OnMessage = () => {}
  /** Called with the head of each RECEIPT that no `request` waits for. */
  onReceipt: (head: string) => void = () => {}
  /** Called when the server ends the connection. */
  onEnd: (error: Error) => void = () => {}
  /** Takes messages by their length alone; needs WebSocket, one frame a message. */
  counting = false
  /** Messages that came while `counting`. */
  counted = 0
  /** All bytes that came. */
  bytes = 0

  private constructor(endpoint: URL) {
    this.#webSocket = endpoint.protocol === 'ws:'
    this.#upgraded = !this.#webSocket
    this.#socket = connect({
      host: endpoint.hostname,
      port: Number(endpoint.port || (this.#webSocket ? 80 : 61_613)),
      noDelay: true,
      onread: {
        buffer: shared,
        callback: size => {
          this.bytes += size
          if (this.counting) this.#count(size)
          else this.#read(shared.subarray(0, size))
          return true
        },
      },
    })
    this.#socket.on('error', error => this.#end(error))
    this.#socket.on('close', () => this.#end(new Error('the server closed a connection')))
  }

  /** Connects, and (unless `bare`) logs in. */
  static async connect(endpoint: Endpoint, bare = false): Promise<Client> {
    const url = new URL(endpoint.url)
    const client = new Client(url)
    await new Promise<void>((resolve, reject) => {
      client.#socket.once('connect', resolve)
      client.onEnd = reject
    })
    if (client.#webSocket) await client.#upgrade(url)
    client.onEnd = () => {}
    if (!bare) await client.login(endpoint)
    return client
  }

  async login({ login, passcode, host }: Endpoint): Promise<void> {
    const headers = { 'accept-version': '1.2,1.1', 'host': host ?? 'bench', 'heart-beat': '0,0' }
    const connected = this.#answer('CONNECTED')
    this.send('CONNECT', {
      ...headers,
      ...(login !== undefined && { login }),
      ...(passcode !== undefined && { passcode }),
    })
    await connected
  }

  send(command: string, headers: Readonly<Record<string, string>>, body = ''): void {
    const bytes = frame(command, headers, body)
    this.#socket.write(this.#webSocket ? masked(bytes) : bytes)
  }

  /** Sends a frame with a receipt and resolves with the head of the RECEIPT. */
  async request(command: string, headers: Readonly<Record<string, string>>, body = ''): Promise<string> {
    const receipt = `r${this.#receipts++}`
    const answer = this.#answer(receipt)
    this.send(command, { ...headers, receipt }, body)
    return answer
  }

  /** Sends a frame to a server that sends it back, and resolves when it has. */
  async echo(command: string, headers: Readonly<Record<string, string>>): Promise<string> {
    const answer = this.#answer(command)
    this.send(command, headers)
    return answer
  }

  /** Writes finished frames, masked where that is needed. */
  write(bytes: Buffer): void {
    this.#socket.write(bytes)
  }

  get masking(): boolean {
    return this.#webSocket
  }

  /** Bytes that the server has not taken. */
  get unsent(): number {
    return this.#socket.writableLength
  }

  end(): void {
    this.onEnd = () => {}
    this.#socket.destroy()
  }

  #answer(id: string): Promise<string> {
    if (this.#gone) return Promise.reject(this.#gone)
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  async #upgrade({ host, pathname, search }: URL): Promise<void> {
    const upgraded = this.#answer('upgrade')
    this.#socket.write(
      `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Key: aG9vZmJlYXQtYmVuY2htYQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v12.stomp\r\n\r\n',
    )
    await upgraded
  }

  #end(error: Error): void {
    if (this.#gone) return
    this.#gone = error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    this.onEnd(error)
  }

  #read(chunk: Buffer): void {
    const bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk])
    const at = this.#take(bytes)
    this.#carry = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at))
  }

  #take(bytes: Buffer): number {
    if (!this.#upgraded) {
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) return 0
      const status = bytes.toString('latin1', 0, bytes.indexOf('\r\n'))
      if (!status.includes(' 101 ')) throw new Error(`the server refused WebSocket: ${status}`)
      this.#upgraded = true
      this.#settle('upgrade', status)
      return end + 4 + this.#messages(bytes.subarray(end + 4))
    }
    return this.#webSocket ? this.#messages(bytes) : this.#frames(bytes, 0, bytes.length)
  }

  /** Takes whole WebSocket messages; returns where the first that is not whole begins. */
  #messages(bytes: Buffer): number {
    let at = 0
    for (;;) {
      const head = headLength(bytes, at)
      if (head === 0) return at
      const length = payloadLength(bytes, at)
      const start = at + head
      if (start + length > bytes.length) return at
      const opcode = bytes[at]! & 15
      if (opcode === PING) this.write(masked(bytes.subarray(start, start + length), PONG_OPCODE))
      else if (opcode === CLOSE) this.#end(new Error(`closed by the server, ${bytes.readUInt16BE(start)}`))
      else if (this.#frames(bytes, start, start + length) !== start + length) {
        throw new Error('a frame is cut over WebSocket messages: this client does not read that')
      }
      at = start + length
    }
  }

  /** Takes whole STOMP frames between `from` and `to`; returns where the first that is not whole begins. */
  #frames(bytes: Buffer, from: number, to: number): number {
    let at = from
    for (;;) {
      while (at < to && (bytes[at] === LF || bytes[at] === CR)) at++
      if (at === to) return at
      const found = bytes.indexOf(END_OF_HEAD, at)
      const bodyAt = found + 2
      if (found < 0 || bodyAt > to) return at
      const head = bytes.toString('latin1', at, bodyAt)
      const length = headerOf(head, 'content-length')
      const end = length === undefined ? bytes.indexOf(0, bodyAt) : bodyAt + Number(length)
      if (end < 0 || end >= to) return at
      this.#frame(head, bytes, bodyAt, end)
      at = end + 1
    }
  }

  #frame(head: string, bytes: Buffer, bodyAt: number, end: number): void {
    if (head.startsWith('MESSAGE')) return this.onMessage(head, bytes, bodyAt, end)
    if (head.startsWith('RECEIPT')) {
      const id = headerOf(head, 'receipt-id') ?? ''
      return this.#waiting.has(id) ? this.#settle(id, head) : this.onReceipt(head)
    }
    const command = head.slice(0, head.indexOf('\n')).trimEnd()
    if (this.#waiting.has(command)) return this.#settle(command, head)
    this.#end(
      new Error(`the server said: ${head.trim().replaceAll('\n', ', ')} ${bytes.toString('utf8', bodyAt, end)}`),
    )
  }

  #settle(id: string, head: string): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    waiting?.resolve(head)
  }

  /** Goes from one message's length to the next, without looking at what is between. */
  #count(size: number): void {
    let bytes = shared
    let end = size
    let at = this.#rest
    if (this.#carry.length > 0) {
      bytes = Buffer.concat([this.#carry, shared.subarray(0, size)])
      end = bytes.length
      this.#carry = Buffer.alloc(0)
    }
    while (at < end) {
      const second = at + 4 <= end ? bytes[at + 1]! : 127
      // The two shorter forms at once; anything else, and what is cut, the slow way.
      if (second < 126) at += 2 + second
      else if (second === 126) at += 4 + (bytes[at + 2]! << 8) + bytes[at + 3]!
      else {
        const head = headLength(bytes.subarray(0, end), at)
        if (head === 0) {
          this.#carry = Buffer.from(bytes.subarray(at, end))
          this.#rest = 0
          return
        }
        at += head + payloadLength(bytes, at)
      }
      this.counted++
    }
    this.#rest = at - end
  }
}

/** Bytes of the head of the WebSocket frame at `at`; 0 where it is not all there. */
const headLength = (bytes: Buffer, at: number): number => {
  if (at + 2 > bytes.length) return 0
  const length = bytes[at + 1]! & 127
  const head = length < 126 ? 2 : length === 126 ? 4 : 10
  return at + head <= bytes.length ? head : 0
}

const payloadLength = (bytes: Buffer, at: number): number => {
  const length = bytes[at + 1]! & 127
  if (length < 126) return length
  return length === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
}
