import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import t from 'tap'
import { HoofbeatError } from '../errors.ts'
import { encodeFrame } from './encoder.ts'
import { EMPTY, type Frame, type Version, VERSIONS } from './frame.ts'
import { Parser } from './parser.ts'

const LIMITS = { bodyBytes: 300, headers: 12, headerBytes: 200 }

type Headers = [string, string][]
/** `failure`: the code of the error that the stream ends in. */
interface Outcome {
  readonly frames: readonly Frame[]
  readonly failure: string | undefined
}

/** What comes out of `chunks`, each read before the next is pushed, or (`lazy`) all pushed first. */
const parse = (chunks: readonly Buffer[], version: Version | undefined, lazy = false): Outcome => {
  const parser = new Parser(LIMITS)
  parser.version = version
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  const frames: Frame[] = []
  const drain = (): void => {
    for (let frame = parser.read(); frame; frame = parser.read()) {
      frames.push(frame)
      if (frames.length > bytes) throw new Error('more frames than bytes')
    }
  }
  try {
    for (const chunk of chunks) {
      parser.push(chunk)
      if (!lazy) drain()
    }
    drain()
    return { frames, failure: undefined }
  } catch (error) {
    if (!(error instanceof HoofbeatError)) throw error
    return { frames, failure: error.code }
  }
}

/** `bytes` cut into pieces of `sizes`, over and over. */
const cut = (bytes: Buffer, sizes: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 })
const versions = fc.constantFrom(...VERSIONS)
/** Any text, with much of what headers are made of. */
const text = fc.string({
  unit: fc.oneof(
    { weight: 3, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
    fc.constantFrom('\\', '\n', '\r', ':', '\0', ' ', 'c', 'n', 'r', 't', 'a', 'b', '말'),
  ),
  maxLength: 12,
})
const headersOf = (version: Version): fc.Arbitrary<Headers> =>
  fc.array(fc.tuple(text, text), { maxLength: 6 }).map(headers => headers.filter(header => sayable(header, version)))
const bodies = fc.uint8Array({ maxLength: 60 }).map(bytes => Buffer.from(bytes))

/** What a frame of `version` can say, from the grammars and the rule that no CR goes out as it is. */
const sayable = ([name, value]: Headers[number], version: Version): boolean => {
  const both = name + value
  if (name === '' || name === 'content-length' || both.includes('\0')) return false
  if (version !== '1.2' && both.includes('\r')) return false
  return version !== '1.0' || !(both.includes('\n') || name.includes(':'))
}
/** Headers as a receiver has them: the first of each name. */
const firsts = (headers: Headers): Headers =>
  headers.filter(([name], index) => headers.findIndex(other => other[0] === name) === index)

const CODES: Record<Version, Record<string, string>> = {
  '1.0': {},
  '1.1': { '\\': '\\\\', '\n': '\\n', ':': '\\c' },
  '1.2': { '\\': '\\\\', '\n': '\\n', ':': '\\c', '\r': '\\r' },
}
const COMMANDS = [
  'SEND',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'ACK',
  'NACK',
  'BEGIN',
  'COMMIT',
  'ABORT',
  'DISCONNECT',
  'CONNECT',
  'STOMP',
]

/** A frame as clients may write it, and what is to come of it. */
interface Written {
  readonly wire: Buffer
  readonly command: string
  readonly headers: Headers
  readonly body: string
}
const written = (version: Version): fc.Arbitrary<Written> =>
  fc
    .record({
      command: fc.constantFrom('SEND', 'SEND', 'SEND', ...COMMANDS),
      headers: headersOf(version),
      body: bodies,
      counted: fc.boolean(),
      end: version === '1.2' ? fc.constantFrom('\n', '\r\n') : fc.constant('\n'),
      after: fc.constantFrom('', '\n', '\r\n', '\n\n\r\n'),
    })
    .map(({ command, headers, body, counted, end, after }) => {
      const connects = command === 'CONNECT' || command === 'STOMP'
      const said = connects
        ? headers.filter(header => !/[\r\n]/.test(header.join('')) && !header[0].includes(':'))
        : headers
      const code = (part: string): string => (connects ? part : part.replace(/[\\\n\r:]/g, c => CODES[version][c] ?? c))
      const content = command !== 'SEND' ? EMPTY : counted ? body : body.filter(byte => byte !== 0)
      const lines = said.map(([name, value]) => `${code(name)}:${code(value)}`)
      if (counted) lines.push(`content-length:${content.length}`)
      const head = [command, ...lines, '', ''].join(end)
      return {
        wire: Buffer.concat([Buffer.from(head), content, Buffer.from(`\0${after}`)]),
        command,
        headers: counted ? [...said, ['content-length', `${content.length}`]] : said,
        body: Buffer.from(content).toString('latin1'),
      }
    })

/** A version, and a stream of that version. */
const streams = versions.chain(version =>
  fc.record({ version: fc.constant(version), frames: fc.array(written(version), { maxLength: 6 }) }),
)
/** Streams that are not quite right: some bytes of them are others, are missing or are there twice. */
const broken = fc
  .tuple(streams, fc.array(fc.tuple(fc.nat(), fc.nat(8), fc.uint8Array({ maxLength: 4 })), { maxLength: 4 }))
  .map(([{ version, frames }, changes]) => {
    let wire = Buffer.concat(frames.map(frame => frame.wire))
    for (const [place, length, bytes] of changes) {
      const at = place % (wire.length + 1)
      wire = Buffer.concat([wire.subarray(0, at), bytes, wire.subarray(at + length)])
    }
    return { version, wire }
  })

const plain = ({ command, headers, body }: Frame) => ({
  command,
  headers: [...headers],
  body: body.toString('latin1'),
})

t.test('[checklist 18] any chunking of any frames parses the same', t => {
  fc.assert(
    fc.property(streams, cuts, fc.boolean(), ({ version, frames }, sizes, lazy) => {
      const expected = frames.map(({ command, headers, body }) => ({ command, headers: firsts(headers), body }))
      const wire = Buffer.concat(frames.map(frame => frame.wire))
      for (const chunks of [[wire], cut(wire, sizes)]) {
        const outcome = parse(chunks, version, lazy)
        if (outcome.failure !== undefined) throw new Error(outcome.failure)
        assert.deepEqual(outcome.frames.map(plain), expected)
      }
    }),
    { numRuns: 500 },
  )
  t.pass('500 runs')
  t.end()
})

t.test('parse after encode is the identity, in each version', t => {
  const cases = versions.chain(version => fc.tuple(fc.constant(version), headersOf(version), bodies))
  fc.assert(
    fc.property(cases, cuts, ([version, headers, body], sizes) => {
      const wire = encodeFrame('SEND', headers, body, version)
      const { frames, failure } = parse(cut(wire, sizes), version)
      const length: Headers = body.length > 0 ? [['content-length', `${body.length}`]] : []
      assert.equal(failure, undefined)
      assert.deepEqual(frames.map(plain), [
        { command: 'SEND', headers: firsts([...headers, ...length]), body: body.toString('latin1') },
      ])
    }),
    { numRuns: 500 },
  )
  t.pass('500 runs')
  t.end()
})

t.test('[checklist 44] whatever is in the headers, a frame is one frame with those of them that can be said', t => {
  fc.assert(
    fc.property(versions, fc.array(fc.tuple(text, text), { maxLength: 6 }), bodies, (version, headers, body) => {
      const wire = encodeFrame('SEND', headers, body, version)
      const said = headers.filter(header => sayable(header, version))
      const length: Headers = body.length > 0 ? [['content-length', `${body.length}`]] : []
      const { frames } = parse([wire], version)
      assert.deepEqual(
        frames.map(frame => [...frame.headers]),
        [firsts([...said, ...length])],
      )
      const head = wire.subarray(0, wire.length - body.length - 1)
      assert.equal(head.includes('\r'), false, 'nothing that some client takes for a line end')
      assert.equal(head.includes('\0'), false)
      assert.equal(head.toString().split('\n').length, said.length + length.length + 3)
    }),
    { numRuns: 500 },
  )
  t.pass('500 runs')
  t.end()
})

t.test('[checklist 61] a broken stream gives the same frames and the same end however it is cut', t => {
  let [failed, survived] = [0, 0]
  fc.assert(
    fc.property(broken, cuts, fc.boolean(), ({ version, wire }, sizes, lazy) => {
      const whole = parse([wire], version)
      const pieces = parse(cut(wire, sizes), version, lazy)
      assert.deepEqual(pieces.frames, whole.frames)
      assert.equal(pieces.failure === undefined, whole.failure === undefined, `${whole.failure} and ${pieces.failure}`)
      if (whole.failure === undefined) survived++
      else failed++
    }),
    { numRuns: 500 },
  )
  t.pass('500 runs')
  t.ok(failed > 50 && survived > 50, `${failed} failed, ${survived} did not`)
  t.end()
})

t.test('[checklist 61] arbitrary bytes throw nothing but HoofbeatError and never hang', t => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.array(fc.constantFrom(0, 10, 13, 58, 92, 65, 120, 0xc3, 0xff), { maxLength: 200 }),
    fc
      .array(
        fc.constantFrom(...COMMANDS, '\n', '\n\n', '\r\n', ':', '\0', '\\', 'a:b\n', 'content-length:2\n', '\x80'),
        { maxLength: 60 },
      )
      .map(parts => Buffer.from(parts.join(''), 'latin1')),
  )
  fc.assert(
    fc.property(bytes, fc.constantFrom(undefined, ...VERSIONS), cuts, (raw, version, sizes) => {
      // `parse` lets any other error through and counts frames; that it returns is the rest.
      parse(cut(Buffer.from(raw), sizes), version)
    }),
    { numRuns: 2000 },
  )
  t.pass('2000 runs')
  t.end()
})

t.test('[checklist 17] what is kept of a frame that does not end stays within the limits', t => {
  const most = LIMITS.bodyBytes + LIMITS.headers * (LIMITS.headerBytes + 2) + 20
  const starts = fc.constantFrom('SEND\n', 'SEND\na:b\n', 'SEND\n\n', `SEND\ncontent-length:${LIMITS.bodyBytes}\n\n`)
  const endless = fc
    .uint8Array({ minLength: 1, maxLength: 300 })
    .map(bytes => bytes.map(byte => (byte === 0 ? 1 : byte)))
  fc.assert(
    fc.property(starts, fc.array(endless, { maxLength: 60 }), versions, (start, parts, version) => {
      const parser = new Parser(LIMITS)
      parser.version = version
      let [failed, received] = [false, 0]
      for (const part of [Buffer.from(start), ...parts]) {
        parser.push(Buffer.from(part))
        received += part.length
        try {
          while (parser.read());
        } catch (error) {
          assert.ok(error instanceof HoofbeatError)
          failed = true
        }
        assert.ok(failed || received <= most)
      }
    }),
    { numRuns: 500 },
  )
  t.pass('500 runs')
  t.end()
})
