import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { errors, fail, type ErrorCode } from '../errors.ts'
import { openAccess } from '../drivers/open.ts'
import type { RoomLog } from '../ports/room-log.ts'
import { figure, figures, startBridge, startNode, until } from '../testkit/node.ts'
import { Probe, wire } from '../testkit/probe.ts'

const node = await startNode(t)

wire(
  t,
  '[checklist 54, 55] [S-59] every client frame but CONNECT may ask for a RECEIPT and gets one, with its receipt-id',
  async (t, transport) => {
    const destination = `/topic/receipts-${transport}`
    const probe = await Probe.open(t, transport, node)
    probe.send('CONNECT', { 'accept-version': '1.2', 'receipt': 'none for this' })
    await probe.next('CONNECTED')
    await probe.request('SUBSCRIBE', { id: 's', destination, ack: 'client' })
    await probe.request('SEND', { destination })
    const { headers } = await probe.next('MESSAGE')
    await probe.request('BEGIN', { transaction: 't' })
    await probe.request('SEND', { destination, transaction: 't' })
    await probe.request('ACK', { id: headers['ack']!, transaction: 't' })
    await probe.request('COMMIT', { transaction: 't' })
    await probe.request('NACK', { id: (await probe.next('MESSAGE')).headers['ack']! })
    await probe.request('BEGIN', { transaction: 't' })
    await probe.request('ABORT', { transaction: 't' })
    await probe.request('UNSUBSCRIBE', { id: 's' })
    await probe.request('DISCONNECT')
    t.same(probe.frames, [], 'each one, and nothing else')
  },
)

wire(
  t,
  '[checklist 55] [S-59] a receipt-id is the receipt to the letter, in every version, and none comes unasked',
  async (t, transport) => {
    const destination = `/topic/letters-${transport}`
    const receipts: [string, string[]][] = [
      ['1.0', ['1', '', ' ', 'a:b', '\\n', 'é 가', 'x'.repeat(1000)]],
      ['1.1', ['1', '', ' a ', 'a\\cb', '\\n\\\\', 'é 가']],
      ['1.2', ['1', '', ' a ', 'a\\cb', '\\r\\n\\\\', 'é 가']],
    ]
    for (const [version, all] of receipts) {
      const probe = await Probe.connect(t, transport, node, { 'accept-version': version })
      for (const receipt of all) {
        probe.send('SEND', { destination })
        probe.send('SEND', { destination, receipt })
      }
      for (const receipt of all)
        t.equal((await probe.next('RECEIPT')).headers['receipt-id'], receipt, `${version} ${receipt}`)
      await probe.settled()
      t.same(probe.frames, [])
    }
  },
)

wire(
  t,
  '[checklist 55] what 1.0 and 1.1 cannot say is no receipt and no subscription id there',
  async (t, transport) => {
    for (const version of ['1.0', '1.1']) {
      for (const header of ['receipt:a\r', 'id:a\r\ndestination:/topic/x']) {
        const probe = await Probe.connect(t, transport, node, { 'accept-version': version })
        probe.raw(`SUBSCRIBE\ndestination:/topic/x\n${header}\n\n\0`)
        t.match((await probe.error()).headers, { code: 'BAD_HEADER', message: /carriage return/ })
      }
    }
  },
)

wire(
  t,
  '[checklist 56] [S-60] the RECEIPT of DISCONNECT follows the processing of earlier frames; then the connection is closed',
  async (t, transport) => {
    const destination = `/topic/goodbye-${transport}`
    const reader = await Probe.connect(t, transport, node)
    await reader.request('SUBSCRIBE', { id: 's', destination })
    for (let round = 0; round < 5; round++) {
      const probe = await Probe.connect(t, transport, node)
      const sends = Array.from({ length: 50 }, (_, i) => `SEND\ndestination:${destination}${i % 3}\nreceipt:${i}\n\n\0`)
      probe.raw(
        `SUBSCRIBE\nid:s\ndestination:${destination}/own\n\n\0${sends.join('')}SEND\ndestination:${destination}\n\n${round}\0` +
          `DISCONNECT\nreceipt:bye\n\n\0SEND\ndestination:${destination}\n\nafter DISCONNECT\0garbage`,
      )
      t.equal(await probe.ended(), transport === 'tcp' ? 0 : 1000)
      const receipts = probe.frames.map(({ headers }) => headers['receipt-id'])
      t.equal(receipts.length, 51)
      t.equal(receipts.at(-1), 'bye', 'it is the last')
    }
    const quiet = await Probe.connect(t, transport, node)
    quiet.send('DISCONNECT')
    await quiet.ended()
    t.same(quiet.frames, [], 'no RECEIPT where none was asked for')
    await reader.request('SEND', { destination }, 'barrier')
    t.same(await reader.bodiesUntil('barrier'), ['0', '1', '2', '3', '4', 'barrier'])
  },
)

wire(
  t,
  '[checklist 58, 59] [S-65] MUST close just after ERROR; nothing after it is processed or sent',
  async (t, transport) => {
    const destination = `/topic/nothing-after-${transport}`
    const reader = await Probe.connect(t, transport, node)
    await reader.request('SUBSCRIBE', { id: 's', destination })
    for (let round = 0; round < 10; round++) {
      const probe = await Probe.connect(t, transport, node)
      await probe.request('SUBSCRIBE', { id: 's', destination })
      const send = (body: string) => `SEND\ndestination:${destination}\nreceipt:${body}\n\n${body}\0`
      probe.raw(
        `${send('no')}UNSUBSCRIBE\nid:unknown\nreceipt:failing\n\n\0${send('never')}SUBSCRIBE\nid:2\ndestination:${destination}\n\n\0`,
      )
      await reader.request('SEND', { destination }, `round ${round}`)
      const { headers, body } = await probe.error()
      t.match(headers, {
        'code': 'UNKNOWN_SUBSCRIPTION',
        'receipt-id': 'failing',
        'message': /unknown$/,
        'content-type': 'text/plain;charset=utf-8',
      })
      t.equal(body.toString(), errors.UNKNOWN_SUBSCRIPTION.advice)
      t.notOk(probe.frames.some(frame => frame.headers['receipt-id'] === 'never'))
      t.equal(await probe.closed, transport === 'tcp' ? 0 : 1008)
    }
    await reader.request('SEND', { destination }, 'barrier')
    t.notOk((await reader.bodiesUntil('barrier')).includes('never'))
  },
)

wire(t, '[checklist 61] [S-65] no secret is in ERROR or in the log', async (t, transport) => {
  const here = await startNode(t, { LOG_LEVEL: 'debug' })
  const probe = await Probe.open(t, transport, here)
  const secrets = { 'passcode': 'hunter2-pass', 'Authorization': 'Bearer hunter2-token', 'cookie': 'hunter2-cookie' }
  probe.send('CONNECT', { 'accept-version': '1.2', 'login': 'ann', ...secrets })
  await probe.next('CONNECTED')
  probe.send('SEND', { destination: '/topic/x', receipt: 'r', secret: 'hunter2-header' }, 'hunter2-body')
  await probe.next('RECEIPT')
  probe.send('SEND', { destination: '/session/renew', ...secrets }, 'hunter2-renewal')
  const { headers, body } = await probe.error()
  t.equal(headers['code'], 'BAD_CREDENTIALS')
  t.notMatch(JSON.stringify(headers) + body.toString(), /hunter2/)
  await here.stop()
  t.ok(here.lines.length >= 3)
  t.notMatch(here.lines.join(''), /hunter2/)
})

wire(t, '[S-59] receipts of sends to one room come in order, whatever each had to wait for', async (t, transport) => {
  const settle = Promise.withResolvers<void>()
  let durable = 0
  const real = (): RoomLog => here.log.port
  const log: RoomLog = {
    create: rooms => real().create(rooms),
    append: async (room, records) => {
      const positions = await real().append(room, records)
      durable++
      await settle.promise
      return positions
    },
    tail: (room, from, sink) => real().tail(room, from, sink),
    read: (room, from, limit) => real().read(room, from, limit),
    bounds: room => real().bounds(room),
    remove: (room, before) => real().remove(room, before),
  }
  const here = await startBridge(t, {}, { log })
  const probe = await Probe.connect(t, transport, here)
  const send = (receipt: number): string => `SEND\ndestination:/topic/a\nreceipt:${receipt}\n\n\0`
  // The first one waits for the SUBSCRIBE, the second one for nothing.
  probe.raw(`SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0${send(1)}`)
  await until(() => durable === 1)
  probe.raw(send(2))
  await until(() => durable === 2)
  settle.resolve()
  const receipts: string[] = []
  while (receipts.length < 2) {
    receipts.push((await probe.take(({ command }) => command === 'RECEIPT', 'RECEIPT')).headers['receipt-id']!)
  }
  t.same(receipts, ['1', '2'])
})

wire(t, '[S-31] LOG_UNAVAILABLE, where the log is', async (t, transport) => {
  const here = await startBridge(t)
  const probe = await Probe.connect(t, transport, here)
  await probe.request('SEND', { destination: '/topic/a' })
  await here.log.close()
  probe.send('SEND', { destination: '/topic/a', receipt: 'r' })
  probe.send('SEND', { destination: '/topic/a', receipt: 'r2' })
  const { headers, body } = await probe.error()
  t.match(headers, { 'code': 'LOG_UNAVAILABLE', 'receipt-id': 'r' })
  t.match(body.toString(), /idempotency-key/)
  const other = await Probe.connect(t, transport, here)
  other.send('SUBSCRIBE', { id: 's', destination: '/topic/b', receipt: 'r' })
  t.match((await other.error()).headers, { 'code': 'LOG_UNAVAILABLE', 'receipt-id': 'r' })
})

wire(
  t,
  '[S-28] NO_SUCH_ROOM, when a room is removed under its subscribers and senders; then it is made anew',
  async (t, transport) => {
    const here = await startBridge(t)
    const subscriber = await Probe.connect(t, transport, here)
    await subscriber.request('SUBSCRIBE', { id: 's', destination: '/topic/a' })
    await here.log.port.remove('a')
    t.match((await subscriber.error()).headers, { code: 'NO_SUCH_ROOM', message: /a$/ })
    const again = await Probe.connect(t, transport, here)
    await again.request('SUBSCRIBE', { id: 's', destination: '/topic/a' })
    await again.request('SEND', { destination: '/topic/a' }, 'anew')
    t.equal((await again.next('MESSAGE')).body.toString(), 'anew')
    // Removed while nobody looked: the first who sends hears of it, and the next one has it made again; who subscribes has
    // missed nothing.
    const first = await Probe.connect(t, transport, here)
    await first.request('SEND', { destination: '/topic/b' })
    await here.log.port.remove('b')
    first.send('SEND', { destination: '/topic/b', receipt: 'r' })
    t.match((await first.error()).headers, { 'code': 'NO_SUCH_ROOM', 'receipt-id': 'r' })
    const second = await Probe.connect(t, transport, here)
    await second.request('SEND', { destination: '/topic/b' })
    await here.log.port.remove('b')
    await second.request('SUBSCRIBE', { id: 'b', destination: '/topic/b' })
    await second.request('SEND', { destination: '/topic/b' }, 'anew')
    t.equal((await second.next('MESSAGE')).body.toString(), 'anew')
  },
)

wire(
  t,
  'INTERNAL, where the server is wrong: logged with its cause, nothing of which is told',
  async (t, transport) => {
    const access = {
      ...openAccess().port,
      maySend: async () => Promise.reject(new TypeError('the inside of the server')),
    }
    const here = await startBridge(t, {}, { access })
    const probe = await Probe.connect(t, transport, here)
    probe.send('SEND', { destination: '/topic/a', receipt: 'r' })
    const { headers, body } = await probe.error()
    t.match(headers, { 'code': 'INTERNAL', 'receipt-id': 'r', 'message': errors.INTERNAL.message })
    t.equal(await probe.closed, transport === 'tcp' ? 0 : 1011)
    t.notMatch(JSON.stringify(headers) + body.toString(), /inside/)
    const line = here.lines.find(each => each.includes('INTERNAL'))!
    t.match(JSON.parse(line), {
      level: 50,
      code: 'INTERNAL',
      err: { type: 'TypeError', message: 'the inside of the server' },
    })
  },
)

wire(t, 'a refusal that nobody waits for any more does no harm', async (t, transport) => {
  const access = {
    ...openAccess().port,
    maySend: async (_who: unknown, room: string) => room !== 'no' || Promise.reject(fail('FORBIDDEN')),
  }
  const here = await startBridge(t, {}, { access })
  const probe = await Probe.connect(t, transport, here)
  // The second and third are never asked for, as the first is refused before them.
  probe.raw('SEND\ndestination:/topic/no\nreceipt:1\n\n\0'.repeat(3))
  t.match((await probe.error()).headers, { 'code': 'FORBIDDEN', 'receipt-id': '1' })
  for (let i = 0; i < 3; i++) {
    const leaver = await Probe.connect(t, transport, here)
    leaver.raw('SEND\ndestination:/topic/no\nreceipt:1\n\n\0'.repeat(3))
    leaver.end()
  }
  await figure(here, 'hoofbeat_connections', value => value === 0)
})

wire(t, 'errors are counted by code', async (t, transport) => {
  const here = await startNode(t)
  for (let i = 0; i < 3; i++) {
    const probe = await Probe.connect(t, transport, here)
    probe.send('SEND', {})
    await probe.error()
  }
  const all = await figures(here)
  t.equal(all.get('hoofbeat_errors_total{code="MISSING_HEADER"}'), 3)
  t.equal(all.get('hoofbeat_errors_total{code="INTERNAL"}'), 0)
  t.equal(all.get('hoofbeat_frames_out_total{command="ERROR"}'), 3)
})

t.test('every error code is provoked by a test', async t => {
  const server = join(import.meta.dirname, '..')
  const tests = readdirSync(server, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.test.ts'))
    .map(file => readFileSync(join(server, file), 'utf8'))
  const provoked = (code: ErrorCode): boolean =>
    tests.some(text => new RegExp(`'code'\\], '${code}'|code'?: '${code}'|, '${code}'|code="${code}"`).test(text))
  t.same(
    (Object.keys(errors) as ErrorCode[]).filter(code => !provoked(code)),
    [],
  )
})
