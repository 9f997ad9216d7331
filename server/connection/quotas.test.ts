import { mock } from 'node:test'
import t, { type Test } from 'tap'
import type { Meter } from '../ports/meter.ts'
import { Quotas, Rate } from './quotas.ts'

/** Why connections were refused. */
const refused: (string | undefined)[] = []
const meter: Meter = { add: (_name, _amount, reason) => void refused.push(reason), observe: () => {} }

const stopClock = (t: Test): void => {
  mock.timers.enable({ apis: ['Date', 'setTimeout'], now: 1_000_000 })
  t.teardown(() => mock.timers.reset())
}
const limits = {
  CONNECTIONS_PER_USER: 2,
  CONNECTIONS_PER_ADDRESS: 3,
  CONNECTIONS_WAITING: 2,
  ROOMS_PER_MINUTE: 2,
  SENDS_PER_SECOND: 10,
  SIGNALS_PER_SECOND: 3,
}

t.test('[S-35] a second of SENDs at once, then the next when its time has come', async t => {
  stopClock(t)
  const rate = new Rate(10)
  for (let i = 0; i < 10; i++) {
    t.equal(rate.wait(), 0)
    rate.spend()
  }
  t.equal(rate.wait(), 0, 'at the limit')
  rate.spend()
  t.equal(rate.wait(), 100, 'one past it')
  mock.timers.tick(90)
  t.ok(rate.wait() >= 10)
  mock.timers.tick(11)
  t.equal(rate.wait(), 0)
  mock.timers.tick(3_600_000)
  for (let i = 0; i < 11; i++) rate.spend()
  t.equal(rate.wait(), 100, 'time does not save up more than a second')
  mock.timers.setTime(Date.now() - 60_000)
  t.equal(rate.wait(), 100, 'a clock that is set back takes nothing away')
})

t.test('[S-35] whoever spends at the rate is never held up', async t => {
  stopClock(t)
  const rate = new Rate(10)
  for (let i = 0; i < 200; i++) {
    rate.spend()
    t.equal(rate.wait(), 0)
    mock.timers.tick(100)
  }
})

t.test('[S-35] whoever leaves and comes back goes on with the same rate, until it is full again', async t => {
  stopClock(t)
  const quotas = new Quotas(limits, meter)
  quotas.arrive('a')
  const rates = quotas.login('ann')
  for (let i = 0; i < 15; i++) rates.sends.spend()
  quotas.leave('a', 'ann')
  quotas.arrive('a')
  t.equal(quotas.login('ann'), rates)
  mock.timers.tick(2000)
  quotas.arrive('a')
  t.equal(quotas.login('ann'), rates, 'not forgotten while connected')
  quotas.leave('a', 'ann')
  quotas.leave('a', 'ann')
  mock.timers.tick(2000)
  quotas.arrive('a')
  t.not(quotas.login('ann'), rates, 'forgotten when nothing is owed')
})

t.test('[S-19] connections are counted by user, by address and while they wait, and given back', async t => {
  const quotas = new Quotas(limits, meter)
  quotas.arrive('a')
  quotas.arrive('b')
  t.throws(() => quotas.arrive('c'), { code: 'TOO_MANY_CONNECTIONS', message: /waiting/ })
  quotas.login('ann')
  quotas.arrive('a')
  quotas.login('ann')
  quotas.arrive('a')
  t.throws(() => quotas.login('ann'), { code: 'TOO_MANY_CONNECTIONS', message: /user/ })
  quotas.leave('b', undefined)
  t.throws(() => quotas.arrive('a'), { code: 'TOO_MANY_CONNECTIONS', message: /address/ })
  quotas.arrive('b')
  quotas.leave('b', undefined)
  quotas.leave('a', undefined)
  quotas.leave('a', 'ann')
  quotas.arrive('a')
  quotas.login('ann')
  for (let i = 0; i < 2; i++) quotas.leave('a', 'ann')
  for (let i = 0; i < 2; i++) quotas.arrive('a')
  t.same(refused, ['waiting', 'user', 'address'])
})

t.test('[S-28] new rooms are counted a minute, by user and by address, and a refused one is not', async t => {
  stopClock(t)
  const quotas = new Quotas(limits, meter)
  t.equal(quotas.mayMakeRoom('ann', 'a'), true)
  t.equal(quotas.mayMakeRoom('bob', 'a'), true)
  t.equal(quotas.mayMakeRoom('carol', 'a'), false, 'the address has had its two')
  t.equal(quotas.mayMakeRoom('ann', 'b'), true)
  t.equal(quotas.mayMakeRoom('ann', 'c'), false, 'the user has had her two')
  t.equal(quotas.mayMakeRoom('carol', 'c'), true)
  t.equal(quotas.mayMakeRoom('carol', 'c'), true)
  t.equal(quotas.mayMakeRoom('carol', 'd'), false)
  mock.timers.tick(60_000)
  t.equal(quotas.mayMakeRoom('carol', 'a'), true)
})
