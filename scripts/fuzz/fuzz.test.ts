import * as fc from 'fast-check'
import t from 'tap'
import { startNode } from '../../server/testkit/node.ts'
import { cases, type Act, type Case } from './acts.ts'
import { readClient } from './client-stream.ts'
import { fuzzEnvironment, fuzzLimits, play, type Tally } from './play.ts'

const node = await startNode(t, { ...fuzzEnvironment, LOG_LEVEL: 'warn' })

t.test('whatever clients send, over both transports, what comes back is what the protocol says', async t => {
  const tally: Tally = { sent: 0, received: 0, connections: 0 }
  const property = fc.asyncProperty(cases(4, 60), each => play(node, each, tally))
  await fc.assert(property, { numRuns: 25, endOnFailure: true })
  t.ok(tally.sent > 500, `${tally.sent} frames`)
  t.ok(tally.received > 500, `${tally.received} answers`)
  t.same(
    node.lines.filter(line => (JSON.parse(line) as { level: number }).level > 40),
    [],
    'and nothing of it is an error of the node',
  )
})

/** A case of one client that says `bytes` to a room that another one is subscribed to. */
const saying = (...acts: Act[]): Case => ({
  clients: ['1.0', '1.1'].map(version => ({
    transport: 'tcp',
    version: version as '1.0' | '1.1',
    hello: '',
    hasty: false,
    cuts: [{ sizes: [], drip: false, text: true, fragments: false, pings: false }],
  })),
  rounds: [acts.map(act => [0, act] as const)],
})
const nothing: Tally = { sent: 0, received: 0, connections: 0 }
const common = { receipt: undefined, crLf: false }

t.test('a node that does something else is found out', async t => {
  const send: Act = {
    kind: 'send',
    room: 0,
    headers: [['k', 'v']],
    body: 'x',
    length: false,
    transaction: undefined,
    key: undefined,
    ...common,
  }
  const subscribe: Act = {
    kind: 'subscribe',
    room: 0,
    id: 's',
    ack: 'client',
    window: undefined,
    from: 'now',
    ...common,
  }
  const others: [string, Record<string, string>, Act[], RegExp][] = [
    ['a larger window', { WINDOW: '6' }, [subscribe, ...Array.from({ length: 9 }, () => send)], /in flight, over 5/],
    [
      'fewer headers',
      { HEADERS: '8' },
      [{ kind: 'bytes', bytes: `SEND\ndestination:%room%\n${'h:1\n'.repeat(9)}\n\0` }],
      /TOO_MANY_HEADERS/,
    ],
    [
      'longer lines',
      { HEADER_BYTES: '300' },
      [{ kind: 'bytes', bytes: `SEND\ndestination:%room%\nk:${'x'.repeat(280)}\n\n\0` }],
      /waited for the end|nobody sent/,
    ],
  ]
  for (const [what, env, acts, error] of others) {
    const other = await startNode(t, { ...fuzzEnvironment, ...env })
    await t.rejects(play(other, saying(...acts), nothing, 1000), { message: error }, what)
    await t.resolves(play(node, saying(...acts), nothing), `${what}: the node as it is`)
  }
})

t.test('the reading of the specification: frames, what is wrong, and what has not come yet', async t => {
  const read = (text: string, version: '1.0' | '1.1' | '1.2' | undefined = '1.2') => {
    const reading = readClient(Buffer.from(text, 'latin1'), version, fuzzLimits)
    return reading.kind === 'wrong' ? [...reading.codes].join() : reading.kind
  }
  t.equal(read('\r\n\nSEND\r\nk:v\r\n\r\nbody\0'), 'frame')
  t.equal(read('SEND\r\n\r\n\0', '1.1'), 'UNKNOWN_COMMAND,BAD_HEADER')
  t.equal(read('SEND\nk:\\r\n\n\0', '1.1'), 'BAD_ESCAPE')
  t.equal(read('SEND\nk:\\r\n\n\0'), 'frame')
  t.equal(read('SEND\nk:\\t\n\n\0', '1.0'), 'frame')
  t.equal(read('CONNECT\nk:\\t\n\n\0', undefined), 'frame')
  t.equal(read('SEND\ncontent-length:3\n\na\0b'), 'more')
  t.equal(read('SEND\ncontent-length:3\n\na\0bc'), 'BAD_FRAME')
  t.equal(read('BEGIN\ntransaction:t\n\nx\0'), 'BAD_FRAME')
  t.equal(read('SEND\nk:\xff\n\n\0'), 'BAD_ENCODING')
  t.equal(read(`SEND\nk:${'x'.repeat(255)}`), 'FRAME_TOO_LARGE')
  t.equal(read('SEND\nno colon'), 'more')
  t.equal(read('SEND\nno colon\n\n\0'), 'BAD_HEADER')
})
