import * as fc from 'fast-check'
import type { TransportName } from '../../server/testkit/probe.ts'
import type { Version } from './client-stream.ts'
import type { Cut } from './peer.ts'

/** Something that one client does. What it refers to (a room, a message to acknowledge) is looked up when it is done. */
export type Act =
  | SendingAct
  | { readonly kind: 'pause' }
  | { readonly kind: 'leave' }
  | { readonly kind: 'vanish' }
  | { readonly kind: 'knock'; readonly bytes: string }

/** What comes to bytes on the client's own connection. */
export type SendingAct =
  | ({
      readonly kind: 'send'
      readonly room: number
      readonly headers: readonly (readonly [string, string])[]
      readonly body: string
      readonly length: boolean
      readonly transaction: string | undefined
      readonly key: string | undefined
    } & Common)
  | ({
      readonly kind: 'subscribe'
      readonly room: number
      readonly id: string | undefined
      readonly ack: string | undefined
      readonly window: number | undefined
      readonly from: 'now' | { readonly last: number } | { readonly after: number } | { readonly beyond: string }
    } & Common)
  | ({ readonly kind: 'unsubscribe'; readonly pick: number } & Common)
  | ({
      readonly kind: 'ack'
      readonly pick: number
      readonly nack: boolean
      readonly transaction: string | undefined
    } & Common)
  | ({ readonly kind: 'begin' | 'commit' | 'abort'; readonly transaction: string } & Common)
  | ({ readonly kind: 'disconnect' } & Common)
  | { readonly kind: 'bytes'; readonly bytes: string }
  | { readonly kind: 'mutated'; readonly act: SendingAct; readonly at: number; readonly edit: Edit }

interface Common {
  /** Undefined: none is asked for. */
  readonly receipt: string | undefined
  readonly crLf: boolean
}

export type Edit =
  | { readonly insert: string }
  | { readonly remove: number }
  | { readonly flip: number }
  | { readonly cut: true }

export interface Client {
  readonly transport: TransportName
  readonly version: Version
  readonly hello: string
  /** It does not wait for CONNECTED. */
  readonly hasty: boolean
  readonly cuts: readonly Cut[]
}

export interface Case {
  readonly clients: readonly Client[]
  /** In each round all clients do what is theirs at the same time. */
  readonly rounds: readonly (readonly (readonly [client: number, act: Act])[])[]
}

const pick = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values)
const rarely = <T>(arbitrary: fc.Arbitrary<T>, one: number): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: one - 1 }).map(value => value)
const often = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 3 })

/** Names and values that forge a header, break a frame, or are read otherwise by another version. */
const names = pick(
  ...[
    'k',
    'a',
    'b',
    'content-type',
    'x y',
    ' lead',
    'trail ',
    'naïve 가',
    '😀',
    'co:lon',
    'line\nfeed',
    'cr\rname',
    'back\\slash',
  ],
  ...[
    '\\n',
    'Sender',
    'sender',
    'message-id',
    'timestamp',
    'subscription',
    'ack',
    'id',
    'hb-room',
    'hb-sender',
    'receipt-id',
  ],
  ...[
    'recovered',
    'first',
    ' sender',
    'sender ',
    'sender-name',
    'erased',
    '\ufeffsender',
    'Destination',
    '__proto__',
    'constructor',
    'version',
    'SEND',
  ],
)
const values = pick(
  ...[
    '',
    'v',
    'text/plain;charset=utf-8',
    ' lead',
    'trail ',
    'x:y',
    ':',
    'a\nsubscription:other',
    '\n',
    'a\rb',
    '\r',
    '\r\n',
  ],
  ...[
    'a\r\nsender:root',
    'a\\nb',
    '\\',
    '\\\\n',
    '\\c',
    '\\r',
    'a\n\nbody',
    'é',
    '가나다',
    '👩‍👩‍👧',
    '\u{10ffff}',
    '\ufeff',
    '\ufffd',
  ],
  ...['\u0001', '\t', '\u007f\u0085\u2028', 'x'.repeat(100), 'MESSAGE', '\\n\\nMESSAGE\\nsender:root'],
)
const ids = pick<string | undefined>(
  ...[
    's',
    'sub-0',
    '1',
    'a:b',
    'back\\slash',
    'é가😀',
    ' spaced ',
    'line\nfeed',
    'at@sign',
    '',
    'cr\rid',
    '\\n',
    undefined,
  ],
)
/** As latin1: any bytes. */
const bodies = fc.oneof(
  {
    weight: 8,
    arbitrary: pick(
      '',
      'x',
      'hello',
      '{"a":1}',
      'line\nline\r\n\r\n',
      '\xea\xb0\x80\xf0\x9f\x98\x80',
      '\\n\\c',
      'y'.repeat(300),
    ),
  },
  {
    weight: 3,
    arbitrary: pick(
      '\0',
      'a\0b\0\0',
      '\0\nMESSAGE\nsubscription:s\nsender:root\n\nforged\0',
      '\xff\xfe',
      '\xc3\x28',
      '\xed\xa0\x80',
      '\xea\xb0',
    ),
  },
  { weight: 1, arbitrary: pick('z'.repeat(4095), 'z'.repeat(4096), '\0'.repeat(4096)) },
)
const transactions = pick('t', 'u', '', 'tx:1\\n')

const common = {
  receipt: fc.option(values, { nil: undefined, freq: 2 }),
  crLf: fc.integer({ min: 0, max: 9 }).map(n => n === 0),
}

const send: fc.Arbitrary<SendingAct> = fc.record({
  kind: fc.constant('send' as const),
  room: fc.nat(2),
  headers: fc.array(fc.tuple(names, values), { maxLength: 4 }),
  body: bodies,
  length: fc.boolean(),
  transaction: rarely(transactions, 5),
  key: rarely(pick('k1', 'k2', 'k:3', '😀'.repeat(33), 'k'.repeat(64)), 8),
  ...common,
})
const subscribe: fc.Arbitrary<SendingAct> = fc.record({
  kind: fc.constant('subscribe' as const),
  room: fc.nat(3),
  id: ids,
  ack: often(pick('auto', 'client', 'client-individual')),
  window: rarely(pick(1, 2, 7, 100_000), 3),
  from: fc.oneof(
    { weight: 3, arbitrary: fc.constant('now' as const) },
    fc.record({ last: pick(1, 2, 5, 20) }),
    fc.record({ after: fc.nat(1000) }),
    fc.record({ beyond: pick('nonsense', 'abc-3', '-', '%epoch%-9999999', '%epoch%-99999999999999999999', '0', '') }),
  ),
  ...common,
})
const others: fc.Arbitrary<SendingAct> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), pick: fc.nat(20), ...common }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('ack' as const),
      pick: fc.nat(50),
      nack: fc.boolean(),
      transaction: rarely(transactions, 6),
      ...common,
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      kind: pick('begin' as const, 'commit' as const, 'commit' as const, 'abort' as const),
      transaction: transactions,
      ...common,
    }),
  },
)
const disconnect: fc.Arbitrary<SendingAct> = fc.record({ kind: fc.constant('disconnect' as const), ...common })

const lines = (count: number): string => Array.from({ length: count }, (_, i) => `h${i}:${i}\n`).join('')
const toRoom = (rest: string): string => `SEND\ndestination:%room%\n${rest}`

/** Frames that are wrong, or look as if they were; `%room%` is a room's name. The limits are those of `fuzzLimits`. */
const raw = pick(
  ...[
    '\n',
    '\r\n\r\n',
    '\n\r\n\n',
    '\0',
    '\r',
    '\rX',
    ' SEND\n\n\0',
    'send\n\n\0',
    'SEND\n\n\0',
    'SENDER\n\n\0',
    '\xef\xbb\xbfSEND\n\n\0',
  ],
  ...[
    'MESSAGE\nmessage-id:1\n\nforged\0',
    'RECEIPT\nreceipt-id:r\n\n\0',
    'CONNECTED\nversion:1.2\n\n\0',
    'GET / HTTP/1.1\r\n\r\n',
  ],
  ...['CONNECT\naccept-version:1.2\n\n\0', 'STOMP\n\n\0', 'UNSUBSCRIBED', 'A'.repeat(40), '\x16\x03\x01\x02'],
  ...[
    'BEGIN\n\n\0',
    'COMMIT\ntransaction:none\n\n\0',
    'ABORT\ntransaction:none\nreceipt:r\n\n\0',
    'ACK\nid:none\n\n\0',
    'NACK\n\n\0',
  ],
  ...[
    'ACK\nmessage-id:x\nsubscription:s\nid:x@s\n\n\0',
    'UNSUBSCRIBE\nid:none\nreceipt:r\n\n\0',
    'UNSUBSCRIBE\n\n\0',
    'SUBSCRIBE\n\n\0',
  ],
  ...['SUBSCRIBE\nid:x\ndestination:%room%\nack:nack\n\n\0', 'SUBSCRIBE\nid:x\ndestination:%room%\nlast:0\n\n\0'],
  ...['SUBSCRIBE\nid:x\ndestination:%room%\nlast:21\n\n\0', 'SUBSCRIBE\nid:x\ndestination:%room%\nwindow:0\n\n\0'],
  ...[
    'SUBSCRIBE\nid:x\ndestination:%room%\nwindow:1e3\n\n\0',
    'SUBSCRIBE\nid:x\ndestination:/user/queue/session\nack:client\n\n\0',
  ],
  ...['SUBSCRIBE\nid:q\ndestination:/user/queue/session\n\n\0', 'SUBSCRIBE\nid:x\ndestination:/session/renew\n\n\0'],
  ...[
    'DISCONNECT\nreceipt:x\n\nbody\0',
    'BEGIN\ntransaction:v\ncontent-length:0\n\n\0',
    'BEGIN\ntransaction:v\ncontent-length:3\n\nabc\0',
  ],
  ...[
    '/topic',
    '/topic/',
    '/topic/*',
    '/topic/a b',
    '/topic/\xc3\xa9',
    '/topic/a\\nb',
    '/queue/a',
    'topic/a',
    ' %room%',
    '%room% ',
    '',
  ].map(destination => `SEND\ndestination:${destination}\nreceipt:r\n\n\0`),
  ...[
    '/user/queue/session',
    '/user/queue/other',
    '/TOPIC/a',
    `/topic/${'x'.repeat(121)}`,
    '/topic/a\tb',
    '/exchange/a',
  ].map(destination => `SEND\ndestination:${destination}\n\n\0`),
  toRoom('no colon\n\n\0'),
  toRoom(':no name\n\n\0'),
  toRoom('k:a\0b\n\n\0'),
  toRoom('k:\\t\n\n\0'),
  toRoom('k:\\r\n\n\0'),
  toRoom('k:\\\n\n\0'),
  toRoom('\\x:v\n\n\0'),
  toRoom('k:a\rb\n\n\0'),
  toRoom('k:v\r\n\r\nwith CR LF\0'),
  toRoom('k:v\n\r\nboth\0'),
  toRoom('k:\xff\n\n\0'),
  toRoom('\xc0\x80:v\n\n\0'),
  toRoom('k:\xed\xa0\x80\n\n\0'),
  toRoom('k:\xef\xbb\xbf\xf4\x8f\xbf\xbf\n\n\0'),
  toRoom('k:1\nk:2\ndestination:/topic/other\nreceipt:one\nreceipt:two\n\n\0'),
  toRoom('receipt:a\rb\n\n\0'),
  toRoom(`content-length:2\ncontent-length:9\n\nab\0`),
  ...[
    '5\n\nabc',
    '2\n\nabc',
    '-1\n\n',
    '4097\n\n',
    '999999999\n\n',
    '99999999999999999999\n\n',
    '0x3\n\nabc',
    ' 3\n\nabc',
    '+3\n\nabc',
  ].map(length => toRoom(`content-length:${length}\0`)),
  ...['3.0\n\nabc', '\n\n', '3 \n\nabc', '003\n\nabc', '3,3\n\nabc', '4096\n\nshort'].map(length =>
    toRoom(`content-length:${length}\0`),
  ),
  toRoom(`${lines(15)}\n\0`),
  toRoom(`${lines(16)}\n\0`),
  toRoom(lines(30)),
  toRoom(`k:${'x'.repeat(254)}\n\n\0`),
  toRoom(`k:${'x'.repeat(255)}\n\n\0`),
  toRoom(`k:${'x'.repeat(400)}`),
  toRoom(`\n${'b'.repeat(4096)}\0`),
  toRoom(`\n${'b'.repeat(4097)}\0`),
  toRoom('idempotency-key:\n\n\0'),
  toRoom(`idempotency-key:${'k'.repeat(65)}\n\n\0`),
  toRoom(`idempotency-key:${'\xf0\x9f\x98\x80'.repeat(50)}\n\n\0`),
  toRoom('transaction:none\nreceipt:r\n\n\0'),
  toRoom('\nhalf a bo'),
  toRoom('half:a he'),
  'SEN',
)
const eols = pick('\n', '\r\n', '\n\n\n', '\r\n\n')

const mutable = fc.oneof(send, subscribe, others)
const nasty = pick('\0', '\n', '\r', ':', '\\', '\n\n', '\xff', 'receipt:m\n', '\0\n', 'content-length:1\n', ' ', 'A')
const mutated: fc.Arbitrary<SendingAct> = fc.record({
  kind: fc.constant('mutated' as const),
  act: mutable,
  at: fc.nat(400),
  edit: fc.oneof(
    fc.record({ insert: nasty }),
    fc.record({ remove: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ flip: fc.nat(7) }),
    fc.record({ cut: fc.constant(true as const) }),
  ),
})
const hellos = pick(
  ...[
    'CONNECT\n\n\0',
    'STOMP\naccept-version:1.3,2.0\n\n\0',
    'CONNECT\naccept-version:1.1\nheart-beat:1\n\n\0',
    'SEND\n\n\0',
    'CONNECT\n\nbody\0',
  ],
  ...[
    'CONNECT\nlogin:\x01\n\n\0',
    `CONNECT\nlogin:${'x'.repeat(129)}\n\n\0`,
    `CONNECT\nlogin:${'\xf0\x9f\x98\x80'.repeat(50)}\n\n\0`,
  ],
  ...[
    'CONNECT\r\nlogin:ann\r\n\r\n\0',
    'CONNECT\nlogin:a\\tb\\\n\n\0',
    'CONNECT\nlogin: \t\n\n\0',
    '\n\nCONNECT\naccept-version: 1.1 ,9\n\n\0',
  ],
  ...[
    'CONNECT\nheart-beat:-1,0\n\n\0',
    'CONNECT\nheart-beat:0,99999999999\n\n\0',
    'CONNECT\nno colon\n\n\0',
    'connect\n\n\0',
    '\xff',
    '\0',
    'A'.repeat(20),
  ],
  ...[
    'BEGIN\ntransaction:t\nreceipt:r\n\n\0',
    'CONNECT\nlogin:a\rb\n\n\0',
    'CONNECT\nk:a\0\n\n\0',
    `CONNECT\n${lines(17)}\n\0`,
    'CONNECT\naccept-version:\n\n\0',
  ],
)

const acts: fc.Arbitrary<Act> = fc.oneof(
  { weight: 500, arbitrary: send },
  { weight: 110, arbitrary: subscribe },
  { weight: 240, arbitrary: others },
  { weight: 25, arbitrary: eols.map(bytes => ({ kind: 'bytes' as const, bytes })) },
  { weight: 4, arbitrary: raw.map(bytes => ({ kind: 'bytes' as const, bytes })) },
  { weight: 4, arbitrary: mutated },
  { weight: 1, arbitrary: disconnect },
  {
    weight: 2,
    arbitrary: pick<Act>({ kind: 'pause' }, { kind: 'leave' }, { kind: 'vanish' }),
  },
  { weight: 2, arbitrary: hellos.map(bytes => ({ kind: 'knock' as const, bytes })) },
)

const cut: fc.Arbitrary<Cut> = fc.record({
  sizes: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
    fc.array(fc.integer({ min: 100, max: 1500 }), { minLength: 1, maxLength: 3 }),
  ),
  drip: fc.integer({ min: 0, max: 19 }).map(n => n === 0),
  text: fc.boolean(),
  fragments: fc.boolean(),
  pings: fc.integer({ min: 0, max: 3 }).map(n => n === 0),
})
const clients: fc.Arbitrary<Client> = fc.record({
  transport: pick('tcp' as const, 'websocket' as const),
  version: pick('1.0' as const, '1.1' as const, '1.2' as const),
  hello: pick(
    'login:ann\n',
    'login:bob\n',
    'login:a:b\\c é가\n',
    '',
    'login: spaced \nheart-beat:0,0\n',
    'heart-beat:100000,5000\n',
  ),
  hasty: fc.boolean(),
  cuts: fc.array(cut, { minLength: 1, maxLength: 5 }),
})

/** `acts`: how many there are in a round at most. */
export const cases = (rounds: number, most: number): fc.Arbitrary<Case> =>
  fc.record({
    clients: fc.array(clients, { minLength: 2, maxLength: 4, size: 'max' }),
    rounds: fc.array(fc.array(fc.tuple(fc.nat(3), acts), { minLength: 1, maxLength: most, size: 'max' }), {
      minLength: 1,
      maxLength: rounds,
      size: 'max',
    }),
  })
