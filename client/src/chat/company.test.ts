import { mock } from 'node:test'
import t from 'tap'
import { CompanyIn } from './company.ts'
import { Presence } from './presence.ts'

t.test('who writes is named until they stop, or have sent it', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  let changes = 0
  const company = new CompanyIn(() => changes++)
  company.take({ type: 'typing', sender: 'ann', body: '' })
  company.take({ type: 'typing', sender: 'bob', body: '' })
  t.same(company.view.typing, ['ann', 'bob'])
  mock.timers.tick(4_000)
  company.take({ type: 'typing', sender: 'ann', body: '' })
  mock.timers.tick(1_000)
  t.same(company.view.typing, ['ann'], 'bob has said nothing more of it')
  const before = company.view
  company.wrote('cho')
  t.equal(company.view, before, 'whoever was not writing changes nothing')
  company.wrote('ann')
  t.same(company.view.typing, [])
  const told = changes
  company.take({ type: 'typing', sender: 'ann', body: '' })
  company.end()
  mock.timers.tick(10_000)
  t.equal(changes, told + 1, 'nothing after the end')
})

t.test('what nobody says is nobody’s', async t => {
  const company = new CompanyIn(() => t.fail('nothing has changed'))
  company.take({ type: 'typing', body: '' })
  t.same(company.view.typing, [])
})

t.test('the newest message that each has read', async t => {
  const company = new CompanyIn(() => {})
  const empty = company.view
  company.take({ type: 'read', sender: 'ann', body: 'e-1' })
  company.take({ type: 'read', sender: 'ann', body: 'e-2' })
  t.same([...company.view.reads], [['ann', 'e-2']])
  t.equal(empty.reads.size, 0, 'views stay what they were')
})

t.test('one says that one is writing every three seconds at most, and anew after a message', async t => {
  let now = 10_000
  const company = new CompanyIn(
    () => {},
    () => now,
  )
  t.equal(company.mayType(), true)
  now += 2_999
  t.equal(company.mayType(), false)
  now += 1
  t.equal(company.mayType(), true)
  company.sent()
  t.equal(company.mayType(), true)
})

t.test('what one has read is said once', async t => {
  const company = new CompanyIn(() => {})
  t.equal(company.tellRead(), undefined)
  company.sees('e-1')
  t.same([company.tellRead(), company.tellRead()], ['e-1', undefined])
  company.sees('e-1')
  t.equal(company.tellRead(), undefined)
  company.sees('e-2')
  t.equal(company.tellRead(), 'e-2')
})

t.test('who is there: all friends at once, then each change, the later one counting', async t => {
  const presence = new Presence()
  t.equal(presence.online('ann'), undefined)
  t.equal(presence.left('ann'), undefined)
  presence.take({ known: true, at: 100, online: ['ann', 'bob', 7] })
  t.same([presence.online('ann'), presence.online('cho')], [true, undefined])
  presence.take({ user: 'ann', online: false, at: 102 })
  t.match(presence.left('ann'), Number)
  presence.take({ user: 'ann', online: true, at: 101 })
  t.equal(presence.online('ann'), false, 'what was told too late is not news')
  presence.seed('cho', true)
  presence.take({ known: false, at: 0, online: [] })
  t.same([presence.online('ann'), presence.online('bob')], [undefined, undefined], 'nothing is known any more')
  t.equal(presence.online('cho'), true, 'but of whom it was asked')
  presence.take({ user: 'dan', online: true })
  t.equal(presence.online('dan'), true)
})

t.test('what was asked for gives way to what was told', async t => {
  const presence = new Presence()
  presence.seed('ann', true)
  t.equal(presence.online('ann'), true)
  presence.seed('ann', false)
  t.equal(presence.online('ann'), false)
  t.equal(presence.told('ann'), false)
  presence.take({ user: 'ann', online: true, at: 5 })
  t.equal(presence.told('ann'), true)
  presence.seed('ann', false)
  t.equal(presence.online('ann'), true)
  for (const nonsense of [undefined, null, 'x', {}, { online: 1 }, { user: 1, online: true }]) presence.take(nonsense)
  t.equal(presence.online('ann'), true)
})
