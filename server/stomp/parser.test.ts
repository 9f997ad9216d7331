import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { type ErrorCode, HoofbeatError } from '../errors.ts'
import type { Frame, Version } from './frame.ts'
import { Parser } from './parser.ts'

const LIMITS = { bodyBytes: 100, headers: 4, headerBytes: 32 }
type Wire = string | Buffer
/** `none`: nothing is agreed on yet. */
type Agreed = Version | 'none'

const parserOf = (version: Agreed, limits = LIMITS): Parser => {
  const parser = new Parser(limits)
  parser.version = version === 'none' ? undefined : version
  return parser
}
const push = (parser: Parser, wire: Wire): void => parser.push(Buffer.from(wire as string))
const drain = (parser: Parser): Frame[] => {
  const frames: Frame[] = []
  for (let frame = parser.read(); frame; frame = parser.read()) frames.push(frame)
  return frames
}
/** All frames of `wire`, which came in one piece. */
const framesOf = (wire: Wire, version: Agreed = '1.2'): Frame[] => {
  const parser = parserOf(version)
  push(parser, wire)
  return drain(parser)
}
/** The one frame of `wire`, its headers as pairs and its body as text. */
const one = (wire: Wire, version: Agreed = '1.2') => {
  const frames = framesOf(wire, version)
  if (frames.length !== 1 || frames[0] === undefined) throw new Error(`${frames.length} frames instead of one`)
  return { command: frames[0].command, headers: [...frames[0].headers], body: frames[0].body.toString() }
}
/** The error that `wire` ends in. */
const errorOf = (wire: Wire, version: Agreed = '1.2', limits = LIMITS): HoofbeatError => {
  const parser = parserOf(version, limits)
  push(parser, wire)
  try {
    drain(parser)
  } catch (error) {
    if (error instanceof HoofbeatError) return error
    throw error
  }
  throw new Error('no error')
}
const codeOf = (wire: Wire, version: Agreed = '1.2', limits = LIMITS): ErrorCode => errorOf(wire, version, limits).code
const heads = ['BEGIN', 'ABORT', 'COMMIT', 'ACK', 'NACK', 'SUBSCRIBE', 'UNSUBSCRIBE', 'DISCONNECT', 'CONNECT', 'STOMP']

t.test('[checklist 1] accepts LF line ends, and CRLF too (1.2)', t => {
  const frame = { command: 'SEND', headers: [['a', 'b']], body: 'c\r\n' }
  t.same(one('SEND\na:b\n\nc\r\n\0'), frame)
  t.same(one('SEND\r\na:b\r\n\r\nc\r\n\0'), frame)
  t.same(one('SEND\r\na:b\n\r\nc\r\n\0'), frame, 'mixed')
  t.same(one('CONNECT\r\nhost:x\r\n\r\n\0', 'none').headers, [['host', 'x']], 'before a version is agreed on')
  t.equal(codeOf('SEND\na:b\rc\n\n\0'), 'BAD_HEADER', 'a CR alone is no line end of 1.2, and no data either')
  t.equal(codeOf('SEND\na:b\r\r\n\n\0'), 'BAD_HEADER')
  for (const version of ['1.0', '1.1'] as const) {
    t.same(one('SEND\na:b\r\n\n\0', version).headers, [['a', 'b\r']], `in ${version} the CR is part of the value`)
    t.equal(codeOf('SEND\r\na:b\n\n\0', version), 'UNKNOWN_COMMAND')
    t.equal(codeOf('SEND\na:b\n\r\n\n\0', version), 'BAD_HEADER')
  }
  t.same(one('CONNECT\npasscode:a\rb\n\n\0', 'none').headers, [['passcode', 'a\rb']], 'a 1.0 client may mean it')
  t.end()
})

t.test('[checklist 2] skips EOLs after the NULL of a frame', t => {
  for (const version of ['none', '1.0', '1.1', '1.2'] as const) {
    const frames = framesOf('\n\r\n\nCONNECT\n\n\0\n\n\r\n\nSTOMP\n\n\0\r\n\n', version)
    t.same(
      frames.map(frame => frame.command),
      ['CONNECT', 'STOMP'],
    )
  }
  const parser = parserOf('1.2')
  push(parser, '\n\r')
  t.equal(parser.read(), undefined)
  push(parser, '\nBEGIN\n\n\0')
  t.equal(parser.read()?.command, 'BEGIN', 'a CR waits for its LF')
  t.equal(parser.read(), undefined)
  t.equal(codeOf('\n\rBEGIN\n\n\0'), 'BAD_FRAME', 'a CR without LF')
  t.equal(codeOf('\r\r\n'), 'BAD_FRAME')
  t.end()
})

t.test('[checklist 3] treats commands and header names case-sensitively', t => {
  t.equal(codeOf('send\ndestination:/topic/a\n\n\0'), 'UNKNOWN_COMMAND')
  t.equal(codeOf('Send\ndestination:/topic/a\n\n\0'), 'UNKNOWN_COMMAND')
  t.same(one('SEND\nKey:1\nkey:2\nContent-Length:9\n\nx\0').headers, [
    ['Key', '1'],
    ['key', '2'],
    ['Content-Length', '9'],
  ])
  t.end()
})

t.test('[checklist 4] decodes headers as UTF-8', t => {
  for (const version of ['1.0', '1.1', '1.2'] as const) {
    t.same(one('SEND\n키:말🐎\n\n\0', version).headers, [['키', '말🐎']])
    t.same(one('SEND\na:\ufffd\n\n\0', version).headers, [['a', '\ufffd']], 'the replacement character is a character')
    t.same(one('SEND\na:\ufeffb\n\n\0', version).headers, [['a', '\ufeffb']], 'so is a byte order mark')
    const invalid = {
      'a byte that never occurs': [0xff],
      'a cut sequence': [0xed, 0x95],
      'an overlong NUL': [0xc0, 0x80],
      'half of a surrogate pair': [0xed, 0xa0, 0x80],
      'latin1': [0xe9],
    }
    for (const [what, bytes] of Object.entries(invalid)) {
      const wire = Buffer.concat([Buffer.from('SEND\na:말'), Buffer.from(bytes), Buffer.from('\n\n\0')])
      t.equal(codeOf(wire, version), 'BAD_ENCODING', `${what} in ${version}`)
    }
  }
  t.equal(codeOf(Buffer.from('SEND\na:\xe9\n\n\0', 'latin1')), 'BAD_ENCODING', 'one byte that looks like one character')
  for (const wire of ['SEND\na:\xe9\0', 'SEND\na:\xe9\0\n\n\0']) {
    t.equal(
      codeOf(Buffer.from(wire, 'latin1')),
      'BAD_HEADER',
      'a NUL beside it is told first, whether the head has come to its end or not',
    )
  }
  const body = Buffer.from([0xff, 0xfe, 0xc0])
  t.same(framesOf(Buffer.concat([Buffer.from('SEND\n\n'), body, Buffer.from([0])]))[0]?.body, body, 'bodies are bytes')
  t.end()
})

t.test('[checklist 5] applies \\n \\c \\\\ (1.1), and \\r (1.2), in names and values', t => {
  t.same(one('SEND\na\\nb\\cc\\\\d:\\n\\c\\\\\n\n\0', '1.1').headers, [['a\nb:c\\d', '\n:\\']])
  t.same(one('SEND\na\\nb\\cc\\\\d\\r:\\n\\c\\\\\\r\n\n\0', '1.2').headers, [['a\nb:c\\d\r', '\n:\\\r']])
  t.same(one('SEND\na:\\\\n\\\\\\n\n\n\0').headers, [['a', '\\n\\\n']], 'in one pass')
  t.same(one('SEND\na:b:c:\\c\n\n\0').headers, [['a', 'b:c::']], 'a further colon that is not escaped is data')
  t.end()
})

t.test('[checklist 6] treats an undefined escape as fatal (\\t in 1.2, \\r in 1.1, a lone backslash)', t => {
  for (const version of ['1.1', '1.2'] as const) {
    for (const bad of ['\\t', '\\', '\\C', '\\0', '\\🐎', 'x\\\\\\', '\\ n']) {
      t.equal(codeOf(`SEND\na:${bad}\n\n\0`, version), 'BAD_ESCAPE', `${bad} in a value of ${version}`)
      t.equal(codeOf(`SEND\n${bad}:a\n\n\0`, version), 'BAD_ESCAPE', `${bad} in a name of ${version}`)
    }
  }
  t.equal(codeOf('SEND\na:\\r\n\n\0', '1.1'), 'BAD_ESCAPE')
  t.match(errorOf('SEND\na:b\\tc\n\n\0').message, '"\\\\t"', 'and says which')
  t.end()
})

t.test('[checklist 7] does not unescape CONNECT', t => {
  for (const version of ['none', '1.0', '1.1', '1.2'] as const) {
    t.same(one('CONNECT\na\\n:b\\c\\t\\\n\n\0', version).headers, [['a\\n', 'b\\c\\t\\']])
    t.same(one('STOMP\na\\n:b\\c\\t\\\n\n\0', version).headers, [['a\\n', 'b\\c\\t\\']])
  }
  t.end()
})

t.test('[checklist 8] does not unescape in 1.0', t => {
  t.same(one('SEND\na\\n:b\\c\\t\\\n\n\0', '1.0').headers, [['a\\n', 'b\\c\\t\\']])
  t.end()
})

t.test('[checklist 9] never trims or pads headers', t => {
  for (const version of ['none', '1.0', '1.1', '1.2'] as const) {
    t.same(one('SEND\n a : b \t\n:c:\n\n\0'.replace('\n:c:', ''), version).headers, [[' a ', ' b \t']])
    t.same(one('SEND\na:\nb: \n\n\0', version).headers, [
      ['a', ''],
      ['b', ' '],
    ])
  }
  t.end()
})

t.test('[checklist 10] only SEND has a body', t => {
  for (const command of heads) {
    t.equal(codeOf(`${command}\n\nx`), 'BAD_FRAME', `${command}, as soon as its first byte is there`)
    t.equal(codeOf(`${command}\ncontent-length:1\n\n`), 'BAD_FRAME', `${command}, as soon as one is announced`)
    t.equal(one(`${command}\ncontent-length:0\n\n\0`).body, '', `${command} may say that there is none`)
    t.equal(codeOf(`${command}\ncontent-length:0\n\nx`), 'BAD_FRAME')
  }
  t.match(errorOf('SUBSCRIBE\nreceipt:7\n\nx'), { headers: { 'receipt-id': '7' } }, 'the receipt asked for is named')
  t.match(errorOf('SUBSCRIBE\nreceipt:7\ncontent-length:1\n\n'), { headers: { 'receipt-id': '7' } })
  t.same(errorOf('SUBSCRIBE\n\nx').headers, {})
  t.equal(one('SEND\n\nx\0').body, 'x')
  t.equal(one('SEND\n\n\0').body, '')
  t.end()
})

t.test('[checklist 11] reads content-length octets whatever NULs they hold', t => {
  const frames = framesOf(
    'SEND\ncontent-length:3\n\n\0\0\0\0SEND\ncontent-length:6\n\nSEND\n\n\0SEND\ncontent-length:2\n\né\0',
  )
  t.same(
    frames.map(frame => frame.body.toString()),
    ['\0\0\0', 'SEND\n\n', 'é'],
  )
  t.end()
})

t.test('[checklist 13] a frame still ends with NULL after content-length octets', t => {
  t.equal(codeOf('SEND\ncontent-length:2\n\nabc\0'), 'BAD_FRAME')
  t.equal(codeOf('SEND\ncontent-length:0\n\na\0'), 'BAD_FRAME')
  t.equal(codeOf('SEND\ncontent-length:2\n\nab\n'), 'BAD_FRAME')
  t.equal(codeOf('SEND\ncontent-length:1\n\nab\0'), 'BAD_FRAME')
  t.match(errorOf('SEND\nreceipt:r\ncontent-length:2\n\nabc'), { headers: { 'receipt-id': 'r' } })
  t.equal(codeOf('SEND\ncontent-length:1\n\na\0\0'), 'BAD_FRAME', 'and another NUL is no frame')
  t.end()
})

t.test('[checklist 14] bad content-length values do not hang the session', t => {
  for (const bad of [
    '',
    ' ',
    '-1',
    '+1',
    '1 ',
    ' 1',
    '1.0',
    '1e1',
    '0x1',
    'abc',
    'NaN',
    'Infinity',
    '１',
    '9'.repeat(16),
  ]) {
    t.equal(codeOf(`SEND\ncontent-length:${bad}\n\n`), 'BAD_HEADER', JSON.stringify(bad))
  }
  t.equal(codeOf('SEND\ncontent-length:999999999999999\n\n'), 'FRAME_TOO_LARGE')
  t.equal(codeOf('SEND\ncontent-length:101\n\n'), 'FRAME_TOO_LARGE', 'one past the limit')
  t.equal(one('SEND\ncontent-length:000000000000003\n\nabc\0').body, 'abc', 'leading zeros are digits')
  t.match(errorOf('SEND\nreceipt:1\ncontent-length:x\n\n'), { headers: { 'receipt-id': '1' } })
  t.match(errorOf('SEND\nreceipt:1\ncontent-length:101\n\n'), { headers: { 'receipt-id': '1' } })
  t.end()
})

t.test('[checklist 15] uses the first of repeated headers', t => {
  t.same(one('SEND\na:1\nb:2\na:3\n\n\0').headers, [
    ['a', '1'],
    ['b', '2'],
  ])
  t.same(one('SEND\na\\cb:1\na\\cb:2\n\n\0').headers, [['a:b', '1']])
  t.equal(one('SEND\ncontent-length:1\ncontent-length:3\n\nx\0').body, 'x')
  t.equal(codeOf('SEND\ncontent-length:3\ncontent-length:1\n\nx\0yz'), 'BAD_FRAME')
  t.end()
})

t.test('[checklist 16] content-type is a header like any other', t => {
  t.same(one('SEND\ncontent-type:text/html;v=1\n\n\0').headers, [['content-type', 'text/html;v=1']])
  t.end()
})

t.test('[checklist 17] limits header length', t => {
  const line = `a:${'x'.repeat(30)}`
  for (const end of ['\n', '\r\n']) {
    t.equal(one(`SEND${end}${line}${end}${end}\0`).headers.length, 1, `${JSON.stringify(end)}: at the limit`)
    t.equal(codeOf(`SEND${end}${line}x${end}${end}\0`), 'FRAME_TOO_LARGE', 'one past it')
    t.equal(codeOf(`SEND${end}${line}\rx`), 'FRAME_TOO_LARGE')
  }
  t.equal(codeOf(`SEND\n${line}\r\n\n\0`, '1.1'), 'FRAME_TOO_LARGE', 'in 1.1 the CR is one of the bytes')
  t.equal(codeOf(`SEND\n${line}x`), 'FRAME_TOO_LARGE', 'before the line is complete')
  t.same(framesOf(`SEND\n${line}`), [])
  t.same(framesOf(`SEND\n${line}\r`), [])
  t.equal(codeOf(`SEND\n${line}\r`, '1.1'), 'FRAME_TOO_LARGE')
  t.equal(codeOf(`SEND\na:${'말'.repeat(10)}x\n\n\0`), 'FRAME_TOO_LARGE', 'counted in bytes')
  t.equal(one(`SEND\na:${'말'.repeat(10)}\n\n\0`).headers.length, 1)
  t.end()
})

t.test('[checklist 17] limits header count', t => {
  t.equal(one('SEND\na:1\nb:2\nc:3\nd:4\n\n\0').headers.length, 4)
  t.equal(codeOf('SEND\na:1\nb:2\nc:3\nd:4\ne:5\n\n\0'), 'TOO_MANY_HEADERS')
  t.equal(codeOf('SEND\na:1\nb:2\nc:3\nd:4\ne:5\n'), 'TOO_MANY_HEADERS', 'before the head is complete')
  t.equal(codeOf('SEND\na:1\na:1\na:1\na:1\na:1\n'), 'TOO_MANY_HEADERS', 'repeated ones count')
  t.end()
})

t.test('[checklist 17] limits body size', t => {
  const body = 'x'.repeat(100)
  t.equal(one(`SEND\n\n${body}\0`).body, body)
  t.equal(one(`SEND\ncontent-length:100\n\n${body}\0`).body, body)
  t.same(framesOf(`SEND\n\n${body}`), [])
  t.equal(codeOf(`SEND\n\n${body}x`), 'FRAME_TOO_LARGE', 'as soon as the byte is there that is too much')
  t.equal(codeOf(`SEND\n\n${body}x\0`), 'FRAME_TOO_LARGE')
  t.match(errorOf(`SEND\nreceipt:1\n\n${body}x`), { headers: { 'receipt-id': '1' } })
  const parser = parserOf('1.2')
  push(parser, `SEND\n\n${body}`)
  t.equal(parser.read(), undefined)
  push(parser, 'x')
  t.throws(() => parser.read(), { code: 'FRAME_TOO_LARGE' })
  t.end()
})

t.test('[checklist 18] takes frames however the stream is cut or joined', t => {
  const wire = Buffer.from('\nSEND\r\na:말\n\n\0\r\nSEND\ncontent-length:3\n\n\0\0\0\0\nACK\nid:1\n\n\0')
  const whole = framesOf(wire)
  t.equal(whole.length, 3)
  for (let size = 1; size < wire.length; size++) {
    const [eager, lazy] = [parserOf('1.2'), parserOf('1.2')]
    const frames: Frame[] = []
    for (let at = 0; at < wire.length; at += size) {
      eager.push(wire.subarray(at, at + size))
      frames.push(...drain(eager))
      lazy.push(wire.subarray(at, at + size))
    }
    t.same(frames, whole, `read after each ${size} bytes`)
    t.same(drain(lazy), whole, `read after all pieces of ${size} bytes`)
  }
  t.end()
})

t.test('a body is not copied where it lies whole in one chunk and is no small part of it', t => {
  // Memory of its own, as a socket hands it over.
  const chunk = Buffer.allocUnsafeSlow(38)
  chunk.write('SEND\n\nabc\0SEND\ncontent-length:3\n\ndef\0')
  const parser = parserOf('1.2')
  parser.push(chunk)
  for (const [body, at] of [
    ['abc', 6],
    ['def', chunk.indexOf('def')],
  ] as const) {
    const frame = parser.read()
    t.equal(frame?.body.toString(), body)
    t.equal(frame?.body.buffer, chunk.buffer)
    t.equal(frame?.body.byteOffset, chunk.byteOffset + at)
  }
  t.end()
})

t.test('what was read stays as it is when more is pushed', t => {
  const parser = parserOf('1.2')
  const bodies: Buffer[] = []
  for (let i = 0; i < 50; i++) {
    const wire = Buffer.from(`SEND\n\nbody-${i}\0`)
    for (let at = 0; at < wire.length; at += 5) parser.push(wire.subarray(at, at + 5))
    if (i % 3 === 0) for (const frame of drain(parser)) bodies.push(frame.body)
  }
  for (const frame of drain(parser)) bodies.push(frame.body)
  t.same(
    bodies.map(body => body.toString()),
    Array.from({ length: 50 }, (_, i) => `body-${i}`),
  )
  t.end()
})

t.test('[checklist 20] treats STOMP as CONNECT', t => {
  t.same(one('STOMP\naccept-version:1.2\nlogin:a\\b\n\n\0', 'none'), {
    command: 'STOMP',
    headers: [
      ['accept-version', '1.2'],
      ['login', 'a\\b'],
    ],
    body: '',
  })
  t.end()
})

t.test('the version can be set between two frames of one chunk', t => {
  const parser = parserOf('none')
  push(parser, 'CONNECT\na:\\c\n\n\0SEND\na:\\c\n\n\0')
  t.equal(parser.read()?.headers.get('a'), '\\c')
  parser.version = '1.2'
  t.equal(parser.read()?.headers.get('a'), ':')
  t.end()
})

t.test('[checklist 61] of a NUL in a head and what comes after it the NUL is what is wrong, however it is cut', t => {
  const many = 'a:b\n'.repeat(LIMITS.headers + 1)
  for (const after of [many, `a:${'b'.repeat(LIMITS.headerBytes)}\n`]) {
    t.equal(codeOf(`SEND\nx:\0\n${after}\n\0`), 'BAD_HEADER')
    t.not(codeOf(`SEND\nx:y\n${after}x:\0\n\n\0`), 'BAD_HEADER')
  }
  t.end()
})

t.test('[checklist 60] unknown commands get an error', t => {
  for (const command of ['MESSAGE', 'RECEIPT', 'ERROR', 'CONNECTED', 'FOO', 'SENDX', 'SEN', 'S', 'toString', 'SEND ']) {
    t.equal(codeOf(`${command}\n\n\0`), 'UNKNOWN_COMMAND', command)
    t.equal(codeOf(`${command}\n`), 'UNKNOWN_COMMAND', `${command}, as soon as its line is there`)
  }
  for (const command of ['SEN\rD', 'S\u00ffND']) {
    const [line, whole] = [`${command}\n`, `${command}\na:b\n\n\0`].map(text => Buffer.from(text, 'latin1'))
    t.equal(codeOf(whole!), 'UNKNOWN_COMMAND', 'whatever else is wrong with the head')
    t.equal(codeOf(line!), 'UNKNOWN_COMMAND', 'the same where no more has come')
  }
  t.equal(codeOf('SUBSCRIBEALL'), 'UNKNOWN_COMMAND', 'a line longer than any command')
  t.equal(codeOf('GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'none'), 'UNKNOWN_COMMAND')
  t.equal(codeOf('UNSUBSCRIBE\r\n\0'), 'BAD_HEADER', 'the longest command itself is one')
  t.match(errorOf('FOO\n').message, 'FOO')
  t.notMatch(errorOf('A\x1b[2J\n').message, '\x1b', 'control characters do not come back')
  t.end()
})

t.test('[checklist 61] malformed lines, UTF-8, garbage and cut frames do no harm', t => {
  t.equal(codeOf('SEND\nno colon\n\n\0'), 'BAD_HEADER')
  t.equal(codeOf('SEND\nno colon\na:b\n\n\0'), 'BAD_HEADER')
  t.equal(codeOf('SEND\n:no name\n\n\0'), 'BAD_HEADER')
  t.equal(codeOf('SEND\na:b\0\n\n\0'), 'BAD_HEADER', 'a NUL in a value')
  t.equal(codeOf('SEND\na\0:b\n\n\0'), 'BAD_HEADER', 'a NUL in a name')
  t.equal(codeOf('SUBSCRIBE\nid:1\0'), 'BAD_HEADER', 'whoever forgot the empty line is told at once')
  t.equal(codeOf('SUBSCRIBE\nid:1\0\nSEND\na'), 'BAD_HEADER')
  t.equal(codeOf('SEND\0'), 'BAD_HEADER')
  t.equal(codeOf('\0'), 'BAD_FRAME')
  t.equal(codeOf(Buffer.from([0x16, 3, 1, 2, 0]), 'none'), 'BAD_FRAME', 'TLS on a plain port')
  t.equal(codeOf(Buffer.from([0xef, 0xbb, 0xbf]), 'none'), 'BAD_FRAME', 'a byte order mark')
  t.equal(codeOf('{"type":"hello"}', 'none'), 'BAD_FRAME')
  const cut = 'SEND\na:b\ncontent-length:2\n\nxy\0'
  for (let end = 0; end < cut.length; end++) t.same(framesOf(cut.slice(0, end)), [], `cut after ${end} bytes`)
  t.end()
})

t.test('after an error every read throws it', t => {
  const parser = parserOf('1.2')
  push(parser, 'SEND\n\nok\0foo\n\n\0SEND\n\n\0')
  t.equal(parser.read()?.body.toString(), 'ok')
  let first: unknown
  try {
    parser.read()
  } catch (error) {
    first = error
  }
  t.match(first, { code: 'UNKNOWN_COMMAND' })
  push(parser, 'SEND\n\n\0')
  t.throws(() => parser.read(), first as Error)
  t.end()
})

t.test('a million chunks of one byte are one body of 1 MiB, or one header', t => {
  const length = 1 << 20
  const content = Buffer.alloc(length, 'x')
  for (const [before, after] of [
    ['SEND\n\n', '\0'],
    [`SEND\ncontent-length:${length}\n\n`, '\0'],
    ['SEND\na:', '\n\n\0'],
  ] as const) {
    const wire = Buffer.concat([Buffer.from(before), content, Buffer.from(after)])
    const parser = parserOf('1.2', { bodyBytes: length, headers: 4, headerBytes: length + 2 })
    const frames: Frame[] = []
    for (let at = 0; at < wire.length; at++) {
      parser.push(wire.subarray(at, at + 1))
      frames.push(...drain(parser))
    }
    t.equal(frames.length, 1)
    t.equal(
      content.equals(frames[0]?.headers.has('a') ? Buffer.from(`${frames[0].headers.get('a')}`) : frames[0]!.body),
      true,
    )
  }
  t.end()
})

t.test('a gigantic content-length allocates nothing', t => {
  const parsers = Array.from({ length: 100 }, () => parserOf('1.2', { ...LIMITS, bodyBytes: 2 ** 31 }))
  const before = process.memoryUsage().arrayBuffers
  for (const parser of parsers) {
    push(parser, 'SEND\ncontent-length:2147483648\n\n')
    t.equal(parser.read(), undefined)
    push(parser, 'abc')
    t.equal(parser.read(), undefined)
  }
  t.ok(process.memoryUsage().arrayBuffers - before < 1 << 20)
  t.end()
})

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Pushes `wire` in one piece; returns how to find out whether that is still in memory. */
const pushWatched = (parser: Parser, ...wire: Wire[]): (() => Promise<boolean>) => {
  const chunk = Buffer.concat(wire.map(part => Buffer.from(part as string)))
  parser.push(chunk)
  const watched = new WeakRef(chunk)
  return async () => {
    await setImmediate() // a WeakRef holds on to what it refers to for as long as the turn lasts in which it was used
    collectGarbage()
    return watched.deref() !== undefined
  }
}

t.test('a frame that has just begun does not keep the chunk before it in memory', async t => {
  const parser = parserOf('1.2')
  const isKept = pushWatched(parser, Buffer.alloc(65_000, '\n'), 'SEND\na:')
  t.equal(await isKept(), true)
  t.equal(parser.read(), undefined)
  t.equal(await isKept(), false)
  push(parser, 'b\n\n\0')
  t.equal(parser.read()?.headers.get('a'), 'b')
})

t.test('after an error nothing is kept', async t => {
  const parser = parserOf('1.2')
  const isKept = pushWatched(parser, 'foo\n\n\0SEND\n\n\0')
  t.equal(await isKept(), true)
  t.throws(() => parser.read(), { code: 'UNKNOWN_COMMAND' })
  t.equal(await isKept(), false)
  const isTaken = pushWatched(parser, 'SEND\n\n\0')
  t.equal(await isTaken(), false, 'nor is what comes later')
})

t.test('a body does not keep much more than itself in memory, whatever came with it', t => {
  const junk = Buffer.alloc(1 << 16, '\n')
  for (const length of [1, 1000, 1100, 5000, 20_000]) {
    // Before it and behind it, in one piece and cut within the body.
    const wire = Buffer.concat([junk, Buffer.from(`SEND\n\n${'x'.repeat(length)}\0`), junk])
    for (const size of [wire.length, junk.length + 6]) {
      const parser = parserOf('1.2', { ...LIMITS, bodyBytes: length })
      const bodies: Buffer[] = []
      for (let at = 0; at < wire.length; at += size) {
        parser.push(Buffer.from(wire.subarray(at, at + size)))
        for (const { body } of drain(parser)) bodies.push(body)
      }
      t.ok(bodies.length === 1 && bodies[0]!.equals(Buffer.alloc(length, 'x')))
      const kept = bodies[0]!.buffer.byteLength
      t.ok(kept <= Math.max(2048, 4 * length), `${kept} bytes for ${length}`)
    }
  }
  t.end()
})

t.test('what is kept of a large head does not keep all of it in memory', t => {
  const limits = { bodyBytes: 0, headers: 64, headerBytes: 8192 }
  const kept: string[] = []
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 500; i++) {
    const parser = parserOf('1.2', limits)
    push(parser, `SUBSCRIBE\nid:subscription-${i}\n${`x:${'y'.repeat(8000)}\n`.repeat(25)}\n\0`)
    kept.push(parser.read()?.headers.get('id') ?? '')
  }
  collectGarbage()
  t.ok(process.memoryUsage().heapUsed - before < 10 << 20, 'of 100 MB')
  t.equal(kept[499], 'subscription-499')
  t.end()
})
