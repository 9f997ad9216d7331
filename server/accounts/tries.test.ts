import t from 'tap'
import { memoryCounters } from '../drivers/memory/counters.ts'
import { networkOf, Tries } from './tries.ts'

const tries = (options: { logins?: number; signUps?: number } = {}) => {
  const waits: number[] = []
  const wait = async (ms: number): Promise<void> => void waits.push(ms)
  return { waits, tries: new Tries({ counters: memoryCounters().port, logins: 3, signUps: 2, wait, ...options }) }
}

void t.test('so many tries of a name from an address, and no more, until one was right', async t => {
  const { tries: each } = tries()
  for (let i = 0; i < 3; i++) await each.signIn('ann', '192.0.2.1')
  const refused = { code: 'TOO_MANY_LOGINS', headers: { 'retry-after-ms': /^\d+$/ } }
  await t.rejects(each.signIn('ann', '192.0.2.1'), refused)
  await t.resolves(each.signIn('ann', '192.0.2.2'), 'another address')
  await t.resolves(each.signIn('bob', '192.0.2.1'), 'another name')
  await t.rejects(each.signIn('ann', '192.0.2.1'), refused)
  await each.signedIn('ann', '192.0.2.1')
  await t.resolves(each.signIn('ann', '192.0.2.1'))
})

void t.test('what is tried as a name counts for nobody who has another one', async t => {
  const { tries: each, waits } = tries()
  const names = ['bob 192.0.2.7', '192.0.2.7 bob', ' bob', 'name bob', 'from 192.0.2.7 bob', 'login-from 192.0.2.7 bob']
  for (const name of names) {
    for (const address of ['198.51.100.1', '198.51.100.2', '198.51.100.3']) {
      for (let i = 0; i < 3; i++) await each.signIn(name, address)
    }
  }
  t.same(waits, [], 'nor is anybody slowed down')
  for (let i = 0; i < 3; i++) await t.resolves(each.signIn('bob', '192.0.2.7'))
  for (let i = 0; i < 2; i++) await t.resolves(each.signUp('192.0.2.7'))
})

void t.test('a name that is tried from everywhere is slowed down, never locked', async t => {
  const { tries: each, waits } = tries()
  for (let i = 0; i < 100; i++) await each.signIn('ann', `192.0.2.${i}`)
  t.equal(waits.length, 80, 'twenty are free')
  t.same(waits.slice(0, 3), [100, 200, 300])
  t.same(waits.slice(-2), [3_000, 3_000])
  await each.signIn('bob', '192.0.2.1')
  t.equal(waits.length, 80, 'nobody else')
})

void t.test('it waits by itself', async t => {
  const each = new Tries({ counters: memoryCounters().port, logins: 100, signUps: 1 })
  for (let i = 0; i < 20; i++) await each.signIn('ann', '::1')
  const started = performance.now()
  await each.signIn('ann', '::1')
  t.ok(performance.now() - started >= 99)
})

void t.test('so many new accounts from an address', async t => {
  const { tries: each } = tries()
  for (let i = 0; i < 2; i++) await each.signUp('192.0.2.1')
  await t.rejects(each.signUp('192.0.2.1'), { code: 'TOO_MANY_REQUESTS', headers: { 'retry-after-ms': /^\d+$/ } })
  await t.resolves(each.signUp('192.0.2.2'))
})

void t.test('of IPv6 a whole network counts as one address', async t => {
  const networks: [address: string, network: string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8:1:2::1', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:DB8::', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    ['1::2:3:4:5:6:7', '1:0:2:3'],
    ['', ''],
  ]
  for (const [address, network] of networks) t.equal(networkOf(address), network, address)
})
