import t from 'tap'
import { KnownRights, type Rights } from './known-rights.ts'

const rights: Rights = { read: true, send: true, moderate: false }
const other: Rights = { read: true, send: false, moderate: false }

void t.test('what was set is known, and the later of two', async t => {
  const known = new KnownRights(10)
  t.equal(known.get('r', 'ann'), undefined)
  known.set('r', 'ann', rights)
  known.set('r', 'bob', rights)
  known.set('s', 'ann', other)
  t.equal(known.get('r', 'ann'), rights)
  t.equal(known.get('s', 'ann'), other)
  known.set('r', 'ann', other)
  t.equal(known.get('r', 'ann'), other)
  t.equal(known.get('r', 'bob'), rights)
})

void t.test('no more are kept than were asked for, and those that are in use stay', async t => {
  const known = new KnownRights(10)
  known.set('r', 'in use', rights)
  for (let i = 0; i < 100; i++) {
    known.set(`room ${i % 7}`, `user ${i}`, rights)
    t.equal(known.get('r', 'in use'), rights)
  }
  const kept = Array.from({ length: 100 }, (_, i) => i).filter(i => known.get(`room ${i % 7}`, `user ${i}`))
  t.ok(kept.includes(99))
  t.ok(kept.length <= 9, `${kept.length}`)
})

void t.test('what is forgotten is forgotten in both halves: of a user in a room, of a room, of a user', async t => {
  const filled = (): KnownRights => {
    const known = new KnownRights(8)
    for (const room of ['r', 's']) for (const user of ['ann', 'bob']) known.set(room, user, rights)
    // These four are the old half now.
    known.set('new', 'ann', rights)
    known.set('r', 'cem', rights)
    return known
  }
  const cases: [object, string[]][] = [
    [{ room: 'r', user: 'ann' }, ['r bob', 'r cem', 's ann', 's bob', 'new ann']],
    [{ room: 'r' }, ['s ann', 's bob', 'new ann']],
    [{ user: 'ann' }, ['r bob', 'r cem', 's bob']],
    [{ room: 'unknown', user: 'ann' }, ['r ann', 'r bob', 'r cem', 's ann', 's bob', 'new ann']],
    [{}, []],
  ]
  const all = ['r ann', 'r bob', 'r cem', 's ann', 's bob', 'new ann']
  for (const [change, left] of cases) {
    const found = all.filter(pair => {
      // Asking moves things: each time in another one.
      const known = filled()
      known.forget(change)
      return known.get(...(pair.split(' ') as [string, string])) !== undefined
    })
    t.same(found, left, JSON.stringify(change))
  }
})

void t.test('what is forgotten makes room for others', async t => {
  const known = new KnownRights(4)
  known.set('r', 'ann', rights)
  known.set('r', 'bob', rights)
  for (let i = 0; i < 20; i++) {
    known.forget({ room: 'r', user: 'bob' })
    known.set('r', 'bob', rights)
  }
  t.equal(known.get('r', 'ann'), rights, 'nothing was pushed out')
})
