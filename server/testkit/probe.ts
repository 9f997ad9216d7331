import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Test } from 'tap'
import { WebSocket } from 'ws'

export type TransportName = 'websocket' | 'tcp'
export const transports: readonly TransportName[] = ['websocket', 'tcp']

/** A frame as the server sent it: header values as they are on the wire, not unescaped. */
export interface Received {
  readonly command: string
  readonly headers: Readonly<Record<string, string>>
  /** All header lines in order, repeated ones too. */
  readonly lines: readonly (readonly [string, string])[]
  readonly body: Buffer
}

/** Where a node listens. */
export interface Target {
  readonly port: number
  readonly stompPort: number | undefined
  /** A certificate to trust; makes both transports use TLS. */
  readonly ca?: Buffer
}

/**
 * A scripted STOMP peer that sends whatever it is told, right or wrong, and shows what comes back. Its reading of frames
 * is its own, so that a mistake of the server's codec does not hide itself.
 */
export class Probe {
  readonly transport: TransportName
  readonly #write: (bytes: Buffer | string, text: boolean) => void
  readonly #end: () => void
  readonly #pause: (paused: boolean) => void
  /** Frames that nobody has asked for yet. */
  readonly frames: Received[] = []
  /** EOLs between frames: heart-beats. */
  beats = 0
  /** WebSocket messages as they came: whether each was binary. */
  readonly binary: boolean[] = []
  pings = 0
  /** How long it waits for something that does not come, ms. */
  patience = 20_000
  /** The WebSocket close code (TCP: 0), once the server has ended it. */
  readonly closed: Promise<number>
  /** The subprotocol that was agreed. */
  protocol = ''
  #rest: Buffer = Buffer.alloc(0)
  #wake: (() => void)[] = []
  #over = false

  private constructor(transport: TransportName, wire: Wire) {
    this.transport = transport
    this.#write = wire.write
    this.#end = wire.end
    this.#pause = wire.pause
    const { promise, resolve } = Promise.withResolvers<number>()
    this.closed = promise
    wire.onClose(code => {
      this.#over = true
      resolve(code)
      this.#notify()
    })
    wire.onBytes((bytes, binary) => {
      if (binary !== undefined) this.binary.push(binary)
      this.#rest = Buffer.concat([this.#rest, bytes])
      this.#read()
    })
    wire.onPing(() => {
      this.pings++
      this.#notify()
    })
  }

  /** Opens a transport, without CONNECT. `headers` and `protocols` are the WebSocket handshake's. */
  static async open(
    t: Test,
    transport: TransportName,
    target: Target,
    options: { protocols?: string[]; headers?: Record<string, string> } = {},
  ): Promise<Probe> {
    const wire = transport === 'tcp' ? await tcpWire(target) : await webSocketWire(target, options)
    const probe = new Probe(transport, wire)
    probe.protocol = wire.protocol
    t.teardown(() => probe.end())
    return probe
  }

  /** Opens a transport and logs in. */
  static async connect(
    t: Test,
    transport: TransportName,
    target: Target,
    headers: Record<string, string> = {},
  ): Promise<Probe> {
    const probe = await Probe.open(t, transport, target)
    probe.send('CONNECT', { 'accept-version': '1.2', host: 'test', 'heart-beat': '0,0', ...headers })
    await probe.next('CONNECTED')
    return probe
  }

  send(command: string, headers: Record<string, string | number> = {}, body: Buffer | string = ''): void {
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
    this.raw(Buffer.concat([Buffer.from(`${command}\n${lines.join('')}\n`), Buffer.from(body), Buffer.from([0])]))
  }

  /** Sends bytes as they are (WebSocket: as one binary message; a string as one text message). */
  raw(bytes: Buffer | string): void {
    this.#write(bytes, typeof bytes === 'string')
  }

  /** Sends a frame with a receipt, and resolves with the RECEIPT. Frames that come before it stay to be asked for. */
  async request(
    command: string,
    headers: Record<string, string | number> = {},
    body: Buffer | string = '',
  ): Promise<Received> {
    const receipt = `receipt-${Math.random().toString(36).slice(2)}`
    this.send(command, { ...headers, receipt }, body)
    return this.take(
      frame => frame.command === 'RECEIPT' && frame.headers['receipt-id'] === receipt,
      `RECEIPT of ${command}`,
    )
  }

  /** The next frame, which must be a `command`. */
  async next(command: string): Promise<Received> {
    const frame = await this.take(() => true, command)
    if (frame.command !== command) throw new Error(`expected ${command}, got ${describe(frame)}`)
    return frame
  }

  /** The next `count` MESSAGE frames. */
  async messages(count: number): Promise<Received[]> {
    const frames: Received[] = []
    while (frames.length < count) frames.push(await this.next('MESSAGE'))
    return frames
  }

  /** The bodies of all MESSAGE frames until one whose body is `last`: what comes before a barrier, and nothing else. */
  async bodiesUntil(last: string): Promise<string[]> {
    const bodies: string[] = []
    do bodies.push((await this.next('MESSAGE')).body.toString())
    while (bodies[bodies.length - 1] !== last)
    return bodies
  }

  /** Waits for the first frame that `wanted` says yes to, and takes it out. An ERROR, or the end, ends the wait. */
  async take(wanted: (frame: Received) => boolean, what: string): Promise<Received> {
    const until = Date.now() + this.patience
    for (;;) {
      const index = this.frames.findIndex(frame => wanted(frame))
      if (index >= 0) return this.frames.splice(index, 1)[0]!
      const error = this.frames.find(frame => frame.command === 'ERROR')
      if (error) throw new Error(`waited for ${what}, got ${describe(error)}`)
      if (this.#over) throw new Error(`waited for ${what}, but the connection has ended`)
      await this.#change(until, what)
    }
  }

  /** Resolves when `condition` holds, looked at whenever something has come. */
  async when(condition: () => boolean, what: string): Promise<void> {
    const until = Date.now() + this.patience
    while (!condition()) await this.#change(until, what)
  }

  /** The ERROR that the server ends with. Throws where anything comes after it, or the connection is not closed. */
  async error(): Promise<Received> {
    await this.ended()
    const last = this.frames.pop()
    if (last?.command !== 'ERROR')
      throw new Error(`expected ERROR at the end, got ${last ? describe(last) : 'nothing'}`)
    if (this.#rest.length > 0) throw new Error(`after ERROR came ${this.#rest.toString()}`)
    return last
  }

  /** Resolves when the server has ended the connection, with the WebSocket close code (TCP: 0). */
  async ended(): Promise<number> {
    await this.when(() => this.#over, 'the end')
    return this.closed
  }

  /** Resolves when everything sent before has been processed: with the RECEIPT of a frame that nothing else depends on. */
  async settled(): Promise<void> {
    const transaction = `settled-${Math.random()}`
    await this.request('BEGIN', { transaction })
    this.send('ABORT', { transaction })
  }

  /** Stops and starts reading from the socket. */
  pause(paused: boolean): void {
    this.#pause(paused)
  }

  /** Cuts the connection without a word. */
  end(): void {
    this.#end()
  }

  async #change(until: number, what: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const got = (): string => this.frames.map(describe).join(', ') || 'nothing'
    const timer = setTimeout(() => reject(new Error(`waited for ${what}, got ${got()}`)), until - Date.now())
    this.#wake.push(resolve)
    await promise.finally(() => clearTimeout(timer))
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = []
    for (const resolve of wake) resolve()
  }

  #read(): void {
    for (;;) {
      while (this.#rest[0] === 10) {
        this.beats++
        this.#rest = this.#rest.subarray(1)
      }
      const frame = this.#frame()
      if (!frame) break
      this.frames.push(frame)
    }
    this.#notify()
  }

  #frame(): Received | undefined {
    const end = this.#rest.indexOf('\n\n')
    if (end < 0) return undefined
    const [command = '', ...text] = this.#rest.subarray(0, end).toString().split('\n')
    const lines = text.map(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] as const)
    const length = lines.find(([name]) => name === 'content-length')?.[1]
    const start = end + 2
    const stop = length === undefined ? this.#rest.indexOf(0, start) : start + Number(length)
    if (stop < 0 || stop >= this.#rest.length) return undefined
    if (this.#rest[stop] !== 0) throw new Error(`a ${command} frame without NUL at its end`)
    const body = this.#rest.subarray(start, stop)
    this.#rest = this.#rest.subarray(stop + 1)
    return { command, headers: Object.fromEntries(lines.toReversed()), lines, body }
  }
}

/** One test over each transport. */
export const wire = (t: Test, title: string, run: (t: Test, transport: TransportName) => Promise<void>): void => {
  for (const transport of transports) void t.test(`${title} (${transport})`, t => run(t, transport))
}

const describe = ({ command, headers, body }: Received): string =>
  `${command} ${JSON.stringify(headers)} ${body.toString().slice(0, 100)}`

interface Wire {
  readonly protocol: string
  write(bytes: Buffer | string, text: boolean): void
  end(): void
  pause(paused: boolean): void
  onBytes(listener: (bytes: Buffer, binary?: boolean) => void): void
  onClose(listener: (code: number) => void): void
  onPing(listener: () => void): void
}

const tcpWire = async ({ stompPort, ca }: Target): Promise<Wire> => {
  const address = { host: '127.0.0.1', port: stompPort! }
  const socket: Socket = ca ? connectTls({ ...address, ca, servername: 'localhost' }) : connectTcp(address)
  await once(socket, ca ? 'secureConnect' : 'connect')
  socket.on('error', () => {})
  return {
    protocol: '',
    write: bytes => void socket.write(bytes),
    end: () => socket.destroy(),
    pause: paused => void (paused ? socket.pause() : socket.resume()),
    onBytes: listener => void socket.on('data', listener),
    onClose: listener => void socket.on('close', () => listener(0)),
    onPing: () => {},
  }
}

const webSocketWire = async (
  { port, ca }: Target,
  {
    protocols = ['v12.stomp', 'v11.stomp', 'v10.stomp'],
    headers = {},
  }: { protocols?: string[]; headers?: Record<string, string> },
): Promise<Wire> => {
  const url = `${ca ? 'wss' : 'ws'}://localhost:${port}/ws`
  const socket = new WebSocket(url, protocols, { headers, ...(ca ? { ca } : {}), family: 4 })
  // Frames may come right with the handshake's answer.
  const early: [Buffer, boolean][] = []
  let take = (bytes: Buffer, binary: boolean): void => void early.push([bytes, binary])
  socket.on('message', (data: Buffer, binary) => take(data, binary))
  await once(socket, 'open')
  socket.on('error', () => {})
  return {
    protocol: socket.protocol,
    write: (bytes, text) => socket.send(bytes, { binary: !text }),
    end: () => socket.terminate(),
    pause: paused => (paused ? socket.pause() : socket.resume()),
    onBytes: listener => {
      take = listener
      for (const [bytes, binary] of early) listener(bytes, binary)
    },
    onClose: listener => void socket.on('close', listener),
    onPing: listener => void socket.on('ping', listener),
  }
}
