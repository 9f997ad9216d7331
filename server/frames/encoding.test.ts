import t from 'tap'
import { startNode } from '../testkit/node.ts'
import { Probe, wire, type Received, type TransportName } from '../testkit/probe.ts'
import type { Test } from 'tap'

const node = await startNode(t)
const VERSIONS = ['1.0', '1.1', '1.2'] as const

/** A peer of `version` that listens to `destination`. */
const listener = async (t: Test, transport: TransportName, version: string, destination: string): Promise<Probe> => {
  const probe = await Probe.connect(t, transport, node, { 'accept-version': version })
  await probe.request('SUBSCRIBE', { id: 's', destination })
  return probe
}

const refuses = async (t: Test, transport: TransportName, version: string, bytes: Buffer | string, code: string) => {
  const probe = await Probe.connect(t, transport, node, { 'accept-version': version })
  probe.raw(bytes)
  const { headers } = await probe.error()
  t.equal(headers['code'], code, JSON.stringify(bytes.toString().slice(0, 80)))
  return headers
}

wire(t, '[checklist 1] [S-06] MUST accept LF line ends; MUST accept CRLF too (1.2)', async (t, transport) => {
  const destination = `/topic/crlf-${transport}`
  const probe = await Probe.open(t, transport, node)
  probe.raw('CONNECT\r\naccept-version:1.2\r\nlogin:ann\r\n\r\n\0\r\n')
  t.equal((await probe.next('CONNECTED')).headers['user-name'], 'ann')
  probe.raw(`SUBSCRIBE\r\nid:s\r\ndestination:${destination}\r\nreceipt:1\r\n\r\n\0\r\n\r\n`)
  t.equal((await probe.next('RECEIPT')).headers['receipt-id'], '1')
  probe.raw(`SEND\r\nkind:crlf\r\ndestination:${destination}\n\r\nline\r\nline\0`)
  const { headers, body } = await probe.next('MESSAGE')
  t.equal(headers['kind'], 'crlf')
  t.equal(body.toString(), 'line\r\nline', 'a body keeps its line ends')
  for (const version of ['1.0', '1.1']) {
    const old = await Probe.open(t, transport, node)
    old.raw(`CONNECT\r\naccept-version:${version}\r\n\r\n\0`)
    t.equal((await old.next('CONNECTED')).headers['version'], version, 'CONNECT may have CRLF whatever follows')
  }
})

wire(t, '[checklist 2] [S-06] MUST skip EOLs after the NULL of a frame', async (t, transport) => {
  const probe = await listener(t, transport, '1.2', `/topic/eols-${transport}`)
  const send = (body: string) => `SEND\ndestination:/topic/eols-${transport}\n\n${body}\0`
  probe.raw(`\n\n${send('one')}\n\r\n\n${send('two')}\r\n`)
  probe.raw('\n')
  probe.raw(`\r`)
  probe.raw(`\n${send('three')}`)
  t.same(await probe.bodiesUntil('three'), ['one', 'two', 'three'])
})

wire(t, '[checklist 3] MUST treat commands and header names case-sensitively', async (t, transport) => {
  await refuses(t, transport, '1.2', 'send\ndestination:/topic/x\n\n\0', 'UNKNOWN_COMMAND')
  await refuses(t, transport, '1.2', 'SEND\nDestination:/topic/x\n\n\0', 'MISSING_HEADER')
  const probe = await listener(t, transport, '1.2', `/topic/case-${transport}`)
  probe.send('SEND', { destination: `/topic/case-${transport}`, Key: 'A', key: 'a', Sender: 'mine', Receipt: 'none' })
  t.match((await probe.next('MESSAGE')).headers, { Key: 'A', key: 'a', Sender: 'mine' })
})

wire(t, '[checklist 4] [S-07] MUST decode and encode headers as UTF-8', async (t, transport) => {
  const destination = `/topic/utf8-${transport}`
  for (const version of VERSIONS) {
    const probe = await listener(t, transport, version, destination)
    probe.send('SEND', { destination, 'naïve 가': 'café ☕ 👩‍👩‍👧 \u{10FFFF}' }, 'é')
    t.equal((await probe.next('MESSAGE')).headers['naïve 가'], 'café ☕ 👩‍👩‍👧 \u{10FFFF}', version)
    const bad = Buffer.concat([
      Buffer.from(`SEND\ndestination:${destination}\nbad:`),
      Buffer.from([0xc3, 0x28]),
      Buffer.from('\n\n\0'),
    ])
    await refuses(t, transport, version, bad, 'BAD_ENCODING')
  }
})

wire(
  t,
  '[checklist 5] [S-07] MUST apply \\n \\c \\\\ (1.1), and \\r (1.2), both ways, in names and values',
  async (t, transport) => {
    const destination = `/topic/escapes-${transport}`
    const both = await Promise.all(['1.1', '1.2'].map(version => listener(t, transport, version, destination)))
    both[1]!.send('SEND', { destination, 'na\\cme': 'a\\nb\\\\n\\cc', cr: 'x\\ry' })
    t.match((await both[1]!.next('MESSAGE')).headers, { 'na\\cme': 'a\\nb\\\\n\\cc', cr: 'x\\ry' })
    const { headers } = await both[0]!.next('MESSAGE')
    t.equal(headers['na\\cme'], 'a\\nb\\\\n\\cc')
    t.equal(headers['cr'], undefined, 'what 1.1 cannot say is left out')
    both[0]!.send('SEND', { destination, 'na\\cme': 'a\\nb\\\\\\\\n' })
    for (const probe of both) t.equal((await probe.next('MESSAGE')).headers['na\\cme'], 'a\\nb\\\\\\\\n')
  },
)

wire(t, '[checklist 6] [S-07] MUST treat an undefined escape as fatal', async (t, transport) => {
  for (const [version, escape] of [
    ['1.2', '\\t'],
    ['1.2', 'x\\'],
    ['1.2', '\\N'],
    ['1.2', '\\ '],
    ['1.1', '\\r'],
    ['1.1', '\\t'],
    ['1.1', '\\'],
  ] as const) {
    await refuses(t, transport, version, `SEND\ndestination:/topic/x\nk:${escape}\n\n\0`, 'BAD_ESCAPE')
    await refuses(t, transport, version, `SEND\ndestination:/topic/x\n${escape}:v\n\n\0`, 'BAD_ESCAPE')
  }
})

wire(t, '[checklist 7] [S-07] MUST NOT escape or unescape CONNECT and CONNECTED', async (t, transport) => {
  for (const version of VERSIONS) {
    const probe = await Probe.open(t, transport, node)
    probe.send('CONNECT', { 'accept-version': version, 'login': 'a\\cb\\n\\\\:c\\q' })
    t.equal((await probe.next('CONNECTED')).headers['user-name'], 'a\\cb\\n\\\\:c\\q')
    await probe.request('SUBSCRIBE', { id: '1', destination: `/topic/names-${transport}` })
    probe.send('SEND', { destination: `/topic/names-${transport}` })
    const sender = version === '1.0' ? 'a\\cb\\n\\\\:c\\q' : 'a\\\\cb\\\\n\\\\\\\\\\cc\\\\q'
    t.equal((await probe.next('MESSAGE')).headers['sender'], sender, 'but MESSAGE as the version asks')
  }
})

wire(t, '[checklist 8] [S-07] MUST NOT escape in 1.0', async (t, transport) => {
  const destination = `/topic/plain-${transport}`
  const [old, current] = await Promise.all(['1.0', '1.2'].map(version => listener(t, transport, version, destination)))
  old!.send('SEND', { destination, path: 'C:\\new\\cat\\t', lone: '\\' })
  t.match((await old!.next('MESSAGE')).headers, { path: 'C:\\new\\cat\\t', lone: '\\' })
  t.match((await current!.next('MESSAGE')).headers, { path: 'C\\c\\\\new\\\\cat\\\\t', lone: '\\\\' })
})

wire(t, '[checklist 9] [S-07] MUST never trim or pad headers', async (t, transport) => {
  const destination = `/topic/spaces-${transport}`
  for (const version of ['1.1', '1.2']) {
    const probe = await listener(t, transport, version, destination)
    probe.raw(`SEND\ndestination:${destination}\n k : v \ntab:\t\nempty:\n\n\0`)
    t.match((await probe.next('MESSAGE')).headers, { ' k ': ' v ', 'tab': '\t', 'empty': '' })
  }
  await refuses(t, transport, '1.2', `SEND\ndestination: ${destination}\n\n\0`, 'BAD_DESTINATION')
})

wire(t, '[checklist 10] [S-09] only SEND has a body', async (t, transport) => {
  for (const command of ['SUBSCRIBE', 'UNSUBSCRIBE', 'ACK', 'NACK', 'BEGIN', 'COMMIT', 'ABORT', 'DISCONNECT']) {
    await refuses(t, transport, '1.2', `${command}\nid:1\n\nbody\0`, 'BAD_FRAME')
    await refuses(t, transport, '1.2', `${command}\nid:1\ncontent-length:4\n\nbody\0`, 'BAD_FRAME')
  }
  const probe = await Probe.connect(t, transport, node)
  await probe.request('BEGIN', { 'transaction': 't', 'content-length': '0' })
})

wire(
  t,
  '[checklist 11, 12, 43] [S-09] content-length octets are read whatever NULs they hold, and come out unchanged with one',
  async (t, transport) => {
    const destination = `/topic/bodies-${transport}`
    const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    const bodies = [
      every,
      Buffer.alloc(100),
      Buffer.from('\0\n\0SEND\ndestination:/topic/x\n\n\0'),
      Buffer.from('가\0'),
      Buffer.alloc(0),
    ]
    const probes = await Promise.all(VERSIONS.map(version => listener(t, transport, version, destination)))
    for (const sender of probes) {
      for (const body of bodies) sender.send('SEND', { destination, 'content-length': body.length }, body)
      for (const probe of probes) {
        for (const body of bodies) {
          const message = await probe.next('MESSAGE')
          t.ok(message.body.equals(body))
          t.equal(message.headers['content-length'], String(body.length))
        }
      }
    }
  },
)

wire(t, '[checklist 13] [S-09] a frame MUST still end with NULL after content-length octets', async (t, transport) => {
  for (const body of ['abcdX\0', 'abcde\0', 'abcd\n\0']) {
    await refuses(t, transport, '1.2', `SEND\ndestination:/topic/x\ncontent-length:4\n\n${body}`, 'BAD_FRAME')
  }
})

wire(t, '[checklist 14] [S-09] bad content-length values must not hang the session', async (t, transport) => {
  for (const value of ['-1', 'abc', '', ' 4', '4 ', '+4', '1e1', '0x4', '4,4', '99999999999999999999', 'NaN', '4.0']) {
    await refuses(t, transport, '1.2', `SEND\ndestination:/topic/x\ncontent-length:${value}\n\nabcd\0`, 'BAD_HEADER')
  }
  await refuses(
    t,
    transport,
    '1.2',
    'SEND\ndestination:/topic/x\ncontent-length:999999999999999\n\n',
    'FRAME_TOO_LARGE',
  )
})

wire(t, '[checklist 15] [S-07] of repeated headers the first counts', async (t, transport) => {
  const probe = await listener(t, transport, '1.2', `/topic/twice-${transport}`)
  probe.raw(
    `SEND\ndestination:/topic/twice-${transport}\ndestination:/topic/other\nk:1\nk:2\nreceipt:a\nreceipt:b\n\n\0`,
  )
  const message = await probe.take(frame => frame.command === 'MESSAGE', 'MESSAGE')
  t.same(
    message.lines.filter(([name]) => name === 'k'),
    [['k', '1']],
  )
  t.equal((await probe.next('RECEIPT')).headers['receipt-id'], 'a')
})

wire(t, '[checklist 16] content-type is passed on, and set on ERROR', async (t, transport) => {
  const probe = await listener(t, transport, '1.2', `/topic/types-${transport}`)
  probe.send(
    'SEND',
    { 'destination': `/topic/types-${transport}`, 'content-type': 'application/json;charset=utf-8' },
    '{}',
  )
  t.equal((await probe.next('MESSAGE')).headers['content-type'], 'application/json;charset=utf-8')
  probe.send('SEND')
  t.equal((await probe.error()).headers['content-type'], 'text/plain;charset=utf-8')
})

wire(t, '[checklist 18] MUST take frames however the stream is cut or joined', async (t, transport) => {
  const destination = `/topic/cut-${transport}`
  const bodies = ['é 가 👩', 'two\0NULs\0', '', 'last']
  const stream = Buffer.concat([
    Buffer.from(`\nSUBSCRIBE\nid:s\ndestination:${destination}\n\n\0\n\r\n`),
    ...bodies.map(body =>
      Buffer.from(
        `SEND\r\ndestination:${destination}\nk:é\\n가\ncontent-length:${Buffer.byteLength(body)}\n\n${body}\0\r\n`,
      ),
    ),
  ])
  for (const size of [1, 2, 3, 7, 64, stream.length]) {
    const probe = await Probe.connect(t, transport, node)
    for (let at = 0; at < stream.length; at += size) {
      probe.raw(stream.subarray(at, at + size))
      // Each piece by itself, as far as the network lets it.
      if (size < 8) await new Promise(setImmediate)
    }
    const messages = await probe.messages(bodies.length)
    t.same(
      messages.map(({ body }) => body.toString()),
      bodies,
      `${size} bytes at a time`,
    )
    t.ok(messages.every(({ headers }) => headers['k'] === 'é\\n가'))
  }
})

/** A header value as a client of `version` understands it. */
const understood = (value: string | undefined, version: string): string | undefined =>
  version === '1.0'
    ? value
    : value?.replace(/\\[^]/g, escape => ({ '\\n': '\n', '\\c': ':', '\\\\': '\\', '\\r': '\r' })[escape] ?? '?')

wire(t, '[checklist 44] [S-10] a header cannot forge or break a frame for another version', async (t, transport) => {
  const destination = `/topic/forge-${transport}`
  const tricks = [
    'a\nsubscription:other',
    'a\n\nbody\0MESSAGE\n',
    'x\ry',
    'a\\nb',
    'a:b',
    '\\',
    '\\\\n',
    'a\r\nsender:root',
    '\n',
  ]
  const probes = await Promise.all(VERSIONS.map(version => listener(t, transport, version, destination)))
  for (const [i, sender] of probes.entries()) {
    const version = VERSIONS[i]!
    const said = tricks.filter(
      trick =>
        !trick.includes('\0') &&
        (version === '1.2' || !trick.includes('\r')) &&
        (version !== '1.0' || !trick.includes('\n')),
    )
    const escape = (text: string) =>
      version === '1.0'
        ? text
        : text.replace(/[\\\n\r:]/g, c => ({ '\\': '\\\\', '\n': '\\n', '\r': '\\r', ':': '\\c' })[c] ?? c)
    const names = said.filter(trick => !trick.includes(':') || version !== '1.0')
    for (const trick of said) sender.send('SEND', { destination, value: escape(trick), marker: 'end' }, 'body')
    for (const trick of names) sender.send('SEND', { destination, [escape(trick)]: 'name', marker: 'end' }, 'body')
    for (const [j, probe] of probes.entries()) {
      const reader = VERSIONS[j]!
      const messages = await probe.messages(said.length + names.length)
      for (const [k, message] of messages.entries()) {
        const trick = [...said, ...names][k]!
        const unsayable = reader === '1.0' ? /[\n\r]/ : reader === '1.1' ? /\r/ : /^$/
        const [name, value] = message.lines.find(([name]) => !STANDARD.has(name)) ?? []
        const got = understood(k < said.length ? value : name, reader)
        const lost = unsayable.test(trick) || (reader === '1.0' && k >= said.length && trick.includes(':'))
        t.equal(got, lost ? undefined : trick, `${version} to ${reader}: ${JSON.stringify(trick)}`)
        t.same(intact(message), ['s', 'anonymous', 'end', 'body'])
      }
    }
  }
})

const STANDARD = new Set([
  'subscription',
  'destination',
  'message-id',
  'timestamp',
  'sender',
  'marker',
  'content-length',
])
const intact = ({ headers, body }: Received) => [
  headers['subscription'],
  headers['sender'],
  headers['marker'],
  body.toString(),
]

wire(
  t,
  '[checklist 60, 61] [S-08] malformed lines, garbage and cut frames do no harm to anyone else',
  async (t, transport) => {
    const destination = `/topic/garbage-${transport}`
    const bystander = await listener(t, transport, '1.2', destination)
    const garbage: [Buffer | string, string][] = [
      ['SEND\nno colon\n\n\0', 'BAD_HEADER'],
      ['SEND\n:no name\n\n\0', 'BAD_HEADER'],
      ['SEND\nk:nul\0in it\n\n\0', 'BAD_HEADER'],
      ['SEND\nk:a\rb\n\n\0', 'BAD_HEADER'],
      ['\0', 'BAD_FRAME'],
      ['\r\r', 'BAD_FRAME'],
      [Buffer.from([0xff, 0xfe, 0xfd]), 'BAD_FRAME'],
      [' SEND\n\n\0', 'BAD_FRAME'],
      ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'UNKNOWN_COMMAND'],
      ['SENDER\n\n\0', 'UNKNOWN_COMMAND'],
      ['MESSAGE\nmessage-id:1\n\nforged\0', 'UNKNOWN_COMMAND'],
      ['RECEIPT\nreceipt-id:1\n\n\0', 'UNKNOWN_COMMAND'],
      ['A'.repeat(100), 'UNKNOWN_COMMAND'],
    ]
    for (const [bytes, code] of garbage) {
      const headers = await refuses(t, transport, '1.2', bytes, code)
      t.notMatch(JSON.stringify(headers), /node_modules|\.ts|Error:|at /)
    }
    for (const cut of ['SEND\ndestination', `SEND\ndestination:${destination}\n\nhalf`, 'SEN']) {
      const probe = await Probe.connect(t, transport, node)
      probe.raw(cut)
      probe.end()
    }
    await bystander.request('SEND', { destination }, 'barrier')
    t.same(await bystander.bodiesUntil('barrier'), ['barrier'], 'half a frame is none')
  },
)
