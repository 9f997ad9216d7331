import t from 'tap'
import { claimsContract } from '../../ports/claims.contract.ts'
import { memoryClaims } from './claims.ts'

claimsContract(t, async options => memoryClaims(options))

void t.test('there are never more than it may remember: the oldest go first', async t => {
  const { port: claims } = memoryClaims({ window: 60_000, most: 3 })
  const kinds = async (...ids: string[]): Promise<string[]> =>
    (await Promise.all(ids.map(id => claims.claim('room', [id])))).map(({ kind }) => kind)
  t.same(await kinds('a', 'b', 'c'), ['taken', 'taken', 'taken'])
  t.same(await kinds('a', 'b', 'c'), ['held', 'held', 'held'], 'three are remembered')
  t.same(await kinds('d'), ['taken'])
  t.same(await kinds('b', 'c', 'd'), ['held', 'held', 'held'])
  t.same(await kinds('a'), ['taken'], 'the fourth was too much')
})
