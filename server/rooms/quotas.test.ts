import t from 'tap'
import { memoryCounters } from '../drivers/memory/counters.ts'
import { quotas } from './quotas.ts'

void t.test('each kind up to its own limit, each user by themselves, on all nodes together', async t => {
  const counters = memoryCounters().port
  const limits = { ROOMS_PER_HOUR: 1, STRANGERS_PER_HOUR: 2, INVITATIONS_PER_HOUR: 3 }
  const [one, two] = [quotas(counters, limits), quotas(counters, limits)]
  await one('ann', 'rooms')
  await t.rejects(two('ann', 'rooms'), {
    code: 'TOO_MANY_ROOMS',
    message: /1 rooms an hour/,
    headers: { 'retry-after-ms': /^3[56]\d{5}$/ },
  })
  await t.resolves(two('bob', 'rooms'))
  await one('ann', 'strangers')
  await two('ann', 'strangers')
  await t.rejects(one('ann', 'strangers'), { code: 'QUOTA_REACHED' })
  await one('ann', 'invitations', 2)
  await t.rejects(two('ann', 'invitations', 2), { code: 'QUOTA_REACHED' })
  await t.resolves(two('ann', 'invitations', 1), 'what was refused was not counted')
  await t.resolves(two('ann', 'invitations', 0))
  await t.rejects(two('ann', 'invitations', 1), { code: 'QUOTA_REACHED' })
})
