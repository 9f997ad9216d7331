import t from 'tap'
import { countersContract } from '../../ports/counters.contract.ts'
import { memoryCounters } from './counters.ts'

countersContract(t, async () => memoryCounters())

void t.test('there are never more than it may remember: the oldest go first', async t => {
  const { port: counters } = memoryCounters({ most: 2 })
  for (const key of ['a', 'b', 'a']) await counters.add(key, 60_000)
  t.equal((await counters.add('a', 60_000)).count, 3)
  await counters.add('c', 60_000)
  t.equal((await counters.add('b', 60_000)).count, 2)
  t.equal((await counters.add('a', 60_000)).count, 1, 'it had begun first')
})
