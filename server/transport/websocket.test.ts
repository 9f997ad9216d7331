import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { figure, startNode } from '../testkit/node.ts'
import { Probe } from '../testkit/probe.ts'

const node = await startNode(t)
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = createHash('sha1').update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

const FIN = 0x80
const [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG] = [0, 1, 2, 8, 9, 10]

/** One frame as a client sends it; `masked: false` as it must not. */
const frameOf = (first: number, payload: Buffer | string, masked = true): Buffer => {
  const body = Buffer.from(payload)
  const mask = Buffer.from([1, 2, 3, 4])
  const length = body.length < 126 ? [body.length] : [126, body.length >> 8, body.length & 255]
  length[0]! |= masked ? 0x80 : 0
  for (let i = 0; masked && i < body.length; i++) body[i]! ^= mask[i % 4]!
  return Buffer.concat([Buffer.from([first, ...length]), ...(masked ? [mask] : []), body])
}

/** A peer that does its own handshake and its own frames, right or wrong. */
class RawPeer {
  readonly socket: Socket
  received = Buffer.alloc(0)
  #ended = false
  #changed: () => void = () => {}

  constructor(t: Test, port: number) {
    this.socket = connect(port, '127.0.0.1')
    t.teardown(() => this.socket.destroy())
    this.socket.on('error', () => {})
    this.socket.on('data', chunk => {
      this.received = Buffer.concat([this.received, chunk])
      this.#changed()
    })
    this.socket.on('close', () => {
      this.#ended = true
      this.#changed()
    })
  }

  /** The answer to a handshake with `lines` in place of or beside the usual ones. */
  async handshake(lines: Record<string, string | undefined> = {}, request = 'GET /ws HTTP/1.1'): Promise<string> {
    const usual = {
      'Host': `localhost:${node.port}`,
      'Upgrade': 'websocket',
      'Connection': 'Upgrade',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': KEY,
    }
    const all = Object.entries({ ...usual, ...lines }).filter(([, value]) => value !== undefined)
    this.socket.write(`${request}\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
    await this.until(() => this.received.includes('\r\n\r\n') || this.#ended)
    const end = this.received.indexOf('\r\n\r\n') + 4
    const head = this.received.subarray(0, end).toString()
    this.received = this.received.subarray(end)
    return head
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#changed = resolve
      await promise
    }
  }

  /** Resolves when the server has ended the connection. */
  async ended(): Promise<void> {
    await this.until(() => this.#ended)
  }

  /** The next frame from the server. */
  async frame(): Promise<{ first: number; payload: Buffer }> {
    await this.until(() => this.#ended || this.#size() <= this.received.length)
    const size = this.#size()
    if (size > this.received.length) throw new Error('the connection has ended')
    const header = this.#header()
    const frame = { first: this.received[0]!, payload: this.received.subarray(header, size) }
    this.received = this.received.subarray(size)
    return frame
  }

  #header(): number {
    const length = this.received[1]! & 127
    return length < 126 ? 2 : length === 126 ? 4 : 10
  }

  #size(): number {
    if (this.received.length < 10 && this.received.length < (this.received.length > 1 ? this.#header() : 2))
      return Infinity
    const length = this.received[1]! & 127
    if (length < 126) return 2 + length
    return length === 126 ? 4 + this.received.readUInt16BE(2) : 10 + Number(this.received.readBigUInt64BE(2))
  }

  send(first: number, payload: Buffer | string = '', masked = true): void {
    this.socket.write(frameOf(first, payload, masked))
  }
}

const openPeer = async (t: Test): Promise<RawPeer> => {
  const peer = new RawPeer(t, node.port)
  t.match(await peer.handshake(), /^HTTP\/1\.1 101 /)
  return peer
}

/** A raw peer that is CONNECTED. */
const connectedPeer = async (t: Test): Promise<RawPeer> => {
  const peer = await openPeer(t)
  peer.send(FIN | TEXT, 'CONNECT\naccept-version:1.2\n\n\0')
  t.match((await peer.frame()).payload.toString(), /^CONNECTED\n/)
  return peer
}

t.test('[checklist 62] RFC 6455 handshake', async t => {
  const peer = new RawPeer(t, node.port)
  const answer = await peer.handshake({ 'Sec-WebSocket-Protocol': 'v12.stomp' })
  t.match(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
  t.match(answer, /\r\nupgrade: websocket\r\n/i)
  t.match(answer, /\r\nconnection: upgrade\r\n/i)
  t.ok(answer.includes(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`))
  t.match(answer, /\r\nSec-WebSocket-Protocol: v12\.stomp\r\n/)
})

t.test('[checklist 62] handshakes that are refused', async t => {
  const refused: [Record<string, string | undefined>, string, RegExp][] = [
    [{ 'Sec-WebSocket-Key': undefined }, 'GET /ws HTTP/1.1', /^HTTP\/1\.1 400 /],
    [{ 'Sec-WebSocket-Key': 'short' }, 'GET /ws HTTP/1.1', /^HTTP\/1\.1 400 /],
    [{ 'Sec-WebSocket-Version': '7' }, 'GET /ws HTTP/1.1', /^HTTP\/1\.1 (400|426) [^]*sec-websocket-version: 13/i],
    [{ 'Sec-WebSocket-Version': undefined }, 'GET /ws HTTP/1.1', /^HTTP\/1\.1 (400|426) /],
    [{ Upgrade: 'h2c' }, 'GET /ws HTTP/1.1', /^HTTP\/1\.1 4\d\d /],
    [{ Upgrade: undefined, Connection: 'close' }, 'GET /ws HTTP/1.1', /^HTTP\/1\.1 426 [^]*upgrade: websocket/i],
    [{}, 'POST /ws HTTP/1.1', /^HTTP\/1\.1 4\d\d /],
    [{}, 'GET /elsewhere HTTP/1.1', /^HTTP\/1\.1 404 /],
    [{}, 'GET /health/live HTTP/1.1', /^HTTP\/1\.1 /],
    [{}, 'GET / HTTP/1.1', /^HTTP\/1\.1 /],
    [{}, 'GET /metrics HTTP/1.1', /^HTTP\/1\.1 /],
    [{ Origin: 'https://evil.example' }, 'GET /ws HTTP/1.1', /^HTTP\/1\.1 403 /],
    [{ Host: undefined }, 'GET /ws HTTP/1.1', /^HTTP\/1\.1 400 /],
  ]
  for (const [lines, request, answer] of refused) {
    const peer = new RawPeer(t, node.port)
    t.match(await peer.handshake(lines, request), answer, `${request} ${JSON.stringify(lines)}`)
    // A socket that is left open would be nobody's.
    await peer.ended()
  }
  const { status, headers } = await fetch(`${node.url}ws`)
  t.equal(status, 426)
  t.equal(headers.get('upgrade'), 'websocket')
})

t.test('[checklist 63] [S-01] subprotocols are chosen from the offer only', async t => {
  const offers: [string | undefined, string | undefined][] = [
    ['v12.stomp, v11.stomp, v10.stomp', 'v12.stomp'],
    ['v10.stomp, v11.stomp', 'v11.stomp'],
    ['v10.stomp', 'v10.stomp'],
    ['v11.stomp,graphql-ws', 'v11.stomp'],
    ['graphql-ws', undefined],
    ['V12.STOMP', undefined],
    [undefined, undefined],
  ]
  for (const [offer, chosen] of offers) {
    const peer = new RawPeer(t, node.port)
    const answer = await peer.handshake({ 'Sec-WebSocket-Protocol': offer })
    t.match(answer, /^HTTP\/1\.1 101 /)
    t.equal(/\r\nsec-websocket-protocol: (.*)\r\n/i.exec(answer)?.[1], chosen, offer ?? 'none')
  }
  const malformed = new RawPeer(t, node.port)
  t.match(await malformed.handshake({ 'Sec-WebSocket-Protocol': ',, ,' }), /^HTTP\/1\.1 400 /)
})

t.test(
  '[S-03] an Origin that is neither this host nor on ORIGINS is refused with 403, before anything else',
  async t => {
    const listed = await startNode(t, { ORIGINS: 'https://chat.example.org, http://other.example:8000' })
    const attempt = async (at: { port: number }, origin: string | undefined, host?: string): Promise<string> => {
      const peer = new RawPeer(t, at.port)
      return peer.handshake({ Origin: origin, ...(host === undefined ? {} : { Host: host }) })
    }
    const own = `http://localhost:${node.port}`
    t.match(await attempt(node, undefined), /^HTTP\/1\.1 101 /, 'no browser, no Origin')
    t.match(await attempt(node, own, `localhost:${node.port}`), /^HTTP\/1\.1 101 /)
    t.match(await attempt(node, `http://127.0.0.1:${node.port}`, `127.0.0.1:${node.port}`), /^HTTP\/1\.1 101 /)
    for (const origin of ['https://evil.example', 'null', 'http://localhost:1', `http://127.0.0.1:${node.port}`]) {
      t.match(await attempt(node, origin, `localhost:${node.port}`), /^HTTP\/1\.1 403 /, origin)
    }
    t.match(
      await attempt(node, `http://rebound.example:${node.port}`, `rebound.example:${node.port}`),
      /^HTTP\/1\.1 403 /,
      'a name of its own that points here',
    )
    t.match(await attempt(listed, 'https://chat.example.org'), /^HTTP\/1\.1 101 /)
    t.match(await attempt(listed, 'http://other.example:8000', 'anything'), /^HTTP\/1\.1 101 /)
    t.match(await attempt(listed, 'https://other.example:8000'), /^HTTP\/1\.1 403 /)
    t.match(
      await attempt(await startNode(t, { ORIGINS: '*' }), 'https://evil.example', 'evil.example'),
      /^HTTP\/1\.1 101 /,
    )
  },
)

t.test('[S-05] permessage-deflate is never agreed to', async t => {
  const peer = new RawPeer(t, node.port)
  const answer = await peer.handshake({ 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' })
  t.match(answer, /^HTTP\/1\.1 101 /)
  t.notMatch(answer, /extensions/i)
})

t.test('[checklist 64] [S-01] text and binary messages, fragments and splits, in any mixture', async t => {
  const peer = await openPeer(t)
  const destination = '/topic/fragments'
  peer.send(TEXT, 'CONN')
  peer.send(FIN | PING, 'between fragments')
  t.match(await peer.frame(), { first: FIN | PONG })
  peer.send(CONTINUATION, 'ECT\naccept-')
  peer.send(CONTINUATION, '')
  peer.send(FIN | CONTINUATION, 'version:1.2\n\n\0')
  t.match((await peer.frame()).payload.toString(), /^CONNECTED\n/)
  peer.send(FIN | BINARY, `SUBSCRIBE\nid:s\ndestination:${destination}\n\n\0SEND\ndesti`)
  peer.send(FIN | TEXT, `nation:${destination}\n\ncut over`)
  peer.send(FIN | BINARY, '')
  peer.send(FIN | TEXT, ` messages\0SEND\ndestination:${destination}\n\n`)
  peer.send(BINARY, 'two\0')
  peer.send(FIN | CONTINUATION, '\n')
  t.match((await peer.frame()).payload.toString(), /\ncontent-length:17\n\ncut over messages\0$/)
  t.match((await peer.frame()).payload.toString(), /\n\ntwo\0$/)
  // A frame of one message, byte by byte on the socket.
  for (const byte of frameOf(FIN | TEXT, `SEND\ndestination:${destination}\n\nslow\0`)) {
    peer.socket.write(Buffer.from([byte]))
    await new Promise(setImmediate)
  }
  t.match((await peer.frame()).payload.toString(), /\n\nslow\0$/)
})

t.test('[checklist 64] [S-01] out: one frame a message, text only when the body is UTF-8', async t => {
  const peer = await connectedPeer(t)
  const destination = '/topic/kinds'
  peer.send(FIN | TEXT, `SUBSCRIBE\nid:s\ndestination:${destination}\nreceipt:r\n\n\0`)
  const receipt = await peer.frame()
  t.equal(receipt.first, FIN | TEXT)
  const bodies: [Buffer, number][] = [
    [Buffer.from('가 text \0'), TEXT],
    [Buffer.from([0xff]), BINARY],
    [Buffer.from('가').subarray(0, 2), BINARY],
    [Buffer.alloc(0), TEXT],
    [Buffer.from([0xed, 0xa0, 0x80]), BINARY],
    [Buffer.alloc(200, 'x'), TEXT],
    [Buffer.alloc(70_000, 'x'), TEXT],
    [Buffer.alloc(70_000, 0x80), BINARY],
  ]
  const sender = await Probe.connect(t, 'tcp', node)
  for (const [body] of bodies) sender.send('SEND', { destination, 'content-length': body.length }, body)
  for (const [body, opcode] of bodies) {
    const { first, payload } = await peer.frame()
    t.equal(first, FIN | opcode)
    t.ok(payload.subarray(-body.length - 1, -1).equals(body))
    t.match(payload.toString('latin1'), /^MESSAGE\n[^]*\0$/)
  }
})

t.test('[checklist 65] ping, pong and close, while messages come', async t => {
  const peer = await connectedPeer(t)
  peer.send(FIN | PING, 'hello')
  t.match(await peer.frame(), { first: FIN | PONG, payload: Buffer.from('hello') })
  peer.send(FIN | PING, 'x'.repeat(125))
  t.equal((await peer.frame()).payload.length, 125)
  peer.send(FIN | PONG, 'unasked')
  const destination = '/topic/pings'
  peer.send(FIN | TEXT, `SUBSCRIBE\nid:s\ndestination:${destination}\nreceipt:r\n\n\0`)
  await peer.frame()
  for (let i = 0; i < 50; i++) {
    peer.send(FIN | TEXT, `SEND\ndestination:${destination}\n\n${i}\0`)
    peer.send(FIN | PING, String(i))
  }
  const seen: Record<string, string[]> = { messages: [], pongs: [] }
  for (let i = 0; i < 100; i++) {
    const { first, payload } = await peer.frame()
    if (first === (FIN | PONG)) seen['pongs']!.push(payload.toString())
    else seen['messages']!.push(/\n\n(.*)\0$/.exec(payload.toString())![1]!)
  }
  const all = Array.from({ length: 50 }, (_, i) => String(i))
  t.same(seen, { messages: all, pongs: all })
  peer.send(FIN | CLOSE, Buffer.from([0x03, 0xe8]))
  t.match(await peer.frame(), { first: FIN | CLOSE, payload: Buffer.from([0x03, 0xe8]) })
  await once(peer.socket, 'close')
  t.equal(peer.received.length, 0, 'nothing after the Close frame')
})

t.test('[checklist 65] after ERROR comes Close and nothing else, though messages were waiting', async t => {
  const peer = await connectedPeer(t)
  const destination = '/topic/closing'
  peer.send(FIN | TEXT, `SUBSCRIBE\nid:s\ndestination:${destination}\nreceipt:r\n\n\0`)
  await peer.frame()
  peer.send(FIN | TEXT, `SEND\ndestination:${destination}\n\nx\0`.repeat(50) + 'BEGIN\n\n\0')
  let last = await peer.frame()
  while (!last.payload.toString().startsWith('ERROR')) last = await peer.frame()
  const close = await peer.frame()
  t.equal(close.first, FIN | CLOSE)
  t.equal(close.payload.readUInt16BE(), 1008)
  peer.send(FIN | CLOSE, close.payload)
  await once(peer.socket, 'close')
  t.equal(peer.received.length, 0)
})

t.test('[checklist 66] masking, UTF-8, opcodes, reserved bits, control frames are enforced', async t => {
  const wrong: [string, Buffer, number][] = [
    ['not masked', frameOf(FIN | TEXT, 'BEGIN\ntransaction:t\n\n\0', false), 1002],
    ['RSV1', frameOf(FIN | 0x40 | TEXT, 'x'), 1002],
    ['RSV2', frameOf(FIN | 0x20 | TEXT, 'x'), 1002],
    ['RSV3', frameOf(FIN | 0x10 | BINARY, 'x'), 1002],
    ['opcode 3', frameOf(FIN | 3, 'x'), 1002],
    ['opcode 11', frameOf(FIN | 11, 'x'), 1002],
    ['a continuation of nothing', frameOf(FIN | CONTINUATION, 'x'), 1002],
    ['a message within a message', Buffer.concat([frameOf(TEXT, 'x'), frameOf(FIN | TEXT, 'x')]), 1002],
    ['a ping in fragments', frameOf(PING, 'x'), 1002],
    ['a ping of 126 bytes', frameOf(FIN | PING, 'x'.repeat(126)), 1002],
    ['a Close of one byte', frameOf(FIN | CLOSE, 'x'), 1002],
    ['a Close with a code that is none', frameOf(FIN | CLOSE, Buffer.from([0x03, 0xe7])), 1002],
    ['text that is not UTF-8', frameOf(FIN | TEXT, Buffer.from([0xc3, 0x28])), 1007],
    ['text cut within a character', frameOf(FIN | TEXT, Buffer.from([0xe2, 0x82])), 1007],
    ['a reason that is not UTF-8', frameOf(FIN | CLOSE, Buffer.from([0x03, 0xe8, 0xff])), 1007],
  ]
  for (const [what, bytes, code] of wrong) {
    const peer = await connectedPeer(t)
    peer.socket.write(bytes)
    const close = await peer.frame()
    t.equal(close.first, FIN | CLOSE, what)
    t.equal(close.payload.readUInt16BE(), code, what)
  }
  const reset = await connectedPeer(t)
  const connections = await figure(node, 'hoofbeat_connections', () => true)
  reset.socket.resetAndDestroy()
  await figure(node, 'hoofbeat_connections', value => value < connections)
  t.same(
    node.lines.filter(line => (JSON.parse(line) as { level: number }).level > 30),
    [],
    'nobody fills the log with errors',
  )
})

t.test('[S-04] a message larger than the largest frame is closed with 1009, without ERROR', async t => {
  const probe = await Probe.connect(t, 'websocket', node)
  probe.raw(Buffer.alloc(2 * 1024 * 1024))
  t.equal(await probe.ended(), 1009)
  t.same(probe.frames, [])
  const fragments = await connectedPeer(t)
  for (let i = 0; i < 40; i++) fragments.send(i === 0 ? BINARY : CONTINUATION, Buffer.alloc(60_000, '\n'))
  const close = await fragments.frame()
  t.equal(close.first, FIN | CLOSE)
  t.equal(close.payload.readUInt16BE(), 1009)
})

t.test('[S-04] 16,384 fragments and 60 pings at once are taken, one more is not', async t => {
  const peer = await connectedPeer(t)
  const fragments = (count: number): Buffer => {
    const first = (i: number): number => (i === 0 ? BINARY : CONTINUATION) | (i === count - 1 ? FIN : 0)
    return Buffer.concat(Array.from({ length: count }, (_, i) => frameOf(first(i), '\n')))
  }
  peer.socket.write(fragments(16_384))
  peer.send(FIN | TEXT, 'BEGIN\ntransaction:t\nreceipt:r\n\n\0')
  t.match((await peer.frame()).payload.toString(), /^RECEIPT\n/)
  peer.socket.write(fragments(16_385))
  const close = await peer.frame()
  t.equal(close.first, FIN | CLOSE)
  t.equal(close.payload.readUInt16BE(), 1008)
  const pinger = await connectedPeer(t)
  const pings = (count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => frameOf(FIN | PING, '')))
  pinger.socket.write(pings(60))
  for (let i = 0; i < 60; i++) t.equal((await pinger.frame()).first, FIN | PONG)
  pinger.socket.write(pings(61))
  await pinger.ended()
})

t.test('[S-18] one message that never ends counts before CONNECTED', async t => {
  const peer = await openPeer(t)
  peer.send(TEXT, 'CONNECT\n')
  for (let i = 0; i < 17; i++) peer.send(CONTINUATION, `h${i}:${'x'.repeat(1000)}\n`)
  const { first, payload } = await peer.frame()
  t.equal(first, FIN | TEXT)
  t.match(payload.toString(), /^ERROR\n[^]*code:FRAME_TOO_LARGE\n/)
  t.equal((await peer.frame()).first, FIN | CLOSE)
})

t.test('a flood of pings by one who does not read is cut off', async t => {
  const here = await startNode(t)
  const peer = new RawPeer(t, here.port)
  await peer.handshake()
  peer.send(FIN | TEXT, 'CONNECT\naccept-version:1.2\n\n\0')
  await peer.frame()
  peer.socket.pause()
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => frameOf(FIN | PING, 'x'.repeat(125))))
  const { socket } = peer
  // It goes on for as long as the node lets it.
  const flood = (): void => {
    while (socket.writable && socket.write(pings));
  }
  socket.on('drain', flood)
  flood()
  t.equal(await figure(here, 'hoofbeat_connections', value => value === 0), 0)
})

t.test('the same client library as in browsers: close codes and reasons are no error', async t => {
  const socket = new WebSocket(`ws://localhost:${node.port}/ws`, ['v12.stomp'], { family: 4 })
  await once(socket, 'open')
  socket.send('CONNECT\naccept-version:1.2\nhost:x\n\n\0')
  await once(socket, 'message')
  socket.close(4000, 'done')
  const [code] = (await once(socket, 'close')) as [number]
  t.equal(code, 4000)
})
