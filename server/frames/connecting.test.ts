import t from 'tap'
import { errors } from '../errors.ts'
import { figure, startNode } from '../testkit/node.ts'
import { Probe, wire } from '../testkit/probe.ts'

const node = await startNode(t)

wire(t, '[checklist 19] MUST support rapid connects and disconnects', async (t, transport) => {
  const here = await startNode(t)
  for (let round = 0; round < 5; round++) {
    const probes = await Promise.all(Array.from({ length: 20 }, () => Probe.connect(t, transport, here)))
    for (const [i, probe] of probes.entries()) {
      if (i % 2 === 0) probe.send('DISCONNECT', { receipt: 'bye' })
      else probe.end()
    }
    for (const probe of probes.filter((_, i) => i % 2 === 0)) await probe.ended()
  }
  t.equal(await figure(here, 'hoofbeat_connections', value => value === 0), 0)
  t.equal(await figure(here, 'hoofbeat_connections_total', () => true), 100)
})

wire(t, '[checklist 20] [S-11] MUST treat STOMP as CONNECT', async (t, transport) => {
  for (const version of ['1.2', '1.1', '1.0']) {
    const probe = await Probe.open(t, transport, node)
    probe.send('STOMP', { 'accept-version': version, 'host': 'test' })
    t.equal((await probe.next('CONNECTED')).headers['version'], version)
  }
})

wire(
  t,
  '[checklist 21, 22, 23] [S-12] MUST choose the highest common version; none asked for is 1.0',
  async (t, transport) => {
    const chosen: [string | undefined, string][] = [
      ['1.0,1.1,1.2', '1.2'],
      ['1.2', '1.2'],
      ['1.1,1.0', '1.1'],
      ['1.0', '1.0'],
      [undefined, '1.0'],
      ['1.2,2.0,9', '1.2'],
      ['1.0, 1.1', '1.1'],
    ]
    for (const [offered, version] of chosen) {
      const probe = await Probe.open(t, transport, node)
      probe.send('CONNECT', { host: 'test', ...(offered === undefined ? {} : { 'accept-version': offered }) })
      t.equal((await probe.next('CONNECTED')).headers['version'], version, offered ?? 'none')
    }
  },
)

wire(
  t,
  '[checklist 24] MUST answer no common version with ERROR, then close; version header lists what is supported',
  async (t, transport) => {
    for (const offered of ['1.3', '2.0,1.20', '', 'x']) {
      const probe = await Probe.open(t, transport, node)
      probe.send('CONNECT', { 'accept-version': offered, 'host': 'test' })
      const { headers, body } = await probe.error()
      t.match(headers, {
        'code': 'UNSUPPORTED_VERSION',
        'version': '1.0,1.1,1.2',
        'content-type': 'text/plain;charset=utf-8',
      })
      t.equal(body.toString(), errors.UNSUPPORTED_VERSION.advice)
      t.equal(await probe.closed, transport === 'tcp' ? 0 : 1008)
    }
  },
)

wire(
  t,
  '[checklist 25] [S-15] a refused CONNECT is answered with ERROR, then close, and nothing after it is processed',
  async (t, transport) => {
    const listener = await Probe.connect(t, transport, node)
    await listener.request('SUBSCRIBE', { id: 's', destination: `/topic/refused-${transport}` })
    const probe = await Probe.open(t, transport, node)
    const long = 'x'.repeat(129)
    probe.raw(`CONNECT\nlogin:${long}\nreceipt:r\n\n\0SEND\ndestination:/topic/refused-${transport}\n\nno\0`)
    const { headers } = await probe.error()
    t.match(headers, { code: 'BAD_CREDENTIALS' })
    t.notOk(JSON.stringify(headers).includes(long), 'what was wrong is not repeated')
    await listener.request('SEND', { destination: `/topic/refused-${transport}` }, 'barrier')
    t.same(await listener.bodiesUntil('barrier'), ['barrier'])
    const fits = await Probe.open(t, transport, node)
    fits.send('CONNECT', { login: 'x'.repeat(128) })
    t.equal((await fits.next('CONNECTED')).headers['user-name'], 'x'.repeat(128))
  },
)

wire(t, '[checklist 25] [S-13] host may be anything or absent', async (t, transport) => {
  for (const host of [undefined, '', 'elsewhere.example', 'with space:and:colons']) {
    const probe = await Probe.open(t, transport, node)
    probe.send('CONNECT', { 'accept-version': '1.2', ...(host === undefined ? {} : { host }) })
    await probe.next('CONNECTED')
  }
})

wire(
  t,
  '[checklist 26] [S-17] [S-22] CONNECTED has server (name/version), heart-beat, a unique session, version, user-name',
  async (t, transport) => {
    const sessions = new Set<string>()
    for (let i = 0; i < 5; i++) {
      const probe = await Probe.open(t, transport, node)
      probe.send('CONNECT', { 'accept-version': '1.2', 'host': 'test', 'login': `ann${i}` })
      const { headers, lines, body } = await probe.next('CONNECTED')
      t.same(Object.keys(headers).sort(), ['heart-beat', 'server', 'session', 'user-name', 'version'])
      t.equal(lines.length, 5, 'each once')
      t.match(headers['server'], /^hoofbeat\/\d+\.\d+\.\d+\S*$/)
      t.equal(headers['heart-beat'], '10000,10000')
      t.equal(headers['user-name'], `ann${i}`)
      t.equal(body.length, 0)
      sessions.add(headers['session']!)
    }
    t.equal(sessions.size, 5)
    const nameless = await Probe.open(t, transport, node)
    nameless.send('CONNECT')
    t.equal((await nameless.next('CONNECTED')).headers['user-name'], 'anonymous')
  },
)

wire(t, '[checklist 27, 59] [S-11] [S-65] nothing before CONNECT is processed', async (t, transport) => {
  const destination = `/topic/before-${transport}`
  const listener = await Probe.connect(t, transport, node)
  await listener.request('SUBSCRIBE', { id: 's', destination })
  for (const command of ['SEND', 'SUBSCRIBE', 'DISCONNECT', 'BEGIN', 'ACK']) {
    const probe = await Probe.open(t, transport, node)
    probe.raw(
      `${command}\ndestination:${destination}\nreceipt:r\nid:1\n\n\0CONNECT\n\n\0SEND\ndestination:${destination}\n\nno\0`,
    )
    const { headers } = await probe.error()
    t.match(headers, { 'code': 'NOT_CONNECTED', 'receipt-id': 'r' }, command)
    t.equal(probe.frames.length, 0, 'nothing but ERROR came')
  }
  await listener.request('SEND', { destination }, 'barrier')
  t.same(await listener.bodiesUntil('barrier'), ['barrier'])
})

wire(t, '[checklist 27] [S-11] a second CONNECT ends the session', async (t, transport) => {
  for (const command of ['CONNECT', 'STOMP']) {
    const probe = await Probe.connect(t, transport, node)
    probe.send(command, { receipt: 'again' })
    t.match((await probe.error()).headers, { 'code': 'NOT_CONNECTED', 'receipt-id': 'again' })
    const early = await Probe.open(t, transport, node)
    early.raw(`CONNECT\n\n\0${command}\n\n\0`)
    t.match((await early.error()).headers, { code: 'NOT_CONNECTED' })
    t.equal((await early.next('CONNECTED')).command, 'CONNECTED')
  }
})

wire(t, '[checklist 18] frames right behind CONNECT are read in the version that it agreed', async (t, transport) => {
  const probe = await Probe.open(t, transport, node)
  const destination = `/topic/behind-${transport}`
  probe.raw(
    'CONNECT\naccept-version:1.2\nhost:x\n\n\0' +
      `SUBSCRIBE\r\nid:a\\cb\r\ndestination:${destination}\r\nreceipt:one\r\n\r\n\0` +
      `SEND\ndestination:${destination}\nreceipt:two\n\nhello\0`,
  )
  await probe.next('CONNECTED')
  t.equal((await probe.next('RECEIPT')).headers['receipt-id'], 'one')
  const message = await probe.take(frame => frame.command === 'MESSAGE', 'MESSAGE')
  t.equal(message.headers['subscription'], 'a\\cb')
  t.equal(message.body.toString(), 'hello')
})

wire(t, '[S-18] without CONNECT in time: LOGIN_TIMEOUT', async (t, transport) => {
  const here = await startNode(t, { LOGIN_TIMEOUT: '100' })
  const silent = await Probe.open(t, transport, here)
  t.match((await silent.error()).headers, { code: 'LOGIN_TIMEOUT' })
  const chatty = await Probe.open(t, transport, here)
  chatty.raw('\n')
  chatty.raw('CONNECT\nlogin:')
  t.match((await chatty.error()).headers, { code: 'LOGIN_TIMEOUT' })
  const connected = await Probe.connect(t, transport, here)
  t.equal(await figure(here, 'hoofbeat_connections', value => value === 1), 1)
  await connected.request('BEGIN', { transaction: 't' })
})

/** A CONNECT frame that makes the socket carry `bytes`, the WebSocket header of one message included. */
const connectOf = (bytes: number, transport: string): Buffer => {
  const length = bytes - (transport === 'tcp' ? 0 : 8)
  const head = 'CONNECT\naccept-version:1.2\nheart-beat:0,0\n'
  const lines: string[] = []
  for (let left = length - head.length - 2; left > 0; left -= 4000) {
    const line = `h${lines.length}:`
    lines.push(`${line}${'x'.repeat(Math.min(left, 4000) - line.length - 1)}\n`)
  }
  const frame = Buffer.from(`${head}${lines.join('')}\n\0`)
  if (frame.length !== length) throw new Error(`${frame.length} bytes instead of ${length}`)
  return frame
}

wire(t, '[S-18] before CONNECTED 16 KiB may come, and not a byte more', async (t, transport) => {
  const fits = await Probe.open(t, transport, node)
  fits.raw(connectOf(16_384, transport))
  await fits.next('CONNECTED')
  await fits.request('BEGIN', { transaction: 'more is fine now' })
  const over = await Probe.open(t, transport, node)
  over.raw(connectOf(16_385, transport))
  t.match((await over.error()).headers, { code: 'FRAME_TOO_LARGE', message: /before CONNECTED/ })
  t.equal(over.frames.length, 0)
  const unfinished = await Probe.open(t, transport, node)
  for (let i = 0; i < 5; i++)
    unfinished.raw(`CONNECT\n${'x:y\n'.repeat(10)}`.slice(i === 0 ? 0 : 8) + `a:${'x'.repeat(4000)}\n`)
  t.match((await unfinished.error()).headers, { code: 'FRAME_TOO_LARGE', message: /before CONNECTED/ })
})
