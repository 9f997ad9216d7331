import t from 'tap'
import { Link, type Ending } from './link.ts'

/** Something that is there until it is ended. */
const something = (): Ending & { readonly reasons: Error[] } => {
  const ended = Promise.withResolvers<Error>()
  const reasons: Error[] = []
  return {
    reasons,
    ended: ended.promise,
    end: reason => {
      reasons.push(reason)
      ended.resolve(reason)
    },
  }
}

t.test('what opens after it was closed is ended at once, and nobody is given it', async t => {
  const late = something()
  const opening = Promise.withResolvers<Ending>()
  const link = new Link({
    open: () => opening.promise,
    found: () => t.fail('it was found'),
    lost: () => t.fail('it was lost'),
  })
  const waiting = link.by(performance.now() + 10_000)
  const closed = link.close()
  opening.resolve(late)
  await closed
  t.equal(await waiting, undefined)
  t.equal(late.reasons.length, 1)
  t.equal(link.session, undefined)
})

t.test('one after the other, each found once, and lost once', async t => {
  const all = [something(), something()]
  const said: string[] = []
  let failing = 0
  let opened = 0
  const link = new Link<Ending>({
    open: async () => {
      if (opened === 1 && failing++ < 2) throw new Error('away')
      return all[opened++] ?? new Promise<never>(() => {})
    },
    found: session => void said.push(`found ${all.indexOf(session as (typeof all)[number])}`),
    lost: ({ message }) => void said.push(message),
  })
  const first = await link.by(performance.now() + 10_000)
  t.equal(first, all[0])
  link.over(all[1]!)
  t.equal(link.session, first, 'another one that is over changes nothing')
  all[0]!.end(new Error('gone'))
  while (link.session !== all[1]) await link.by(performance.now() + 10_000)
  t.same(said, ['found 0', 'gone', 'found 1'])
  await link.close()
  t.equal(all[1]!.reasons.length, 1)
})
