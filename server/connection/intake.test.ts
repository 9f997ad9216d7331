import t from 'tap'
import { Intake } from './intake.ts'

t.test('[S-34] past its bytes it is full; who waits is called once when there is room', async t => {
  const intake = new Intake(100)
  const called: string[] = []
  const [a, b, c] = ['a', 'b', 'c'].map(name => () => void called.push(name))
  intake.add(99)
  t.equal(intake.full, false)
  intake.add(1)
  t.equal(intake.full, true)
  for (const listener of [a!, b!, a!, c!]) intake.whenRoom(listener)
  intake.add(50)
  intake.forget(c!)
  intake.remove(50)
  t.same(called, [], 'still full')
  intake.remove(1)
  t.same(called, ['a', 'b'])
  intake.remove(1)
  t.same(called, ['a', 'b'])
  t.equal(intake.bytes, 98)
})
