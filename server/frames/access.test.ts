import t, { type Test } from 'tap'
import { inMs, sign, startNode, tokenAccess } from '../testkit/node.ts'
import { Probe, wire, type TransportName } from '../testkit/probe.ts'

// Most of them wait for time to go by.
t.jobs = 8

const node = await startNode(t, tokenAccess)

const connect = async (t: Test, transport: TransportName, claims: object, at = node): Promise<Probe> =>
  Probe.connect(t, transport, at, { Authorization: `Bearer ${await sign({ sub: 'ann', ...claims })}` })

/** Someone who may do everything, for as long as the test takes. */
const anyone = (t: Test, transport: TransportName): Promise<Probe> => connect(t, transport, { sub: 'anyone' })

wire(t, '[S-14] [S-16] the token comes as Authorization, in any case, or as passcode', async (t, transport) => {
  const token = await sign({ sub: 'ann' })
  const ways: Record<string, string>[] = [
    { Authorization: `Bearer ${token}` },
    { authorization: `bearer ${token}` },
    { AUTHORIZATION: `BEARER   ${token}` },
    { passcode: token },
    { login: 'bob', passcode: token },
    { login: 'bob', passcode: 'no token', Authorization: `Bearer ${token}` },
  ]
  for (const headers of ways) {
    const probe = await Probe.open(t, transport, node)
    probe.send('CONNECT', { 'accept-version': '1.2', ...headers })
    t.equal((await probe.next('CONNECTED')).headers['user-name'], 'ann')
  }
})

wire(t, '[checklist 25] [S-14] BAD_CREDENTIALS and TOKEN_EXPIRED, then close', async (t, transport) => {
  const good = await sign({ sub: 'ann' })
  const wrong: [Record<string, string>, string][] = [
    [{}, 'BAD_CREDENTIALS'],
    [{ login: 'ann' }, 'BAD_CREDENTIALS'],
    [{ login: 'ann', passcode: 'password' }, 'BAD_CREDENTIALS'],
    [{ Authorization: `Bearer ${good}x` }, 'BAD_CREDENTIALS'],
    [{ Authorization: `Basic ${good}` }, 'BAD_CREDENTIALS'],
    [{ Authorization: good }, 'BAD_CREDENTIALS'],
    [{ Authorization: '' }, 'BAD_CREDENTIALS'],
    [{ passcode: await sign({}) }, 'BAD_CREDENTIALS'],
    [{ passcode: await sign({ sub: 'ann', exp: inMs(-1000) }) }, 'TOKEN_EXPIRED'],
  ]
  for (const [headers, code] of wrong) {
    const probe = await Probe.open(t, transport, node)
    probe.send('CONNECT', { 'accept-version': '1.2', ...headers })
    const error = await probe.error()
    t.match(error.headers, { code })
    t.notOk(JSON.stringify(error).includes(good.slice(-20)), 'nothing of a token is repeated')
    t.same(probe.frames, [])
  }
})

wire(t, '[S-29] [S-37] FORBIDDEN: what the claim `rooms` does not allow to read or send', async (t, transport) => {
  const rooms = { read: ['news', 'team.*'], send: ['team.*'] }
  const probe = await connect(t, transport, { rooms })
  await probe.request('SUBSCRIBE', { id: '1', destination: '/topic/news' })
  await probe.request('SUBSCRIBE', { id: '2', destination: `/topic/team.a-${transport}` })
  await probe.request('SEND', { destination: `/topic/team.a-${transport}` }, 'mine')
  t.match((await probe.next('MESSAGE')).headers, { sender: 'ann' })
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
  const refused: [string, Record<string, string>, string][] = [
    ['SEND', { destination: '/topic/news' }, ''],
    ['SEND', { destination: `/topic/secret-${transport}` }, ''],
    ['SUBSCRIBE', { destination: `/topic/secret-${transport}`, id: '3', last: '10' }, ''],
    ['SUBSCRIBE', { destination: '/topic/team', id: '3' }, ''],
  ]
  for (const [command, headers] of refused) {
    const other = await connect(t, transport, { rooms })
    other.send(command, { ...headers, receipt: 'r' })
    t.match((await other.error()).headers, { 'code': 'FORBIDDEN', 'receipt-id': 'r' }, JSON.stringify(headers))
  }
  const parked = await connect(t, transport, { rooms })
  parked.send('BEGIN', { transaction: 't' })
  for (const room of [`team.a-${transport}`, 'news', 'team.b'])
    parked.send('SEND', { destination: `/topic/${room}`, transaction: 't' }, 'parked')
  parked.send('COMMIT', { transaction: 't', receipt: 'commit' })
  parked.send('SEND', { destination: `/topic/team.a-${transport}`, receipt: 'after' }, 'parked')
  t.match((await parked.error()).headers, { 'code': 'FORBIDDEN', 'receipt-id': 'commit' })
  await probe.request('SEND', { destination: `/topic/team.a-${transport}` }, 'barrier')
  t.same(await probe.bodiesUntil('barrier'), ['barrier'], 'nothing of what was refused came')
})

wire(t, '[S-29] after a refused SEND nothing of the later frames is done, in any room', async (t, transport) => {
  const reader = await anyone(t, transport)
  for (const room of [`team.x-${transport}`, `secret-${transport}`])
    await reader.request('SUBSCRIBE', { id: room, destination: `/topic/${room}` })
  for (let i = 0; i < 5; i++) {
    const probe = await connect(t, transport, { rooms: { send: ['team.*'], read: ['team.*'] } })
    const send = (room: string, receipt: string) => `SEND\ndestination:/topic/${room}\nreceipt:${receipt}\n\nno\0`
    probe.raw(
      send(`secret-${transport}`, '1') +
        send(`secret-${transport}`, '2') +
        `SUBSCRIBE\nid:1\ndestination:/topic/secret-${transport}\nreceipt:3\n\n\0`,
    )
    t.match((await probe.error()).headers, { 'code': 'FORBIDDEN', 'receipt-id': '1' })
    t.same(probe.frames, [])
  }
  await reader.request('SEND', { destination: `/topic/secret-${transport}` }, 'barrier')
  t.same(await reader.bodiesUntil('barrier'), ['barrier'])
})

wire(
  t,
  '[S-20] when the token expires delivery ends: TOKEN_EXPIRED, and what waited is dropped',
  async (t, transport) => {
    const destination = `/topic/expiry-${transport}`
    const end = Date.now() + 5000
    const probe = await connect(t, transport, { exp: inMs(5000) })
    await probe.request('SUBSCRIBE', { id: 's', destination })
    const sender = await anyone(t, transport)
    const witness = await connect(t, transport, { exp: inMs(5000) })
    await sender.request('SEND', { destination }, 'in time')
    t.equal((await probe.next('MESSAGE')).body.toString(), 'in time')
    probe.pause(true)
    const body = Buffer.alloc(256 * 1024, 'x')
    // More than sockets hold, so that much of it waits in the node.
    let sent = 0
    for (; sent < 60 && Date.now() < end; sent++) await sender.request('SEND', { destination }, body)
    t.match((await witness.error()).headers, { code: 'TOKEN_EXPIRED' }, 'the time has come')
    probe.pause(false)
    t.match((await probe.error()).headers, { code: 'TOKEN_EXPIRED' })
    t.ok(probe.frames.length < sent, `${probe.frames.length} of ${sent} had been written before`)
  },
)

wire(t, '[S-20] an end that is far away does not come at once', async (t, transport) => {
  for (const ms of [2 ** 31 + 1000, 2 ** 33, 1e14]) {
    const probe = await connect(t, transport, { exp: inMs(ms) })
    await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
    await probe.settled()
    t.same(probe.frames, [])
  }
})

wire(
  t,
  '[S-62] the user queue is told 30 s before the token ends, also one that is subscribed to later',
  async (t, transport) => {
    const expires = Math.floor(Date.now() + 32_000)
    const probe = await connect(t, transport, { exp: expires / 1000 })
    for (const id of ['one', 'two']) await probe.request('SUBSCRIBE', { id, destination: '/user/queue/session' })
    await probe.request('SUBSCRIBE', { id: 'room', destination: '/topic/a' })
    const stranger = await connect(t, transport, { exp: expires / 1000 })
    const notices = await probe.messages(2)
    t.same(
      notices.map(({ headers }) => headers['subscription']),
      ['one', 'two'],
    )
    for (const { headers } of notices)
      t.match(headers, { type: 'token-expiring', expires: String(expires), destination: '/user/queue/session' })
    t.not(notices[0]!.headers['message-id'], notices[1]!.headers['message-id'])
    await stranger.settled()
    t.same(stranger.frames, [], 'who did not subscribe is not told')
    await stranger.request('SUBSCRIBE', { id: 'late', destination: '/user/queue/session' })
    t.match((await stranger.next('MESSAGE')).headers, { type: 'token-expiring', subscription: 'late' })
  },
)

wire(t, '[S-21] a new token of the same user goes on where the old one ends', async (t, transport) => {
  const destination = `/topic/renewed-${transport}`
  const sender = await anyone(t, transport)
  const renewals = async (token: string): Promise<[Record<string, string>, string][]> => [
    [{ Authorization: `Bearer ${token}` }, ''],
    [{ passcode: token }, ''],
    [{}, token],
    [{}, `\n ${token}\n`],
  ]
  const probes: Probe[] = []
  for (const [headers, body] of await renewals(await sign({ sub: 'ann', exp: inMs(60_000) }))) {
    const probe = await connect(t, transport, { exp: inMs(3000) })
    await probe.request('SUBSCRIBE', { id: 's', destination })
    t.same(Object.keys((await probe.request('SEND', { destination: '/session/renew', ...headers }, body)).headers), [
      'receipt-id',
    ])
    probes.push(probe)
  }
  // A witness whose token was not renewed: after its end the others would have ended too.
  const witness = await connect(t, transport, { exp: inMs(3200) })
  t.match((await witness.error()).headers, { code: 'TOKEN_EXPIRED' })
  await sender.request('SEND', { destination }, 'still there')
  for (const probe of probes) t.equal((await probe.next('MESSAGE')).body.toString(), 'still there')
  const shorter = await connect(t, transport, { exp: inMs(60_000) })
  await shorter.request('SEND', {
    destination: '/session/renew',
    passcode: await sign({ sub: 'ann', exp: inMs(2000) }),
  })
  t.match((await shorter.error()).headers, { code: 'TOKEN_EXPIRED' }, 'an end that is nearer counts as well')
  const endless = await connect(t, transport, { exp: inMs(60_000) })
  await endless.request('SEND', { destination: '/session/renew', passcode: await sign({ sub: 'ann' }) })
})

wire(
  t,
  '[S-21] a renewal is refused: of another user, expired, no token, or without the rights to what is subscribed to',
  async (t, transport) => {
    const wrong: [object, string, string][] = [
      [{ sub: 'bob' }, 'BAD_CREDENTIALS', 'user'],
      [{ exp: inMs(-1000) }, 'TOKEN_EXPIRED', ''],
      [{ rooms: { read: ['other'], send: ['team.*'] } }, 'FORBIDDEN', 'team.a'],
    ]
    for (const [claims, code, message] of wrong) {
      const probe = await connect(t, transport, {})
      await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
      await probe.request('SUBSCRIBE', { id: 's', destination: '/topic/team.a' })
      probe.send('SEND', { destination: '/session/renew', receipt: 'r' }, await sign({ sub: 'ann', ...claims }))
      const { headers } = await probe.error()
      t.match(headers, { code, 'receipt-id': 'r' })
      t.ok(headers['message']!.includes(message))
    }
    for (const body of ['', 'nonsense']) {
      const probe = await connect(t, transport, {})
      probe.send('SEND', { destination: '/session/renew', receipt: 'r' }, body)
      t.match((await probe.error()).headers, { 'code': 'BAD_CREDENTIALS', 'receipt-id': 'r' })
    }
    const fewer = await connect(t, transport, {})
    await fewer.request('SUBSCRIBE', { id: 's', destination: '/topic/team.a' })
    await fewer.request('SUBSCRIBE', { id: 'gone', destination: '/topic/secret' })
    await fewer.request('UNSUBSCRIBE', { id: 'gone' })
    await fewer.request(
      'SEND',
      { destination: '/session/renew' },
      await sign({ sub: 'ann', rooms: { read: ['team.*'] } }),
    )
    fewer.send('SEND', { destination: '/topic/team.a', receipt: 'r' })
    t.match(
      (await fewer.error()).headers,
      { 'code': 'FORBIDDEN', 'receipt-id': 'r' },
      'the new rights count from then on',
    )
  },
)

wire(t, 'a renewal while the user is over the rate does not leave the connection waiting', async (t, transport) => {
  const here = await startNode(t, { ...tokenAccess, SENDS_PER_SECOND: '10' })
  for (let round = 0; round < 3; round++) {
    const probe = await connect(t, transport, { sub: `user ${round}`, exp: inMs(60_000) }, here)
    const token = await sign({ sub: `user ${round}`, exp: inMs(90_000) })
    const send = (i: number) => `SEND\ndestination:/topic/a\nreceipt:${i}\n\n\0`
    probe.raw(
      `SEND\ndestination:/session/renew\nreceipt:renewed\n\n${token}\0${Array.from({ length: 15 }, (_, i) => send(i)).join('')}`,
    )
    for (let i = 0; i < 16; i++) await probe.next('RECEIPT')
  }
})

wire(t, 'a renewal that is under way when the connection ends changes nothing any more', async (t, transport) => {
  const here = await startNode(t, tokenAccess)
  for (let round = 0; round < 5; round++) {
    const probe = await connect(t, transport, { exp: inMs(60_000) }, here)
    const token = await sign({ sub: 'ann', exp: inMs(90_000) })
    const renewal = `SEND\ndestination:/session/renew\nreceipt:renewed\n\n${token}\0`
    if (round % 2 === 0) {
      probe.raw(`${renewal}ACK\nid:unknown\n\n\0`)
      t.match((await probe.error()).headers, { code: 'UNKNOWN_ACK' })
    } else {
      probe.raw(`${renewal}DISCONNECT\nreceipt:bye\n\n\0`)
      await probe.ended()
      t.same(
        probe.frames.map(({ headers }) => headers['receipt-id']),
        ['renewed', 'bye'],
      )
    }
    const leaver = await connect(t, transport, { exp: inMs(60_000) }, here)
    leaver.raw(renewal)
    leaver.end()
  }
})
