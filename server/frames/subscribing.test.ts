import t from 'tap'
import { figure, startNode } from '../testkit/node.ts'
import { Probe, wire } from '../testkit/probe.ts'

const node = await startNode(t)

wire(
  t,
  '[checklist 35] [S-36] SUBSCRIBE needs destination, and id from 1.1 on; a failed one gets ERROR, then close',
  async (t, transport) => {
    const bad: [string, Record<string, string>, string][] = [
      ['1.2', { id: '1' }, 'MISSING_HEADER'],
      ['1.2', { destination: '/topic/a' }, 'MISSING_HEADER'],
      ['1.1', { destination: '/topic/a' }, 'MISSING_HEADER'],
      ['1.0', {}, 'MISSING_HEADER'],
      ['1.2', { id: '1', destination: '/queue/a' }, 'BAD_DESTINATION'],
      ['1.2', { id: '1', destination: '/user/queue/other' }, 'BAD_DESTINATION'],
      ['1.2', { id: '1', destination: '/session/renew' }, 'BAD_DESTINATION'],
      ['1.2', { id: '1', destination: '/topic/*' }, 'BAD_DESTINATION'],
      ['1.2', { id: '1', destination: '/topic/a', window: '0' }, 'BAD_HEADER'],
      ['1.2', { id: '1', destination: '/topic/a', window: '100001' }, 'BAD_HEADER'],
      ['1.2', { id: '1', destination: '/topic/a', window: 'many' }, 'BAD_HEADER'],
      ['1.2', { id: '1', destination: '/topic/a', last: '0' }, 'BAD_HEADER'],
      ['1.2', { id: '1', destination: '/topic/a', last: '-1' }, 'BAD_HEADER'],
      ['1.2', { id: '1', destination: '/topic/a', last: '1001' }, 'BAD_HEADER'],
      ['1.2', { id: '1', destination: '/topic/a', last: '9999999999' }, 'BAD_HEADER'],
      ['1.2', { id: '1', destination: '/user/queue/session', ack: 'client' }, 'BAD_HEADER'],
    ]
    for (const [version, headers, code] of bad) {
      const probe = await Probe.connect(t, transport, node, { 'accept-version': version })
      probe.send('SUBSCRIBE', { ...headers, receipt: 'r' })
      t.match((await probe.error()).headers, { code, 'receipt-id': 'r' }, JSON.stringify(headers))
    }
  },
)

wire(
  t,
  '[checklist 36] [S-36] subscription ids are unique in a connection, and free again after UNSUBSCRIBE',
  async (t, transport) => {
    const destination = `/topic/ids-${transport}`
    for (const second of [destination, `${destination}/other`, '/user/queue/session']) {
      const probe = await Probe.connect(t, transport, node)
      probe.send('SUBSCRIBE', { id: 'one', destination })
      probe.send('SUBSCRIBE', { id: 'one', destination: second, receipt: 'r' })
      t.match((await probe.error()).headers, { 'code': 'DUPLICATE_SUBSCRIPTION', 'receipt-id': 'r' })
    }
    const [probe, other] = await Promise.all([1, 2].map(() => Probe.connect(t, transport, node)))
    for (const each of [probe!, other!]) await each.request('SUBSCRIBE', { id: 'one', destination })
    await probe!.request('UNSUBSCRIBE', { id: 'one' })
    await probe!.request('SUBSCRIBE', { id: 'one', destination: `${destination}/other` })
    await other!.request('SEND', { destination }, 'first')
    await other!.request('SEND', { destination: `${destination}/other` }, 'second')
    t.same(await probe!.bodiesUntil('second'), ['second'])
    t.same(await other!.bodiesUntil('first'), ['first'])
  },
)

wire(
  t,
  '[checklist 36, 41] several subscriptions of one room in a connection each get every message once',
  async (t, transport) => {
    const destination = `/topic/several-${transport}`
    const probe = await Probe.connect(t, transport, node)
    for (const id of ['a', 'b', 'with space:colon'])
      await probe.request('SUBSCRIBE', { id: id.replace(':', '\\c'), destination })
    for (let i = 0; i < 10; i++) await probe.request('SEND', { destination }, `${i}`)
    const messages = await probe.messages(30)
    for (const id of ['a', 'b', 'with space\\ccolon']) {
      t.same(
        messages.filter(({ headers }) => headers['subscription'] === id).map(({ body }) => Number(body)),
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
      )
    }
    await probe.request('UNSUBSCRIBE', { id: 'a' })
    await probe.request('SEND', { destination }, 'after')
    t.same((await probe.messages(2)).map(({ headers }) => headers['subscription']).sort(), ['b', 'with space\\ccolon'])
  },
)

wire(t, '[checklist 37] [S-38] whatever is sent after the RECEIPT of SUBSCRIBE is delivered', async (t, transport) => {
  const sender = await Probe.connect(t, transport, node)
  for (let i = 0; i < 30; i++) {
    const destination = `/topic/from-now-${transport}-${i % 10}`
    const probe = await Probe.connect(t, transport, node)
    await sender.request('SEND', { destination }, 'before')
    await probe.request('SUBSCRIBE', { id: 's', destination })
    sender.send('SEND', { destination }, `after ${i}`)
    t.same((await probe.next('MESSAGE')).body.toString(), `after ${i}`, 'and nothing from before')
  }
})

wire(t, '[checklist 38] [S-42] ack is auto, client or client-individual; default auto', async (t, transport) => {
  const destination = `/topic/modes-${transport}`
  const probe = await Probe.connect(t, transport, node)
  await probe.request('SUBSCRIBE', { id: 'default', destination })
  for (const ack of ['auto', 'client', 'client-individual'])
    await probe.request('SUBSCRIBE', { id: ack, destination, ack })
  await probe.request('SEND', { destination })
  for (const { headers } of await probe.messages(4)) {
    t.equal('ack' in headers, headers['subscription']!.startsWith('client'))
  }
  for (const ack of ['', 'Auto', 'none', 'client ']) {
    const wrong = await Probe.connect(t, transport, node)
    wrong.send('SUBSCRIBE', { id: '1', destination, ack })
    t.match((await wrong.error()).headers, { code: 'BAD_HEADER' })
  }
})

wire(
  t,
  '[checklist 39] [S-44] after UNSUBSCRIBE nothing more arrives, and others go on; its id must exist',
  async (t, transport) => {
    const destination = `/topic/ended-${transport}`
    const sender = await Probe.connect(t, transport, node)
    const probe = await Probe.connect(t, transport, node)
    for (const id of ['stays', 'goes']) await probe.request('SUBSCRIBE', { id, destination })
    let sending = true
    const sent = (async () => {
      for (let i = 0; sending; i++) await sender.request('SEND', { destination }, `${i}`)
    })()
    await probe.when(() => probe.frames.length > 20, 'messages')
    await probe.request('UNSUBSCRIBE', { id: 'goes' })
    const got = probe.frames.length
    await probe.when(() => probe.frames.length > got + 20, 'messages')
    sending = false
    await sent
    await sender.request('SEND', { destination }, 'barrier')
    await probe.when(() => probe.frames.some(({ body }) => body.toString() === 'barrier'), 'barrier')
    t.same(new Set(probe.frames.slice(got).map(({ headers }) => headers['subscription'])), new Set(['stays']))
    const stays = probe.frames
      .filter(({ headers }) => headers['subscription'] === 'stays')
      .map(({ body }) => body.toString())
    t.same(stays, [...Array.from({ length: stays.length - 1 }, (_, i) => String(i)), 'barrier'])
    for (const [headers, code] of [
      [{ id: 'goes' }, 'UNKNOWN_SUBSCRIPTION'],
      [{}, 'MISSING_HEADER'],
      [{ destination }, 'MISSING_HEADER'],
    ] as const) {
      const wrong = await Probe.connect(t, transport, node)
      wrong.send('UNSUBSCRIBE', { ...headers, receipt: 'r' })
      t.match((await wrong.error()).headers, { code, 'receipt-id': 'r' })
    }
  },
)

wire(
  t,
  '[checklist 40] [S-36] [S-44] 1.0: id is optional, and UNSUBSCRIBE may be by destination',
  async (t, transport) => {
    const destination = `/topic/old-${transport}`
    const probe = await Probe.connect(t, transport, node, { 'accept-version': '1.0' })
    await probe.request('SUBSCRIBE', { destination })
    await probe.request('SEND', { destination }, 'one')
    const message = await probe.next('MESSAGE')
    t.notOk('subscription' in message.headers, 'no id, no subscription header')
    await probe.request('UNSUBSCRIBE', { destination })
    await probe.request('SUBSCRIBE', { destination, id: 'named' })
    await probe.request('SEND', { destination }, 'two')
    t.match((await probe.next('MESSAGE')).headers, { subscription: 'named' })
    await probe.request('UNSUBSCRIBE', { destination })
    await probe.request('SUBSCRIBE', { destination, id: 'again' })
    await probe.request('UNSUBSCRIBE', { id: 'again' })
    await probe.request('SUBSCRIBE', { destination: `${destination}/barrier` })
    await probe.request('SEND', { destination }, 'nobody hears it')
    await probe.request('SEND', { destination: `${destination}/barrier` }, 'barrier')
    t.same(await probe.bodiesUntil('barrier'), ['barrier'])
    probe.send('UNSUBSCRIBE', { destination })
    t.match((await probe.error()).headers, { code: 'UNKNOWN_SUBSCRIPTION' })
    const both = await Probe.connect(t, transport, node, { 'accept-version': '1.0' })
    await both.request('SUBSCRIBE', { destination, id: 'named' })
    await both.request('SUBSCRIBE', { destination })
    await both.request('UNSUBSCRIBE', { destination })
    await both.request('UNSUBSCRIBE', { id: 'named' })
    const twice = await Probe.connect(t, transport, node, { 'accept-version': '1.0' })
    twice.send('SUBSCRIBE', { destination })
    twice.send('SUBSCRIBE', { destination })
    t.match((await twice.error()).headers, { code: 'DUPLICATE_SUBSCRIPTION' })
    const neither = await Probe.connect(t, transport, node, { 'accept-version': '1.0' })
    neither.send('UNSUBSCRIBE')
    t.match((await neither.error()).headers, { code: 'MISSING_HEADER' })
  },
)

wire(
  t,
  '[checklist 36, 39] [S-41] [S-44] UNSUBSCRIBE while SUBSCRIBE is under way, and the id used again at once',
  async (t, transport) => {
    const sender = await Probe.connect(t, transport, node)
    for (let i = 0; i < 10; i++) {
      const one = `/topic/race-${transport}-${i}`
      const two = `${one}/two`
      const probe = await Probe.connect(t, transport, node)
      probe.raw(
        `SUBSCRIBE\nid:s\ndestination:${one}\nafter:none\nreceipt:1\n\n\0UNSUBSCRIBE\nid:s\nreceipt:2\n\n\0` +
          `SUBSCRIBE\nid:s\ndestination:${two}\nreceipt:3\n\n\0UNSUBSCRIBE\nid:s\nreceipt:4\n\n\0` +
          `SUBSCRIBE\nid:s\ndestination:${one}\nreceipt:5\nack:client\n\n\0`,
      )
      const receipts: string[] = []
      while (receipts.length < 5) {
        const { headers } = await probe.next('RECEIPT')
        receipts.push(headers['receipt-id']!)
        t.equal(headers['recovered'], headers['receipt-id'] === '1' ? 'false' : undefined, 'also of one that has ended')
      }
      t.same(receipts.toSorted(), ['1', '2', '3', '4', '5'])
      t.same(
        receipts.filter(id => id < '3'),
        ['1', '2'],
        "UNSUBSCRIBE's RECEIPT after SUBSCRIBE's",
      )
      await sender.request('SEND', { destination: two }, 'nobody hears it')
      await sender.request('SEND', { destination: one }, 'once')
      const message = await probe.next('MESSAGE')
      t.equal(message.body.toString(), 'once')
      t.ok(message.headers['ack'], 'the last one counts')
      await probe.request('ACK', { id: message.headers['ack']! })
      t.same(probe.frames, [], 'once alone')
      probe.end()
    }
    await figure(node, 'hoofbeat_subscriptions', value => value === 0)
  },
)

wire(t, '[S-36] [S-62] the user queue `session` can be subscribed to and left', async (t, transport) => {
  const probe = await Probe.connect(t, transport, node)
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
  await probe.request('UNSUBSCRIBE', { id: 'q' })
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session', ack: 'auto' })
  await probe.request('UNSUBSCRIBE', { id: 'q' })
})

wire(
  t,
  'a room is tailed from its first subscriber until after its last, and can be subscribed to again',
  async (t, transport) => {
    const here = await startNode(t)
    const probe = await Probe.connect(t, transport, here)
    for (let i = 0; i < 2; i++) {
      await probe.request('SUBSCRIBE', { id: 's', destination: '/topic/a' })
      t.equal(await figure(here, 'hoofbeat_rooms_tailed', () => true), 1)
      t.equal(await figure(here, 'hoofbeat_subscriptions', () => true), 1)
      await probe.request('UNSUBSCRIBE', { id: 's' })
      t.equal(await figure(here, 'hoofbeat_rooms_tailed', value => value === 0), 0)
      t.equal(await figure(here, 'hoofbeat_subscriptions', () => true), 0)
    }
  },
)
