import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { PassThrough, type Duplex, type Readable, type Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { FrameImpl, type IRawFrameType, Parser as StompJsParser } from '@stomp/stompjs'
import * as fc from 'fast-check'
import t from 'tap'
import { encodeFrame } from './encoder.ts'
import { EMPTY, type Frame, type Version, VERSIONS } from './frame.ts'
import { Parser } from './parser.ts'

// stompit has no types; these are the two streams that its Client is made of.
interface StompitFrame extends Readable {
  readonly command: string
  readonly headers: Readonly<Record<string, string | number>>
}
interface Stompit {
  readonly IncomingFrameStream: new () => Duplex & { setVersion(version: Version): boolean }
  readonly OutgoingFrameStream: new (destination: Writable) => {
    setVersion(version: Version): boolean
    frame(command: string, headers: Record<string, string>): Writable
  }
}
const { IncomingFrameStream, OutgoingFrameStream } = createRequire(import.meta.url)('stompit') as Stompit

type Headers = Record<string, string>

const LIMITS = { bodyBytes: 1 << 20, headers: 64, headerBytes: 8192 }
const read = (wire: Uint8Array, version: Version | undefined): Frame[] => {
  const parser = new Parser(LIMITS)
  parser.version = version
  parser.push(Buffer.from(wire))
  const frames: Frame[] = []
  for (let frame = parser.read(); frame; frame = parser.read()) frames.push(frame)
  return frames
}

/** stompjs writes text or binary, as it goes into a WebSocket. */
const bytesOf = (wire: string | ArrayBuffer): Buffer =>
  typeof wire === 'string' ? Buffer.from(wire) : Buffer.from(wire)

const versions = fc.constantFrom(...VERSIONS)
const bodies = fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes))
const names = fc.stringMatching(/^x-[a-z]{1,8}$/)
/** Text of which `version` can say all, but for `without`. */
const texts = (version: Version, without: string): fc.Arbitrary<string> => {
  const unsaid = version === '1.0' ? `${without}\n\0` : `${without}\0`
  const special = ['\\', '\n', '\r', ':', ' ', 'c', 'n', 'r', '말', '🐎']
  const unit = fc.oneof(fc.constantFrom(...special), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }))
  return fc.string({
    unit: unit.filter(part => !unsaid.split('').some(character => part.includes(character))),
    maxLength: 20,
  })
}
const headersOf = (version: Version, without: string, name = names): fc.Arbitrary<Headers> =>
  fc.dictionary(name, texts(version, without), { maxKeys: 6, noNullPrototype: true })
/** 1.1 has no escape for a CR, and none is sent to it or to 1.0. */
const cr = (version: Version): string => (version === '1.2' ? '' : '\r')

t.test('what @stomp/stompjs writes is read', t => {
  const cases = versions.chain(version =>
    fc.record({
      version: fc.constant(version),
      headers: headersOf(version, cr(version)),
      body: fc.oneof(bodies, texts(version, '\0')),
      skipContentLengthHeader: fc.boolean(),
    }),
  )
  fc.assert(
    fc.property(cases, ({ version, headers, body, skipContentLengthHeader }) => {
      const content = typeof body === 'string' ? { body } : { binaryBody: body }
      const escapeHeaderValues = version !== '1.0'
      const params = { command: 'SEND', headers, escapeHeaderValues, skipContentLengthHeader, ...content }
      const wire = bytesOf(FrameImpl.marshall(params))
      const [frame, ...more] = read(wire, version)
      assert.ok(frame)
      assert.deepEqual(more, [])
      const { 'content-length': _, ...seen } = Object.fromEntries(frame.headers)
      assert.deepEqual(seen, headers)
      assert.deepEqual(frame.body, Buffer.from(body as string))
    }),
    { numRuns: 200 },
  )
  for (const command of ['CONNECT', 'SUBSCRIBE', 'ACK', 'DISCONNECT']) {
    const headers = { 'accept-version': '1.2,1.1,1.0', 'heart-beat': '10000,10000', passcode: 'a\\b:c' }
    const escapeHeaderValues = command !== 'CONNECT'
    const wire = bytesOf(FrameImpl.marshall({ command, headers, escapeHeaderValues }))
    const frames = read(Buffer.concat([wire, Buffer.from('\n')]), command === 'CONNECT' ? undefined : '1.2')
    t.same(frames, [{ command, headers: new Map(Object.entries(headers)), body: EMPTY }])
  }
  t.end()
})

t.test('what we write is read by @stomp/stompjs', t => {
  // It trims values and resolves escapes in several passes, which the specification does not: no backslashes, no spaces.
  const cases = versions.chain(version =>
    fc.record({ version: fc.constant(version), headers: headersOf(version, `${cr(version)}\\`), body: bodies }),
  )
  fc.assert(
    fc.property(cases, ({ version, headers, body }) => {
      const trimmed = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.trim()]))
      const raw: IRawFrameType[] = []
      const parser = new StompJsParser(
        frame => raw.push(frame),
        () => assert.fail('a ping'),
      )
      parser.parseChunk(Uint8Array.from(encodeFrame('MESSAGE', Object.entries(trimmed), body, version)).buffer)
      assert.equal(raw.length, 1)
      const frame = FrameImpl.fromRawFrame(raw[0] as IRawFrameType, version !== '1.0')
      const length: Headers = body.length > 0 ? { 'content-length': `${body.length}` } : {}
      assert.equal(frame.command, 'MESSAGE')
      assert.deepEqual(frame.headers, { ...trimmed, ...length })
      assert.deepEqual(Buffer.from(frame.binaryBody), body)
    }),
    { numRuns: 200 },
  )
  t.pass('200 runs')
  t.end()
})

t.test('what stompit writes is read', async t => {
  const name = fc
    .string({ unit: fc.constantFrom('a', 'b', '\\', ':', '말'), minLength: 1, maxLength: 6 })
    .map(text => `x${text}`)
  const cases = versions.chain(version =>
    fc.record({
      version: fc.constant(version),
      headers: headersOf(version, cr(version), version === '1.0' ? names : name),
      body: bodies,
    }),
  )
  await fc.assert(
    fc.asyncProperty(cases, async ({ version, headers, body }) => {
      const wire = new PassThrough()
      const stream = new OutgoingFrameStream(wire)
      stream.setVersion(version)
      const counted = { ...headers, 'content-length': `${body.length}` }
      stream.frame('SEND', counted).end(body, () => wire.end())
      assert.deepEqual(read(await buffer(wire), version), [
        { command: 'SEND', headers: new Map(Object.entries(counted)), body },
      ])
    }),
    { numRuns: 200 },
  )
  t.pass('200 runs')
})

t.test('what we write is read by stompit', async t => {
  const cases = versions.chain(version =>
    fc.record({ version: fc.constant(version), headers: headersOf(version, cr(version)), body: bodies }),
  )
  await fc.assert(
    fc.asyncProperty(cases, async ({ version, headers, body }) => {
      const stream = new IncomingFrameStream()
      stream.setVersion(version)
      const arrived = once(stream, 'data')
      stream.end(encodeFrame('MESSAGE', Object.entries(headers), body, version))
      const [frame] = (await arrived) as [StompitFrame]
      const length = body.length > 0 ? { 'content-length': body.length } : {}
      assert.equal(frame.command, 'MESSAGE')
      assert.deepEqual(frame.headers, { ...headers, ...length })
      assert.deepEqual(await buffer(frame), body)
    }),
    { numRuns: 200 },
  )
  t.pass('200 runs')
})
