import t from 'tap'
import { Expiry } from './expiry.ts'

const counting = () => {
  const seen = { notices: [] as number[], ends: 0 }
  const expiry = new Expiry(
    expires => void seen.notices.push(expires),
    () => void seen.ends++,
  )
  return { expiry, seen }
}

void t.test('[S-20] a look at the clock ends what a late timer has not ended yet', async t => {
  const { expiry, seen } = counting()
  expiry.set(Date.now() + 60_000)
  expiry.check()
  t.equal(seen.ends, 0, 'not before its time')
  expiry.set(Date.now() - 1)
  t.equal(seen.ends, 0, 'the timer needs a turn')
  expiry.check()
  t.equal(seen.ends, 1)
  expiry.clear()
  expiry.check()
  t.equal(seen.ends, 1, 'what was cleared does not end')
})

void t.test('[S-62] the notice comes at once where less than its time is left, and never without an end', async t => {
  const { expiry, seen } = counting()
  expiry.set(undefined)
  expiry.remind()
  expiry.check()
  const end = Date.now() + 5000
  expiry.set(end)
  await t.resolves(
    new Promise<void>(resolve => {
      const look = (): void => void (seen.notices.length > 0 ? resolve() : setImmediate(look))
      look()
    }),
  )
  expiry.clear()
  t.same(seen, { notices: [end], ends: 0 })
})
