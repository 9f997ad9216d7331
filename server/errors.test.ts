import t from 'tap'
import { errors, fail, HoofbeatError, toHoofbeatError, type ErrorCode, type ErrorSpec } from './errors.ts'

const specs = Object.entries(errors) as [ErrorCode, ErrorSpec][]

void t.test('each error says what happened, what to do, and whether to try again', async t => {
  for (const [code, { message, advice, retry }] of specs) {
    t.match(code, /^[A-Z]+(_[A-Z]+)*$/)
    // It becomes a header, and a detail may follow.
    t.match(message, /^[^\s:][^\r\n:]*[^\s.:]$/, code)
    t.match(advice, /^[A-Z][^\r\n]+$/, code)
    t.type(retry, 'boolean')
  }
  t.equal(new Set(specs.map(([, { message }]) => message)).size, specs.length, 'no two say the same')
})

void t.test('fail makes the error of a code', async t => {
  for (const [code, { message }] of specs) {
    const error = fail(code)
    t.type(error, HoofbeatError)
    t.type(error, Error)
    t.match(error, { name: 'HoofbeatError', code, message, headers: {}, cause: undefined })
  }
})

void t.test('a detail follows the message, headers and cause are kept apart from it', async t => {
  const cause = new Error('internal')
  const error = fail('RATE_LIMITED', '1001 in a second', { headers: { 'retry-after-ms': '500' }, cause })
  t.equal(error.message, 'too many frames for too long: 1001 in a second')
  t.same(error.headers, { 'retry-after-ms': '500' })
  t.equal(error.cause, cause)
  t.equal(fail('FORBIDDEN', '').message, 'not allowed', 'an empty detail is none')
  t.equal(fail('FORBIDDEN', undefined, { cause }).cause, cause)
})

void t.test('what is not ours is INTERNAL to a client, and kept for the log', async t => {
  const ours = fail('STALLED')
  t.equal(toHoofbeatError(ours), ours)
  for (const thrown of [new TypeError('hidden'), 'hidden', undefined, null, { code: 'STALLED' }]) {
    const error = toHoofbeatError(thrown)
    t.match(error, { code: 'INTERNAL', message: errors.INTERNAL.message, headers: {} })
    t.equal(error.cause, thrown)
  }
})
