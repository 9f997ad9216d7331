import { isUtf8 } from 'node:buffer'
import { connect, type Socket } from 'node:net'
import { setImmediate as immediate } from 'node:timers/promises'
import type { Target, TransportName } from '../../server/testkit/probe.ts'
import { readServer, type ServerFrame } from './server-stream.ts'

const FIN = 0x80
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10]
/** A WebSocket message is at most so long, bytes: the server closes on those longer than its largest frame. */
const MESSAGE_BYTES = 4096
/** So many pings may be unanswered at most: the server takes no more. */
const PINGS = 40
const NONE = Buffer.alloc(0)

/** How bytes are cut on their way. `drip`: piece by piece, with a turn of the event loop between. */
export interface Cut {
  /** Sizes of pieces, over and over; none: in one. */
  readonly sizes: readonly number[]
  readonly drip: boolean
  /** WebSocket: text where it can be, in fragments, with pings between. */
  readonly text: boolean
  readonly fragments: boolean
  readonly pings: boolean
}

const uncut: Cut = { sizes: [], drip: false, text: true, fragments: false, pings: false }

const pieces = (bytes: Buffer, sizes: readonly number[], most = Infinity): Buffer[] => {
  const list: Buffer[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.min(sizes.length === 0 ? Infinity : sizes[i % sizes.length]!, most)
    list.push(bytes.subarray(at, at + size))
    at += size
  }
  return list
}

/** A client's WebSocket frame (RFC 6455, 5.2), masked. */
const maskedFrame = (first: number, payload: Buffer): Buffer => {
  const short = payload.length < 126
  const frame = Buffer.allocUnsafe((short ? 6 : 8) + payload.length)
  frame[0] = first
  frame[1] = 0x80 | (short ? payload.length : 126)
  if (!short) frame.writeUInt16BE(payload.length, 2)
  const at = short ? 2 : 4
  const key = [0x5a, 0x12, 0xc3, payload.length & 255]
  for (let i = 0; i < 4; i++) frame[at + i] = key[i]!
  for (let i = 0; i < payload.length; i++) frame[at + 4 + i] = payload[i]! ^ key[i & 3]!
  return frame
}

/** A client on a bare socket that sends what it is told, cut as it is told, and keeps the frames that come back. */
export class Peer {
  readonly transport: TransportName
  readonly #socket: Socket
  /** Frames that were not looked at yet. */
  frames: ServerFrame[] = []
  /** The connection has ended. */
  closed = false
  /** The WebSocket close code that the server gave. */
  code: number | undefined
  /** What the server sent that no server may send. */
  fault: Error | undefined
  /** Called whenever something has come. */
  onChange: () => void = () => {}
  #rest: Buffer = NONE
  #upgraded: boolean
  #leaving = false
  #pings = 0

  private constructor(transport: TransportName, socket: Socket) {
    this.transport = transport
    this.#socket = socket
    this.#upgraded = transport === 'tcp'
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('close', () => {
      this.closed = true
      this.onChange()
    })
  }

  /** Connects; on WebSocket up to and with the handshake. */
  static async open(transport: TransportName, { port, stompPort }: Target): Promise<Peer> {
    const socket = connect({ host: '127.0.0.1', port: transport === 'tcp' ? stompPort! : port, noDelay: true })
    const peer = new Peer(transport, socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        if (transport === 'tcp') return resolve()
        peer.onChange = () => {
          if (peer.#upgraded) resolve()
          else if (peer.closed) reject(new Error('the handshake was refused'))
        }
        socket.write(
          `GET /ws HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
        )
      })
    })
    peer.onChange = () => {}
    return peer
  }

  async send(bytes: Buffer, cut: Cut = uncut): Promise<void> {
    const wire = this.transport === 'tcp' ? bytes : Buffer.concat(this.#messages(bytes, cut))
    for (const piece of pieces(wire, cut.sizes)) {
      if (!this.#socket.writable) return
      this.#socket.write(piece)
      if (cut.drip) await immediate()
    }
  }

  #messages(bytes: Buffer, { sizes, text, fragments, pings }: Cut): Buffer[] {
    const frames: Buffer[] = []
    for (const message of pieces(bytes, sizes.length > 2 ? sizes.map(size => size * 7) : [], MESSAGE_BYTES)) {
      const kind = text && isUtf8(message) ? TEXT : BINARY
      const parts = fragments ? pieces(message, [1 + (message.length >> 1), 3]) : [message]
      for (const [i, part] of parts.entries()) {
        if (pings && i > 0 && this.#pings++ < PINGS) frames.push(maskedFrame(FIN | PING, Buffer.from('between')))
        frames.push(maskedFrame((i === parts.length - 1 ? FIN : 0) | (i === 0 ? kind : CONTINUATION), part))
      }
    }
    if (pings) frames.push(maskedFrame(FIN | PONG, NONE))
    return frames
  }

  /** Stops and starts reading. */
  pause(paused: boolean): void {
    if (paused) this.#socket.pause()
    else this.#socket.resume()
  }

  /** Ends its own side, as a client that goes does: all that it sent before arrives. */
  leave(): void {
    this.#leaving = true
    if (this.transport === 'tcp') this.#socket.end()
    else if (this.#socket.writable) this.#socket.write(maskedFrame(FIN | CLOSE, Buffer.from([3, 232])))
    this.pause(false)
  }

  /** Ends at once. */
  destroy(): void {
    this.#socket.destroy()
  }

  #take(chunk: Buffer): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    try {
      if (!this.#upgraded) this.#upgrade()
      if (this.#upgraded) while (this.transport === 'tcp' ? this.#takeFrame() : this.#takeMessage());
    } catch (error) {
      this.fault ??= error as Error
    }
    this.onChange()
  }

  #upgrade(): void {
    const end = this.#rest.indexOf('\r\n\r\n')
    if (end < 0) return
    if (!this.#rest.toString('latin1', 0, end).startsWith('HTTP/1.1 101 ')) throw new Error('no handshake')
    this.#rest = this.#rest.subarray(end + 4)
    this.#upgraded = true
  }

  #takeFrame(): boolean {
    while (this.#rest[0] === 10) this.#rest = this.#rest.subarray(1)
    const read = readServer(this.#rest)
    if (!read) return false
    this.#rest = read.rest
    this.frames.push(read.frame)
    return true
  }

  #takeMessage(): boolean {
    if (this.#rest.length < 2) return false
    const short = this.#rest[1]! & 127
    const header = short < 126 ? 2 : short === 126 ? 4 : 10
    if (this.#rest.length < header) return false
    const length =
      header === 2 ? short : header === 4 ? this.#rest.readUInt16BE(2) : Number(this.#rest.readBigUInt64BE(2))
    if (this.#rest.length < header + length) return false
    const first = this.#rest[0]!
    const payload = this.#rest.subarray(header, header + length)
    this.#rest = this.#rest.subarray(header + length)
    if (this.code !== undefined) throw new Error('something follows the Close frame')
    this.#message(first, payload)
    return true
  }

  #message(first: number, payload: Buffer): void {
    if (first === (FIN | PING)) this.#socket.write(maskedFrame(FIN | PONG, payload))
    else if (first === (FIN | CLOSE)) {
      this.code = payload.length < 2 ? 1005 : payload.readUInt16BE()
      if (!this.#leaving && this.#socket.writable) this.#socket.write(maskedFrame(FIN | CLOSE, payload.subarray(0, 2)))
    } else if (first === (FIN | TEXT) || first === (FIN | BINARY)) {
      if (payload.length === 1 && payload[0] === 10) return
      const text = first === (FIN | TEXT)
      if (text && !isUtf8(payload)) throw new Error('a text message that is not UTF-8')
      const read = readServer(payload, text)
      if (!read || read.rest.length > 0) throw new Error('a message that is not one frame')
      this.frames.push(read.frame)
    } else if (first === (FIN | PONG)) this.#pings--
    else throw new Error(`an odd WebSocket frame: ${first}`)
  }
}
