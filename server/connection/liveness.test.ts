import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { Liveness } from './liveness.ts'

const at0 = (t: Test, pings: boolean): Liveness => {
  mock.timers.enable({ apis: ['Date'], now: 0 })
  t.teardown(() => mock.timers.reset())
  return new Liveness({ pings, interval: 10_000, grain: 1000 })
}

t.test('[checklist 29] [S-23] a beat comes so early that no tick of the clock makes it late', async t => {
  const liveness = at0(t, false)
  t.equal(liveness.tick(60_000, 0), 'none', 'nothing agreed, nothing due')
  liveness.agree(15_000, 0)
  t.equal(liveness.tick(12_999, 0), 'none')
  t.equal(liveness.tick(13_000, 0), 'beat')
  t.equal(liveness.tick(20_000, 7001), 'none', 'whatever was written counts')
})

t.test('[checklist 30] [S-24] TCP: dead after twice what was agreed, and a margin', async t => {
  const liveness = at0(t, false)
  t.equal(liveness.tick(1_000_000, 1_000_000), 'none')
  liveness.heard(0)
  liveness.agree(0, 15_000)
  t.equal(liveness.tick(31_000, 31_000), 'none')
  t.equal(liveness.tick(31_001, 31_001), 'dead')
  liveness.heard(31_001)
  t.equal(liveness.tick(62_000, 62_000), 'none')
  t.equal(liveness.doubtful(62_000), false, 'it was never pinged')
})

t.test('[S-25] WebSocket: pinged after an interval of silence, once in an interval; dead after two', async t => {
  const liveness = at0(t, true)
  liveness.agree(0, 60_000)
  liveness.heard(100_000)
  t.equal(liveness.tick(109_999, 109_999), 'none')
  t.equal(liveness.tick(110_000, 110_000), 'ping')
  t.equal(liveness.tick(111_000, 111_000), 'none')
  t.equal(liveness.doubtful(114_999), false)
  t.equal(liveness.doubtful(115_000), true, 'its pong is overdue')
  liveness.heard(112_000)
  t.equal(liveness.tick(122_000, 122_000), 'ping')
  t.equal(liveness.tick(132_000, 132_000), 'ping')
  t.equal(liveness.tick(133_000, 133_000), 'none')
  t.equal(liveness.tick(133_001, 133_001), 'dead', "the client's own promise is not insisted on")
})
