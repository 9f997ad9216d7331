import t from 'tap'
import { accessContract, refusedWith, someRecord } from '../ports/access.contract.ts'
import { openAccess } from './open.ts'

void t.test('contract', async t => {
  accessContract(t, async () => ({
    driver: openAccess(),
    valid: async user => ({ login: user }),
    invalid: async () => ({ login: 'never\0heard of' }),
  }))
})

void t.test('any login is taken, trimmed, and needs no password', async t => {
  const { authenticate } = openAccess().port
  t.same(await authenticate({ login: 'ann' }), { user: 'ann' })
  t.same(await authenticate({ login: '  ann lee\t' }), { user: 'ann lee' })
  t.same(await authenticate({ login: 'ann', passcode: 'whatever', token: 'a.b.c' }), { user: 'ann' })
})

void t.test('without a login one is anonymous', async t => {
  const { authenticate } = openAccess().port
  for (const credentials of [{}, { login: '' }, { login: ' \n ' }, { token: 'a.b.c' }]) {
    t.same(await authenticate(credentials), { user: 'anonymous' })
  }
})

void t.test('a login is at most 128 characters, none of them a control character', async t => {
  const { authenticate } = openAccess().port
  t.same(await authenticate({ login: '한'.repeat(128) }), { user: '한'.repeat(128) })
  for (const login of ['한'.repeat(129), 'a\u0007b', 'a\nb']) {
    const error = await refusedWith(authenticate({ login }))
    t.match(error, { code: 'BAD_CREDENTIALS', message: /at most 128 characters, without control characters$/ })
  }
})

void t.test('whoever asks may do everything', async t => {
  const { mayRead, maySend } = openAccess().port
  t.equal(await mayRead({ user: 'nobody has seen' }, 'general'), true)
  t.equal(await maySend({ user: 'nobody has seen' }, 'general', someRecord), true)
})
