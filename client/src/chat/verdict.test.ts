import t from 'tap'
import { backOff } from './back-off.ts'
import { isRoomId, placeOf } from './message.ts'
import { type Cause, type End, judge } from './verdict.ts'

const join: Cause = { kind: 'join', room: 'r' }
const send = (key: string, bytes = 10): Cause => ({ kind: 'send', key, bytes })
const end = (code: string | undefined, more: Partial<End> = {}): End => ({
  connected: true,
  unanswered: [],
  closeCode: 1006,
  ...(code === undefined ? {} : { problem: { code, message: '', advice: '' } }),
  ...more,
})

t.test('a lost connection is opened again', async t => {
  t.same(judge(end(undefined)), { then: 'again' })
  t.same(judge(end(undefined, { connected: false })), { then: 'again' })
  t.same(judge(end(undefined, { closeCode: 1012, unanswered: [send('k'), join] })), { then: 'again' })
})

t.test('credentials that are refused end it', async t => {
  for (const code of ['BAD_CREDENTIALS', 'TOKEN_EXPIRED', 'SESSION_ENDED', 'ENDED_BY_ADMIN', 'UNSUPPORTED_VERSION']) {
    for (const connected of [true, false]) {
      t.same(judge(end(code, { connected })), { then: 'stop' })
      t.same(judge(end(code, { connected, cause: { kind: 'renew', token: 'x' } })), { then: 'stop' })
    }
  }
  const unchecked = end('BAD_CREDENTIALS', { connected: false, retryAfterMs: 10_000 })
  t.same(judge(unchecked), { then: 'again', afterMs: 10_000 }, 'they could not be checked')
  for (const code of ['FORBIDDEN', 'BAD_HEADER', 'ERROR']) {
    t.same(judge(end(code, { connected: false })), { then: 'stop' }, `${code} at the door`)
  }
})

t.test('what passes is waited for, as long as the server says', async t => {
  const passing = [
    'LOG_UNAVAILABLE',
    'DATABASE_UNAVAILABLE',
    'RATE_LIMITED',
    'DRAINING',
    'TOO_MANY_CONNECTIONS',
    'STALLED',
    'LOGIN_TIMEOUT',
  ]
  for (const code of passing) {
    for (const cause of [undefined, join, send('k')]) {
      const more = cause ? { cause } : {}
      t.same(judge(end(code, more)), { then: 'again' })
      t.same(judge(end(code, { ...more, retryAfterMs: 1500 })), { then: 'again', afterMs: 1500 })
      t.same(judge(end(code, { ...more, connected: false })), { then: 'again' })
    }
  }
  t.same(judge(end('INTERNAL')), { then: 'again' })
  t.same(judge(end('INTERNAL', { connected: false })), { then: 'again' })
})

t.test('what concerns one room or one message fails that alone', async t => {
  for (const code of ['FORBIDDEN', 'NO_SUCH_ROOM', 'TOO_MANY_ROOMS', 'BAD_DESTINATION', 'INTERNAL', 'SOMETHING_NEW']) {
    t.same(judge(end(code, { cause: join })), { then: 'failRoom', room: 'r' })
    t.same(judge(end(code, { cause: { kind: 'listen', room: 'r' } })), { then: 'failRoom', room: 'r' })
    t.same(judge(end(code, { cause: { kind: 'signal', room: 'r' } })), { then: 'mute', room: 'r' })
    t.same(judge(end(code, { cause: send('k') })), { then: 'failMessage', key: 'k' })
  }
  t.same(judge(end('FORBIDDEN')), { then: 'again' }, 'a right that ended: the next SUBSCRIBE tells which')
})

t.test('of frames that are too large, the largest is to blame', async t => {
  const unanswered = [send('small', 1), join, send('large', 9), send('middle', 5)]
  t.same(judge(end(undefined, { closeCode: 1009, unanswered })), { then: 'failMessage', key: 'large' })
  t.same(judge(end('FRAME_TOO_LARGE', { unanswered })), { then: 'failMessage', key: 'large' })
  t.same(judge(end('FRAME_TOO_LARGE', { unanswered, cause: send('middle') })), { then: 'failMessage', key: 'middle' })
  t.same(judge(end(undefined, { closeCode: 1009 })), { then: 'again' })
  t.same(judge(end('FRAME_TOO_LARGE')), { then: 'again' })
})

t.test('waits grow to half a minute, and half of each is chance', async t => {
  t.same(
    [0, 1, 2, 3, 6, 7, 1000].map(attempt => backOff(attempt, () => 1)),
    [500, 1000, 2000, 4000, 30_000, 30_000, 30_000],
  )
  t.equal(
    backOff(2, () => 0),
    1000,
  )
  t.equal(
    backOff(2, () => 0.5),
    1500,
  )
  for (let i = 0; i < 100; i++) {
    const wait = backOff(3)
    t.ok(wait >= 2000 && wait <= 4000, `${wait}`)
  }
})

t.test('rooms and places are told from what is none', async t => {
  for (const room of ['general', 'a', 'A.b_c-d/e:f', '0'.repeat(120)]) t.equal(isRoomId(room), true, room)
  for (const room of ['', ' ', 'a b', '방', 'a#b', 'a\n', '0'.repeat(121)]) t.equal(isRoomId(room), false, room)
  t.same(placeOf('abc-12'), { epoch: 'abc', offset: 12n })
  for (const id of ['', 'abc', 'abc-', '-1', 'a-b-1', 'abc-1x', `abc-${'1'.repeat(20)}`])
    t.equal(placeOf(id), undefined)
})
