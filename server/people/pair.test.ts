import fc from 'fast-check'
import t from 'tap'
import { after, mirror, shown, type Pair } from './pair.ts'
import { acts, Model, outcome } from './testkit/model.ts'

const nothing: Pair = { standing: 'none', blocking: false, blocked: false }

t.test('whatever two people do, it is as the model has it', async t => {
  fc.assert(
    fc.property(acts, all => {
      const model = new Model()
      let pair = nothing
      for (const [who, act] of all) {
        const seen = who === 0 ? pair : mirror(pair)
        const expected = outcome(() => model.act(who, act))
        const result = outcome(() => {
          const next = after(seen, act)
          pair = who === 0 ? next : mirror(next)
        })
        if (result !== expected) throw new Error(`${act}: ${result}, not ${expected}`)
        for (const side of [0, 1] as const) {
          const view = side === 0 ? pair : mirror(pair)
          const said = JSON.stringify([shown(view), view.blocking])
          const wanted = JSON.stringify(model.view(side))
          if (said !== wanted) throw new Error(`${act}: ${said}, not ${wanted}`)
        }
        if (pair.standing === 'friends' && (pair.blocking || pair.blocked)) throw new Error('friends who block')
      }
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('the other side of the other side is this one', async t => {
  for (const standing of ['none', 'requested', 'asked', 'friends'] as const) {
    const pair = { standing, blocking: true, blocked: false }
    t.same(mirror(mirror(pair)), pair)
  }
})
