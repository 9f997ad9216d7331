import { connect, type Socket } from 'node:net'
import { deflateRawSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { figure, startBridge, startNode } from '../testkit/node.ts'
import { Probe, transports, type Target, type TransportName } from '../testkit/probe.ts'

// Some of them wait for time to go by.
t.jobs = 4

type Flooded = Target & { readonly url: string }

/** How many messages the others exchange at least. */
const LEAST = 20

/**
 * Two who talk in a room of their own while `flood` goes on elsewhere on the node, one on each transport. They notice
 * nothing of it: every message comes, in order, to both, before and after its end.
 */
const undisturbed = (
  title: string,
  node: (t: Test) => Promise<Flooded>,
  flood: (t: Test, node: Flooded) => Promise<void>,
) => {
  void t.test(title, async t => {
    const here = await node(t)
    const destination = '/topic/calm'
    const pair = [
      await Probe.connect(t, 'websocket', here, { login: 'cato' }),
      await Probe.connect(t, 'tcp', here, { login: 'dora' }),
    ]
    for (const probe of pair) await probe.request('SUBSCRIBE', { id: 's', destination })
    let said = 0
    const say = async (): Promise<void> => {
      const body = String(said)
      await pair[said++ % 2]!.request('SEND', { destination }, body)
      for (const probe of pair) t.equal((await probe.next('MESSAGE')).body.toString(), body)
    }
    let over = false
    const flooding = flood(t, here).finally(() => (over = true))
    while (said < LEAST || (!over && said < 50 * LEAST)) await say()
    await flooding
    for (let i = 0; i < LEAST; i++) await say()
  })
}

/** What `count` connections come to that each do as `each` says, over both transports. */
const crowd = <T>(count: number, each: (transport: TransportName, i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => each(transports[i % 2]!, i)))

const told = async (t: Test, node: Flooded, code: string, count: number): Promise<void> => {
  t.equal(
    await figure(node, `hoofbeat_errors_total{code="${code}"}`, value => value >= count),
    count,
    `${code} is counted`,
  )
}
const refused = async (t: Test, node: Flooded, reason: string, count: number): Promise<void> => {
  t.equal(
    await figure(node, `hoofbeat_refused_total{reason="${reason}"}`, value => value >= count),
    count,
    `${reason} is counted`,
  )
}

/** A socket that says what it is told; `ended` resolves with all that came, when the server has ended it. */
const rawSocket = (t: Test, port: number): { socket: Socket; ended: Promise<Buffer> } => {
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  socket.on('data', chunk => chunks.push(chunk))
  const ended = new Promise<Buffer>(resolve => socket.on('close', () => resolve(Buffer.concat(chunks))))
  return { socket, ended }
}

const upgrade = (port: number, more = ''): string =>
  `GET /ws HTTP/1.1\r\nHost: localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`

/** A client's WebSocket frame of less than 64 KiB, its mask being zero. */
const webSocketFrame = (first: number, payload: Buffer): Buffer => {
  const length =
    payload.length < 126 ? [payload.length | 0x80] : [126 | 0x80, payload.length >> 8, payload.length & 255]
  return Buffer.concat([Buffer.from([first, ...length, 0, 0, 0, 0]), payload])
}

undisturbed(
  '[S-35] sends over the rate: RATE_LIMITED',
  t => startBridge(t, { SENDS_PER_SECOND: '1000', UNSETTLED_APPENDS: '100' }, { ratePatience: 400 }),
  async (t, node) => {
    const flooders = await crowd(4, transport => Probe.connect(t, transport, node, { login: 'mallory' }))
    const frames = `SEND\ndestination:/topic/flood\n\n${'x'.repeat(100)}\0`.repeat(2500)
    for (const probe of flooders) probe.raw(frames)
    for (const probe of flooders)
      t.match(await probe.error(), { headers: { code: 'RATE_LIMITED', 'retry-after-ms': /\d+/ } })
    await told(t, node, 'RATE_LIMITED', 4)
  },
)

undisturbed(
  '[S-28] [S-58] subscriptions, rooms and transactions over the limit',
  t => startNode(t, { SUBSCRIPTIONS: '10', ROOMS_PER_MINUTE: '20', TRANSACTIONS: '10' }),
  async (t, node) => {
    await (await Probe.connect(t, 'tcp', node)).request('SEND', { destination: '/topic/busy' })
    const over = async (code: string, frame: (i: number) => string): Promise<void> => {
      const frames = Array.from({ length: 200 }, (_, i) => frame(i)).join('')
      await crowd(20, async transport => {
        const probe = await Probe.connect(t, transport, node, { login: 'mallory' })
        probe.raw(frames)
        t.match(await probe.error(), { headers: { code } })
      })
      await told(t, node, code, 20)
    }
    await over('TOO_MANY_SUBSCRIPTIONS', i => `SUBSCRIBE\nid:${i}\ndestination:/topic/busy\n\n\0`)
    await over('TOO_MANY_TRANSACTIONS', i => `BEGIN\ntransaction:${i}\n\n\0`)
    let rooms = 0
    await over('TOO_MANY_ROOMS', () => `SEND\ndestination:/topic/room-${rooms++}\n\n\0`)
  },
)

undisturbed(
  '[S-19] connections of one user, and those that never log in, over the limit',
  t => startNode(t, { CONNECTIONS_PER_USER: '5', CONNECTIONS_WAITING: '10' }),
  async (t, node) => {
    // One at a time: only so many may be waiting.
    for (let i = 0; i < 20; i++) {
      const probe = await Probe.open(t, transports[i % 2]!, node)
      probe.send('CONNECT', { 'accept-version': '1.2', 'login': 'mallory' })
      if (i < 5) await probe.next('CONNECTED')
      else t.match(await probe.error(), { headers: { code: 'TOO_MANY_CONNECTIONS' } })
    }
    await refused(t, node, 'user', 15)
    const silent = await crowd(30, transport => Probe.open(t, transport, node))
    await refused(t, node, 'waiting', 20)
    for (const probe of silent) probe.end()
    await told(t, node, 'TOO_MANY_CONNECTIONS', 35)
    await figure(node, 'hoofbeat_connections', value => value === 7)
  },
)

undisturbed(
  '[S-19] connections of one address over the limit',
  t => startNode(t, { CONNECTIONS_PER_ADDRESS: '10' }),
  async (t, node) => {
    const all = await crowd(40, transport => Probe.open(t, transport, node))
    await refused(t, node, 'address', 32)
    for (const probe of all) probe.end()
    await told(t, node, 'TOO_MANY_CONNECTIONS', 32)
  },
)

undisturbed(
  '[S-18] a login that never comes, or comes byte by byte: LOGIN_TIMEOUT',
  t => startNode(t, { LOGIN_TIMEOUT: '500' }),
  async (t, node) => {
    const slow = async (transport: TransportName, i: number): Promise<void> => {
      const probe = await Probe.open(t, transport, node)
      // Silence, half a frame, or a byte every now and then: none of it buys time.
      if (i % 3 === 1) probe.raw('CONNECT\naccept-ver')
      const bytes = [...'CONNECT\naccept-version:1.2\n']
      const drip = i % 3 === 2 ? setInterval(() => probe.raw(bytes.shift() ?? 'x'), 100) : undefined
      const { headers } = await probe.error().finally(() => clearInterval(drip))
      t.equal(headers['code'], 'LOGIN_TIMEOUT')
    }
    await crowd(30, slow)
    await figure(node, 'hoofbeat_connections', value => value === 2)
  },
)

undisturbed(
  'half an HTTP upgrade, garbage and heads that are too large: 408, 400, 431, and the socket is closed',
  t => startNode(t),
  async (t, node) => {
    const { port } = node
    const begun = Array.from({ length: 20 }, () => {
      const { socket, ended } = rawSocket(t, port)
      socket.write(upgrade(port).slice(0, 60))
      return ended
    })
    for (const [bytes, status] of [
      ['CONNECT\naccept-version:1.2\n\n\0', 400],
      [upgrade(port, `X: ${'x'.repeat(20_000)}\r\n`), 431],
    ] as const) {
      const { socket, ended } = rawSocket(t, port)
      socket.write(bytes)
      t.match((await ended).toString(), new RegExp(`^HTTP/1.1 ${status} `))
    }
    for (const answer of await Promise.all(begun)) t.match(answer.toString(), /^HTTP\/1.1 408 /)
    await refused(t, node, 'http', 22)
  },
)

undisturbed(
  'frames that never end, and those that promise gigantic bodies',
  t => startNode(t),
  async (t, node) => {
    const begin = async (transport: TransportName, bytes: string): Promise<Probe> => {
      const probe = await Probe.connect(t, transport, node, { login: 'mallory' })
      probe.raw(bytes)
      return probe
    }
    const endless = await crowd(30, (transport, i) =>
      begin(
        transport,
        [
          'SEND\ndestination:/topic/a\nhead',
          'SEND\ndestination:/topic/a\n\nbo',
          'SEND\ndestination:/topic/a\ncontent-length:1000000\n\nbo',
        ][i % 3]!,
      ),
    )
    for (let i = 0; i < 100; i++) {
      for (const probe of endless) probe.raw('x')
      await new Promise(setImmediate)
    }
    await crowd(20, async transport => {
      const probe = await begin(transport, 'SEND\ndestination:/topic/a\ncontent-length:999999999999999\n\n')
      t.match(await probe.error(), { headers: { code: 'FRAME_TOO_LARGE' } })
    })
    await told(t, node, 'FRAME_TOO_LARGE', 20)
    // It is a frame all the same, if its end comes.
    endless[0]!.raw(':v\n\nat last\0')
    for (const probe of endless) probe.end()
    await figure(node, 'hoofbeat_connections', value => value === 2)
  },
)

undisturbed(
  '[S-22] [S-25] heart-beats without end, or none, and pings',
  t => startNode(t),
  async (t, node) => {
    const beats = { login: 'mallory', 'heart-beat': '1,1' }
    const beating = await crowd(4, transport => Probe.connect(t, transport, node, beats))
    for (const probe of beating) for (let i = 0; i < 20; i++) probe.raw('\n'.repeat(50_000))
    const silent = await crowd(10, transport => Probe.connect(t, transport, node, { 'heart-beat': '0,0' }))
    const { socket, ended } = rawSocket(t, node.port)
    socket.write(upgrade(node.port))
    const pings = Buffer.concat(Array.from({ length: 20_000 }, () => webSocketFrame(0x89, Buffer.from('ping'))))
    socket.write(pings)
    await ended
    for (const probe of [...beating, ...silent]) await probe.request('BEGIN', { transaction: 't' })
  },
)

undisturbed(
  '[S-05] a compression bomb, and a message in a hundred thousand fragments',
  t => startNode(t),
  async (t, node) => {
    const bomb = deflateRawSync(Buffer.alloc(2 ** 20)).subarray(0, 60_000)
    const peers = [
      webSocketFrame(0x80 | 0x40 | 2, bomb),
      Buffer.concat(Array.from({ length: 100_000 }, (_, i) => webSocketFrame(i === 0 ? 2 : 0, Buffer.from('\n')))),
    ].map(bytes => {
      const { socket, ended } = rawSocket(t, node.port)
      socket.write(upgrade(node.port, 'Sec-WebSocket-Extensions: permessage-deflate\r\n'))
      socket.write(bytes)
      return ended
    })
    for (const answer of await Promise.all(peers)) {
      const head = answer.indexOf('\r\n\r\n') + 4
      t.notMatch(answer.toString('latin1', 0, head), /extensions/i)
    }
    await refused(t, node, 'websocket', 2)
  },
)
