import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { startBridge, startNode, until } from '../testkit/node.ts'
import { openAccess } from '../drivers/open.ts'
import { Probe, wire } from '../testkit/probe.ts'

// Most of them wait for time to go by.
t.jobs = 8
const node = await startNode(t, { HEART_BEAT: '200' })

wire(
  t,
  '[checklist 28] [S-22] a missing heart-beat header is 0,0: nothing is sent and nothing expected',
  async (t, transport) => {
    const probe = await Probe.open(t, transport, node)
    probe.send('CONNECT', { 'accept-version': '1.2' })
    t.equal((await probe.next('CONNECTED')).headers['heart-beat'], '200,200')
    const zero = await Probe.connect(t, transport, node, { 'heart-beat': '0,0' })
    const old: Probe[] = []
    for (const header of ['1,200', 'nonsense']) {
      old.push(await Probe.connect(t, transport, node, { 'accept-version': '1.0', 'heart-beat': header }))
    }
    const beating = await Probe.connect(t, transport, node, { 'heart-beat': '0,200' })
    await beating.when(() => beating.beats >= 5, 'five heart-beats')
    t.same([probe.beats, zero.beats], [0, 0])
    for (const each of old) {
      await each.request('BEGIN', { transaction: 'nothing was promised in 1.0' })
      t.equal(each.beats, 0)
    }
    await probe.request('BEGIN', { transaction: 'still there' })
  },
)

wire(
  t,
  '[checklist 29] [S-23] MUST send something every MAX(sx,cy) ms, an EOL if nothing else',
  async (t, transport) => {
    const often = await Probe.connect(t, transport, node, { 'heart-beat': '0,1' })
    const agreed = await Probe.connect(t, transport, node, { 'heart-beat': '0,200' })
    const seldom = await Probe.connect(t, transport, node, { 'heart-beat': '0,1000' })
    const never = await Probe.connect(t, transport, node, { 'heart-beat': '0,0' })
    const from = often.beats
    await often.when(() => often.beats >= from + 10, 'ten heart-beats')
    await seldom.when(() => seldom.beats >= 1, 'a heart-beat')
    t.ok(seldom.beats * 3 <= often.beats, 'who wants few gets few')
    t.ok(agreed.beats >= 5)
    t.equal(never.beats, 0)
    if (transport === 'websocket') t.same(new Set(agreed.binary), new Set([false]), 'EOLs are text messages')
    agreed.send('BEGIN', { transaction: 't', receipt: 'r' })
    t.equal((await agreed.next('RECEIPT')).headers['receipt-id'], 'r', 'frames and EOLs do not get into each other')
  },
)

t.test('[checklist 30] [S-24] TCP: a client that promised heart-beats and is silent gets HEART_BEAT_LOST', async t => {
  for (const offer of ['1,0', '200,0', '200,200']) {
    const probe = await Probe.connect(t, 'tcp', node, { 'heart-beat': offer })
    t.match((await probe.error()).headers, { code: 'HEART_BEAT_LOST' }, offer)
  }
  const silent = await Probe.connect(t, 'tcp', node, { 'heart-beat': '600000,0' })
  const promised = await Probe.connect(t, 'tcp', node, { 'heart-beat': '300,0' })
  t.match((await promised.error()).headers, { code: 'HEART_BEAT_LOST' })
  await silent.request('BEGIN', { transaction: 'the longer promise counts' })
})

wire(t, '[checklist 31] [S-24] [S-25] any byte is a sign of life, also half a frame', async (t, transport) => {
  const probe = await Probe.connect(t, transport, node, { 'heart-beat': '200,200' })
  const silent = await Probe.connect(t, 'tcp', node, { 'heart-beat': '200,0' })
  const destination = `/topic/life-${transport}`
  await probe.request('SUBSCRIBE', { id: 's', destination })
  // A little now and then, in step with the server's own heart-beats.
  for (const bytes of ['\n', '\n', 'S', 'END', '\ndest', `ination:${destination}\n`, '\ns', 'low', 'ly']) {
    const { beats } = probe
    probe.raw(bytes)
    await probe.when(() => probe.beats > beats, 'a heart-beat')
  }
  probe.raw('\0')
  t.equal((await probe.next('MESSAGE')).body.toString(), 'slowly')
  t.match((await silent.error()).headers, { code: 'HEART_BEAT_LOST' }, 'others that were silent meanwhile are gone')
})

wire(t, '[checklist 32] [S-22] a malformed heart-beat header is answered', async (t, transport) => {
  for (const header of ['', '1', '1,', ',1', '-1,0', 'a,b', '1;2', '1,2,3', '1.5,0', ' 1,1', '0x1,0']) {
    const probe = await Probe.open(t, transport, node)
    probe.send('CONNECT', { 'accept-version': '1.2', 'heart-beat': header })
    t.match((await probe.error()).headers, { code: 'BAD_HEADER', message: /heart-beat/ }, header)
  }
  const huge = await Probe.connect(t, transport, node, { 'heart-beat': '99999999999999999999,99999999999999999999' })
  await huge.settled()
})

t.test('[S-25] WebSocket: a silent client is pinged, and dead when it does not answer', async t => {
  const answering = await Probe.connect(t, 'websocket', node, { 'heart-beat': '1,0' })
  await answering.when(() => answering.pings >= 4, 'pings')
  await answering.request('BEGIN', { transaction: 'alive, though it never kept its promise' })
  // A client that does not even answer pings.
  const socket = connect(node.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.write(
    'GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  const frame = Buffer.from('CONNECT\naccept-version:1.2\n\n\0')
  // Masked with zeros, so that it can be read here.
  socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | frame.length, 0, 0, 0, 0]), frame]))
  let received = ''
  socket.on('data', chunk => {
    received += chunk.toString('latin1')
    if (received.includes('ERROR')) socket.end()
  })
  await once(socket, 'close')
  t.match(received, /CONNECTED\n/)
  t.ok(received.includes('\x89\0'), 'it was asked')
  t.match(received, /code:HEART_BEAT_LOST\n/)
})

wire(t, '[S-26] none of these times runs while the server itself has paused reading', async (t, transport) => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const access = { ...openAccess().port, maySend: async () => gate.then(() => true) }
  const here = await startBridge(t, { HEART_BEAT: '100', UNSETTLED_APPENDS: '1' }, { access })
  const paused = await Probe.connect(t, transport, here, { 'heart-beat': '100,0' })
  paused.send('SEND', { destination: '/topic/a', receipt: 'r' })
  for (let i = 0; i < 10; i++) paused.raw('\n')
  const silent = await Probe.connect(t, 'tcp', here, { 'heart-beat': '100,0' })
  t.match((await silent.error()).headers, { code: 'HEART_BEAT_LOST' })
  const another = await Probe.connect(t, 'tcp', here, { 'heart-beat': '100,0' })
  t.match((await another.error()).headers, { code: 'HEART_BEAT_LOST' }, 'time enough has gone by')
  open()
  t.equal((await paused.next('RECEIPT')).headers['receipt-id'], 'r')
})

wire(t, '[S-18] [S-26] the time to log in does not run while the server does not read', async (t, transport) => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const access = { ...openAccess().port, maySend: async () => gate.then(() => true) }
  const here = await startBridge(
    t,
    { HEART_BEAT: '100', LOGIN_TIMEOUT: '200', LOG_QUEUE_BYTES: String(2 ** 21) },
    { access },
  )
  const clock = await Probe.connect(t, 'tcp', here, { 'heart-beat': '0,100' })
  const sender = await Probe.connect(t, transport, here)
  for (let i = 0; i < 2; i++) sender.send('SEND', { destination: '/topic/a' }, Buffer.alloc(2 ** 20, 'x'))
  await until(() => here.node.gauges().unsettledBytes > 2 ** 21)
  const waiting = await Probe.open(t, transport, here)
  waiting.send('CONNECT', { 'accept-version': '1.2' })
  const { beats } = clock
  await clock.when(() => clock.beats >= beats + 8, 'more than the time to log in')
  t.same(waiting.frames, [])
  open()
  await waiting.next('CONNECTED')
})
