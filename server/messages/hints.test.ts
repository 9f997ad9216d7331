import t from 'tap'
import { memorySignals } from '../drivers/memory/signals.ts'
import { fail } from '../errors.ts'
import { ModelLog } from '../testkit/model-log.ts'
import { until } from '../testkit/node.ts'
import { Hints } from './hints.ts'
import { record } from './testkit/log.ts'

void t.test('a node with an archive looks itself; one without tells those that have one', async t => {
  const signals = memorySignals().port
  const log = new ModelLog()
  const [here, bridge] = [new Hints(signals), new Hints(signals)]
  const heard: string[] = []
  await here.follow(room => void heard.push(room))
  const mine = here.of(log)
  await mine.create(['a', 'b'])
  await mine.append('a', [record('ann', 'x')])
  t.same(heard, ['a'])
  const theirs = bridge.of(log)
  for (const room of ['b', 'a', 'b', 'b']) await theirs.append(room, [record('ann', 'x')])
  t.same(heard, ['a'], 'they gather for a moment')
  await until(() => heard.length > 1)
  t.same(heard, ['a', 'b', 'a'], 'each once')
  await theirs.append('b', [record('ann', 'x')])
  await until(() => heard.length > 3)
  t.same(heard, ['a', 'b', 'a', 'b'])
})

void t.test(
  'where it is not known whether it was kept, it may have been; all else goes to the log as it is',
  async t => {
    const log = new ModelLog()
    const heard: string[] = []
    const hints = new Hints(memorySignals().port)
    await hints.follow(room => void heard.push(room))
    const unsure = hints.of({ ...hints.of(log), append: async () => Promise.reject(fail('LOG_UNAVAILABLE')) })
    await unsure.create(['a'])
    await t.rejects(unsure.append('a', [record('ann', 'x')]), { code: 'LOG_UNAVAILABLE' })
    t.same(heard, ['a'])
    const [position] = await hints.of(log).append('a', [record('ann', 'x')])
    t.match(await unsure.bounds('a'), { epoch: position!.epoch, first: 0n, next: 1n })
    t.equal((await unsure.read('a', 0n, 10)).length, 1)
    const tail = await unsure.tail('a', 'end', { records: () => {}, end: () => {} })
    t.equal(tail.next, 1n)
    await unsure.remove('a')
    await t.rejects(unsure.bounds('a'), { code: 'NO_SUCH_ROOM' })
  },
)
