import t from 'tap'
import { HoofbeatError } from '../errors.ts'
import { chooseVersion } from './frame.ts'
import { negotiate } from './heartbeat.ts'

t.test('[checklist 21] [checklist 22] the highest common version is chosen', t => {
  t.equal(chooseVersion('1.0,1.1,1.2'), '1.2')
  t.equal(chooseVersion('1.2,1.1,1.0'), '1.2', 'in any order')
  t.equal(chooseVersion('1.1,1.0'), '1.1')
  t.equal(chooseVersion('1.0,1.1,2.0'), '1.1', 'versions to come are no harm')
  t.equal(chooseVersion('1.0'), '1.0')
  t.equal(chooseVersion('1.2'), '1.2')
  t.equal(chooseVersion('1.0, 1.1'), '1.1', 'a space is forgiven')
  t.end()
})

t.test('[checklist 23] a missing accept-version is 1.0', t => {
  t.equal(chooseVersion(undefined), '1.0')
  t.end()
})

t.test('[checklist 24] no common version is an error; its version header lists what is supported', t => {
  for (const offer of ['2.0', '', '1', '1.3,2.0', '01.2', '1.20', 'v12.stomp', ',']) {
    t.throws(
      () => chooseVersion(offer),
      { code: 'UNSUPPORTED_VERSION', headers: { version: '1.0,1.1,1.2' } },
      JSON.stringify(offer),
    )
  }
  t.end()
})

t.test('[checklist 26] heart-beat form: what the server can do and wants', t => {
  t.equal(negotiate('0,0', 10_000).header, '10000,10000')
  t.equal(negotiate(undefined, 10_000).header, '10000,10000')
  t.equal(negotiate('5000,5000', 0).header, '0,0')
  t.end()
})

t.test('[checklist 28] a missing heart-beat header is 0,0', t => {
  t.same(negotiate(undefined, 10_000), negotiate('0,0', 10_000))
  t.match(negotiate(undefined, 10_000), { send: 0, receive: 0 })
  t.end()
})

t.test('[checklist 29] the server sends every MAX(sx,cy) ms', t => {
  t.match(negotiate('0,5000', 10_000), { send: 10_000, receive: 0 })
  t.match(negotiate('0,20000', 10_000), { send: 20_000, receive: 0 })
  t.match(negotiate('0,1', 10_000), { send: 10_000 })
  t.match(negotiate('0,20000', 0), { send: 0 }, 'a server that cannot does not')
  t.end()
})

t.test('[checklist 30] the client promised something every MAX(cx,sy) ms', t => {
  t.match(negotiate('5000,0', 10_000), { send: 0, receive: 10_000 })
  t.match(negotiate('20000,0', 10_000), { send: 0, receive: 20_000 })
  t.match(negotiate('20000,0', 0), { receive: 0 }, 'a server that wants none gets none')
  t.match(negotiate('7000,12000', 10_000), { send: 12_000, receive: 10_000 }, 'both ways')
  t.end()
})

t.test('huge numbers fit a timer, also twice of them; leading zeros are digits', t => {
  for (const huge of ['1000000001', '4294967296', '9'.repeat(4000)]) {
    const { send, receive } = negotiate(`${huge},${huge}`, 10_000)
    t.same([send, receive], [1_000_000_000, 1_000_000_000])
  }
  t.ok(2 * negotiate('9999999999,0', 100).receive < 2 ** 31)
  t.match(negotiate('007000,0000', 100), { send: 0, receive: 7000 })
  t.end()
})

t.test('[checklist 32] a malformed heart-beat header is answered', t => {
  const bad = [
    '',
    ',',
    '1',
    '1,',
    ',1',
    '1,2,3',
    '-1,0',
    '0,-1',
    '1.5,0',
    '1e3,0',
    '0x1,0',
    'a,b',
    '1 ,0',
    ' 1,0',
    '1,0\n',
    '+1,0',
    '１,0',
    'NaN,0',
  ]
  for (const value of bad) {
    t.throws(() => negotiate(value, 10_000), { code: 'BAD_HEADER' }, JSON.stringify(value))
    t.throws(() => negotiate(value, 10_000), HoofbeatError)
  }
  t.end()
})
