import { mock } from 'node:test'
import t from 'tap'
import { Deadline } from './deadline.ts'

t.test('a time that no timer can hold is kept to the millisecond', async t => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  t.teardown(() => mock.timers.reset())
  const deadline = new Deadline()
  const ms = 2 ** 31 * 2 + 12_345
  const fired: number[] = []
  deadline.set(Date.now() + ms, () => fired.push(Date.now()))
  for (let left = ms - 1; left > 0; left -= 2 ** 30) mock.timers.tick(Math.min(left, 2 ** 30))
  t.same(fired, [], 'not a millisecond early')
  mock.timers.tick(1)
  t.same(fired, [ms])
})

t.test('a time set again takes the place of the one before, and what is cleared does not come', async t => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  t.teardown(() => mock.timers.reset())
  const deadline = new Deadline()
  const fired: string[] = []
  deadline.set(Date.now() + 100, () => fired.push('first'))
  deadline.set(Date.now() + 50, () => fired.push('second'))
  mock.timers.tick(200)
  t.same(fired, ['second'])
  deadline.set(Date.now() - 1000, () => fired.push('past'))
  mock.timers.tick(1)
  t.same(fired, ['second', 'past'], 'a time that is past comes at once')
  deadline.set(Date.now() + 10, () => fired.push('never'))
  deadline.clear()
  mock.timers.tick(100)
  t.same(fired, ['second', 'past'])
})
