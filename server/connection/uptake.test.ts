import t from 'tap'
import { StillTransport } from '../testkit/still-transport.ts'
import { Uptake } from './uptake.ts'

const turn = (): Promise<void> => new Promise(setImmediate)

/** An uptake whose looks find, one after the other, what is in `held`. */
const setUp = (held: (number | undefined)[]) => {
  const transport = new StillTransport({ pings: true, held: () => held.shift() })
  const uptake = new Uptake(transport, { STALL_SECONDS: 8, HEART_BEAT: 1000 })
  let moves = 0
  const look = async (now: number): Promise<number> => {
    uptake.look(now, () => moves++)
    await turn()
    return moves
  }
  return { uptake, look, left: () => held.length }
}

t.test('[S-45] nothing is doubted before an eighth of STALL_SECONDS', async t => {
  const { uptake } = setUp([])
  t.equal(uptake.doubts(999), false)
  t.equal(uptake.doubts(1000), true)
})

t.test('[S-45] what has become less has been taken', async t => {
  const { look } = setUp([5000, 5000, 4000, 4000, 6000, 5999])
  t.equal(await look(1000), 0, 'the first look only shows what there is')
  t.equal(await look(1250), 0)
  t.equal(await look(1500), 1)
  t.equal(await look(1750), 1)
  t.equal(await look(2000), 1, 'more is what we wrote ourselves')
  t.equal(await look(2250), 2)
})

t.test('it is looked at now and then only, and anew after there was no doubt', async t => {
  const { uptake, look, left } = setUp([5000, 4000, 3000])
  await look(1000)
  for (let now = 1000; now < 1250; now++) await look(now)
  t.equal(left(), 2)
  uptake.clear()
  t.equal(await look(1250), 0)
  t.equal(await look(1500), 1)
})

t.test('[S-25] a ping waits behind what is held, for STALL_SECONDS at most without anything being taken', async t => {
  const { uptake, look } = setUp([4096, 4096, 4095, 5000, 5000])
  t.equal(uptake.behind(1000), false, 'nobody has looked')
  await look(1000)
  t.equal(uptake.behind(8999), true)
  t.equal(uptake.behind(9000), false)
  await look(5000)
  t.equal(uptake.behind(9000), false)
  await look(6000)
  t.equal(uptake.behind(6000), false, 'what is left may be pings')
  await look(7000)
  t.equal(uptake.behind(13_999), true, 'something was taken')
  uptake.clear()
  t.equal(uptake.behind(7000), false)
})

t.test('where nobody knows, nothing is taken for anything', async t => {
  const { look } = setUp([undefined, 5000, undefined, 4000])
  for (let now = 1000; now < 1750; now += 250) t.equal(await look(now), 0)
  t.equal(await look(1750), 1)
})
