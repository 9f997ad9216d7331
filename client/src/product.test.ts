import { mock } from 'node:test'
import t from 'tap'
import type { RoomInfo } from './api-types.ts'
import { Once, Refusal } from './api.ts'
import { Changes } from './changes.ts'
import type { Message, RoomView } from './chat/index.ts'
import { Unsent } from './chat/unsent.ts'
import { leads, mayInvite, titleOf } from './components/product/room-rights.ts'
import { rowsOf, unreadOf } from './components/rows.ts'
import { placeIn } from './hooks/use-place.ts'
import { forgetWritten, Remembered } from './remembered.ts'
import { deviceName } from './session.ts'
import { passing } from './testkit/storage.ts'
import { en } from './text/en.ts'

t.test('the fragment of the URL names the place', async t => {
  for (const home of ['', '#', '#/']) t.same(placeIn(home), { is: 'home' })
  for (const is of ['sign-in', 'sign-up', 'friends', 'notifications', 'account', 'devices', 'rooms', 'new']) {
    t.same(placeIn(`#/${is}`), { is })
    t.same(placeIn(`#/${is}/x`), { is: 'lost' })
  }
  for (const is of ['room', 'members', 'settings', 'invite']) {
    t.same(placeIn(`#/${is}/0c8v2m`), { is, room: '0c8v2m' })
    t.same(placeIn(`#/${is}`), { is: 'lost' })
  }
  t.same(placeIn('#/person/0c8v2m'), { is: 'person', user: '0c8v2m' })
  t.same(placeIn('#/join/q1Zb-m7T_x'), { is: 'join', token: 'q1Zb-m7T_x' })
  for (const lost of [
    '#/nowhere',
    '#x',
    '#/room/a b',
    '#/person/../x',
    '#/join/<',
    '#/person',
    '#/join',
    '#/Friends',
  ]) {
    t.same(placeIn(lost), { is: 'lost' }, lost)
  }
})

t.test('a device calls itself what people call it', async t => {
  t.equal(deviceName('Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'), 'Firefox · Linux')
  const chrome = 'AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'
  t.equal(deviceName(`Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${chrome}`), 'Chrome · Windows')
  t.equal(deviceName(`Mozilla/5.0 (Linux; Android 15) ${chrome}`), 'Chrome · Android')
  t.equal(deviceName(`Mozilla/5.0 (Windows NT 10.0) ${chrome} Edg/140.0`), 'Edge · Windows')
  t.equal(deviceName('Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Safari/604.1'), 'Safari · iOS')
  t.equal(deviceName(''), '')
  t.equal(deviceName('x'.repeat(200)), 'x'.repeat(100))
})

t.test('those who show what has changed are told once', async t => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 })
  t.teardown(() => mock.timers.reset())
  const changes = new Changes()
  const told: string[] = []
  changes.watch(['rooms', 'room a'], () => told.push('a'))
  const end = changes.watch(['friends'], () => told.push('friends'))
  changes.happened('room a')
  changes.happened('rooms', 'room b')
  t.same(told, [], 'not before more may have come')
  mock.timers.tick(1_000)
  t.same(told.splice(0), ['a'])
  mock.timers.tick(5_000)
  changes.happened('room a')
  mock.timers.tick(80)
  t.same(told.splice(0), ['a'])
  changes.happened('room a')
  mock.timers.tick(900)
  t.same(told, [], 'not more often than every second')
  mock.timers.tick(100)
  t.same(told.splice(0), ['a'])
  changes.happened('devices')
  mock.timers.tick(1_000)
  t.same(told, [], 'nobody shows that')
  changes.everything()
  mock.timers.tick(1_000)
  t.same(told.splice(0), ['a', 'friends'])
  end()
  changes.happened('friends')
  mock.timers.tick(1_000)
  t.same(told, [])
})

t.test('what no answer came to is asked for under the same key, whatever has an answer under a new one', async t => {
  const once = new Once()
  const keys: (string | undefined)[] = []
  const asked = (what: string, status?: number): Promise<void> =>
    once
      .do(what, async headers => {
        keys.push(headers['idempotency-key'])
        if (status !== undefined) throw new Refusal(status, { code: 'X', message: '', advice: '' })
      })
      .catch((error: unknown) => t.equal(error instanceof Refusal && error.status, status))
      .then(() => undefined)
  await asked('a', 0)
  await asked('b', 503)
  await asked('a', 503)
  await asked('b')
  await asked('a')
  await asked('a', 409)
  await asked('a')
  const [first, other, again, otherAgain, done, second, third] = keys
  t.match(first, /^[0-9a-f-]{36}$/)
  t.same([again, done], [first, first])
  t.equal(otherAgain, other)
  t.equal(new Set([first, other, second, third]).size, 4)
})

const message = (id: string, sender: string, type?: string): Message => ({
  id,
  sender,
  time: new Date(2026, 4, 5, 12).getTime(),
  body: id,
  ...(type !== undefined && { type }),
})
const view = (messages: Message[]): RoomView => ({ is: 'joined', messages, outgoing: [], broken: false })

t.test('what the server says of a room is a line, but no message; what changes messages is neither', async t => {
  const said = [
    message('1', 'ann'),
    message('2', 'ann', 'system'),
    message('3', 'ann', 'message'),
    message('4', 'ann', 'edit'),
    message('5', 'ann'),
  ]
  const rows = rowsOf(view(said), 'me').map(row =>
    row.kind === 'message' ? `${row.first ? '[' : ''}${row.id}${row.last ? ']' : ''}` : `${row.kind} ${row.id}`,
  )
  t.same(rows, ['day day 1', '[1]', 'system 2', '[3', '5]'])
  t.equal(unreadOf(said, '', 'me'), 3)
  t.equal(unreadOf(said, '3', 'me'), 1)
})

t.test('what may be done in a room is offered to who may do it', async t => {
  const room = (more: Partial<RoomInfo>): RoomInfo => ({
    id: 'r',
    visibility: 'private',
    name: 'Riders',
    about: '',
    memberCount: 2,
    maxMembers: 100,
    createdAt: 0,
    lastMessageAt: 0,
    ...more,
  })
  for (const role of ['owner', 'admin'] as const) t.ok(leads(room({ role })) && mayInvite(room({ role })), role)
  t.notOk(leads(room({ role: 'member' })))
  t.notOk(mayInvite(room({ role: 'member' })))
  t.ok(mayInvite(room({ role: 'member', visibility: 'public' })))
  t.notOk(mayInvite(room({ visibility: 'public' })))
  t.notOk(leads(room({ role: 'owner', visibility: 'direct' })))
  t.equal(titleOf(room({})), 'Riders')
  const other = { id: 'u', name: 'ann', displayName: 'Ann Lee', statusText: '' }
  t.equal(titleOf({ visibility: 'direct', other }), 'Ann Lee')
  t.equal(titleOf({ visibility: 'direct' }), en.goneUser)
})

t.test('people who share a browser do not share what they have not sent', async t => {
  const store = passing(t)
  const [ann, bob] = ['ann', 'bob'].map(user => new Remembered(store, store, user))
  ann?.keepDraft('r', 'dear diary')
  ann?.setMark('r', 'e-5')
  t.same([ann?.draft('r'), ann?.mark('r')], ['dear diary', 'e-5'])
  t.same([bob?.draft('r'), bob?.mark('r')], ['', undefined])
})

t.test('of what anybody wrote nothing stays when nobody is signed in; names and rooms do', async t => {
  const [lasting, tab] = [passing(t), passing(t)]
  const named = new Remembered(lasting, tab)
  named.signedIn({ user: 'Ada', credentials: { login: 'Ada' } })
  named.keepDraft('r', 'of a name')
  for (const user of ['ann', 'bob']) {
    new Remembered(lasting, tab, user).keepDraft('r', 'dear diary')
    new Unsent(user, lasting).add('r', 'not sent')
    new Unsent(user, lasting).add('r', 'not sent either')
  }
  t.equal(new Unsent('ann', lasting).size, 2)
  forgetWritten(lasting, tab)
  t.equal(new Unsent('ann', lasting).size, 0)
  t.equal(new Unsent('bob', lasting).size, 0)
  t.equal(new Remembered(lasting, tab, 'ann').draft('r'), '')
  t.equal(named.draft('r'), 'of a name')
  t.match(named.account(), { user: 'Ada' })
})
