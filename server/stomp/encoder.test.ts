import t from 'tap'
import { encodeFrame, encodeHeader } from './encoder.ts'
import { EMPTY, type Version } from './frame.ts'

const VERSIONS = ['1.0', '1.1', '1.2'] as const
const text = (command: string, headers: [string, string][], body: Buffer | string, version: Version): string =>
  encodeFrame(command, headers, Buffer.from(body as string), version).toString()

t.test('a frame is command, headers, empty line, body, NUL', t => {
  for (const version of VERSIONS) {
    t.equal(text('RECEIPT', [['receipt-id', '7']], EMPTY, version), 'RECEIPT\nreceipt-id:7\n\n\0')
    t.equal(text('ERROR', [], EMPTY, version), 'ERROR\n\n\0')
    t.equal(text('MESSAGE', new Map([['a', 'b']]) as never, 'hi', version), 'MESSAGE\na:b\ncontent-length:2\n\nhi\0')
  }
  t.end()
})

t.test('[checklist 4] encodes headers as UTF-8', t => {
  for (const version of VERSIONS) {
    t.same(
      encodeFrame('MESSAGE', [['키', '말🐎']], Buffer.from('é'), version),
      Buffer.from('MESSAGE\n키:말🐎\ncontent-length:2\n\né\0'),
    )
    t.same(encodeFrame('RECEIPT', [['키', '말']], EMPTY, version), Buffer.from('RECEIPT\n키:말\n\n\0'))
  }
  t.same(
    encodeFrame('RECEIPT', [['a', '\ud800']], EMPTY, '1.2'),
    Buffer.from('RECEIPT\na:\ufffd\n\n\0'),
    'half of a pair is no character, and goes out as U+FFFD',
  )
  t.end()
})

t.test('[checklist 5] encodes \\n \\c \\\\ (1.1), and \\r (1.2), in names and values', t => {
  t.equal(encodeHeader('a\nb:c\\d', '\n:\\', '1.1'), 'a\\nb\\cc\\\\d:\\n\\c\\\\\n')
  t.equal(encodeHeader('a\nb:c\\d\r', '\n:\\\r', '1.2'), 'a\\nb\\cc\\\\d\\r:\\n\\c\\\\\\r\n')
  t.equal(encodeHeader('a', '\\n\\\\', '1.2'), 'a:\\\\n\\\\\\\\\n', 'in one pass')
  t.end()
})

t.test('[checklist 7] does not escape CONNECT and CONNECTED', t => {
  for (const version of VERSIONS) {
    for (const command of ['CONNECT', 'CONNECTED', 'STOMP']) {
      t.equal(text(command, [['a', 'b:c\\d']], EMPTY, version), `${command}\na:b:c\\d\n\n\0`)
      const unsayable: [string, string][] = ['a\nb', 'a\rb', 'a\0b'].map(value => ['x', value])
      t.equal(text(command, [...unsayable, ['x:y', 'z'], ['a', 'b']], EMPTY, version), `${command}\na:b\n\n\0`)
    }
  }
  t.end()
})

t.test('[checklist 8] does not escape in 1.0', t => {
  t.equal(encodeHeader('a\\n', 'b:c\\c', '1.0'), 'a\\n:b:c\\c\n')
  t.end()
})

t.test('[checklist 9] never trims or pads headers', t => {
  for (const version of VERSIONS) {
    t.equal(encodeHeader(' a\t', ' b ', version), ' a\t: b \n')
    t.equal(encodeHeader('a', '', version), 'a:\n')
  }
  t.end()
})

t.test('[checklist 12] sends content-length whenever there is a body', t => {
  for (const version of VERSIONS) {
    t.equal(text('MESSAGE', [], '\0\0', version), 'MESSAGE\ncontent-length:2\n\n\0\0\0')
    t.equal(text('ERROR', [], '말', version), 'ERROR\ncontent-length:3\n\n말\0', 'counted in octets')
    t.equal(
      text('MESSAGE', [['content-length', '9']], 'x', version),
      'MESSAGE\ncontent-length:1\n\nx\0',
      'the true one',
    )
    t.equal(text('MESSAGE', [['content-length', '9']], '', version), 'MESSAGE\n\n\0')
  }
  t.end()
})

t.test('[checklist 16] content-type goes out as it is', t => {
  t.equal(encodeHeader('content-type', 'text/plain;charset=utf-8', '1.2'), 'content-type:text/plain;charset=utf-8\n')
  t.end()
})

t.test('[checklist 44] a header cannot forge or break a frame for another version', t => {
  const sayable = { '1.0': '', '1.1': 'a:b\\ndestination\\c/topic/x\n', '1.2': 'a:b\\ndestination\\c/topic/x\n' }
  for (const version of VERSIONS) {
    t.equal(encodeHeader('a', 'b\ndestination:/topic/x', version), sayable[version], `LF in ${version}`)
    t.equal(encodeHeader('a', 'b\0MESSAGE\n', version), '', `NUL in ${version}`)
    t.equal(encodeHeader('a\0', 'b', version), '')
    t.equal(encodeHeader('', 'b', version), '', `no name in ${version}`)
    t.equal(encodeHeader('subscription', 'a\0', version), '', 'not even for the receiver itself')
  }
  t.equal(encodeHeader('a\nb', 'c', '1.0'), '')
  t.equal(encodeHeader('a:b', 'c', '1.0'), '', 'it would be another header')
  t.equal(encodeHeader('a:b', 'c', '1.1'), 'a\\cb:c\n')
  for (const value of ['b\r', '\rb', 'b\rc', '\r']) {
    t.equal(encodeHeader('a', value, '1.0'), '', 'a CR is a line end to some clients')
    t.equal(encodeHeader('a', value, '1.1'), '', 'and 1.1 has no escape for it')
    t.equal(encodeHeader(value, 'a', '1.0'), '')
    t.equal(encodeHeader(value, 'a', '1.1'), '')
    t.equal(encodeHeader('a', value, '1.2'), `a:${value.replace('\r', '\\r')}\n`)
  }
  t.end()
})

t.test('[checklist 55] receipt-id equals receipt: what the receiver wrote itself comes back as it was', t => {
  for (const name of ['receipt-id', 'subscription', 'ack']) {
    t.equal(encodeHeader(name, 'a\rb\\', '1.0'), `${name}:a\rb\\\n`)
    t.equal(encodeHeader(name, 'a\rb\\', '1.1'), `${name}:a\rb\\\\\n`)
    t.equal(encodeHeader(name, 'a\rb\\', '1.2'), `${name}:a\\rb\\\\\n`)
  }
  t.end()
})
