import t from 'tap'
import type { Visibility } from '../database/schema.ts'
import { acts, may, type Act, type Standing } from './rights.ts'

const visibilities: readonly Visibility[] = ['public', 'private', 'direct']
const standings: readonly Standing[] = ['banned', 'outsider', 'member', 'admin', 'owner']

const both = (who: string) => ({ public: who, private: who, direct: '' })

/** Who may, in each kind of room; of an act upon somebody: who upon whom. */
const expected: Record<Act, Record<Visibility, string>> = {
  'read': { public: 'outsider member admin owner', private: 'member admin owner', direct: 'member admin owner' },
  'send': { public: 'member admin owner', private: 'member admin owner', direct: 'member admin owner' },
  'mark': { public: 'member admin owner', private: 'member admin owner', direct: 'member admin owner' },
  'join': { public: 'outsider', private: '', direct: '' },
  'leave': both('member admin'),
  'rename': both('admin owner'),
  'describe': both('admin owner'),
  'set-visibility': both('owner'),
  'set-cap': both('owner'),
  'delete': both('owner'),
  'invite': { public: 'member admin owner', private: 'admin owner', direct: '' },
  'link': both('admin owner'),
  'moderate': both('admin owner'),
  'kick': both('admin>member owner>member owner>admin'),
  'ban': both('admin>banned admin>outsider admin>member owner>banned owner>outsider owner>member owner>admin'),
  'unban': both('admin owner'),
  'promote': both('owner>member'),
  'demote': both('owner>admin'),
  'hand-on': both('owner>member owner>admin'),
}

void t.test('who may do what, in which room, upon whom', async t => {
  t.same(acts.toSorted(), Object.keys(expected).toSorted())
  for (const act of acts) {
    const upon = Object.values(expected[act]).join().includes('>')
    for (const visibility of visibilities) {
      const allowed = expected[act][visibility].split(' ').filter(Boolean)
      const found = standings.flatMap(mine =>
        upon
          ? standings.filter(theirs => may(act, visibility, mine, theirs)).map(theirs => `${mine}>${theirs}`)
          : standings.filter(each => each === mine && may(act, visibility, mine)),
      )
      t.same(found.toSorted(), allowed.toSorted(), `${act} in a ${visibility} room`)
    }
  }
})

void t.test('an act upon somebody needs somebody', async t => {
  for (const act of ['kick', 'ban', 'promote', 'demote', 'hand-on'] as const) {
    t.equal(may(act, 'public', 'owner'), false, act)
  }
})

void t.test('what is no act upon somebody does not ask who', async t => {
  for (const theirs of standings) t.equal(may('rename', 'private', 'admin', theirs), true)
})
