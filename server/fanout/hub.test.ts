import t from 'tap'
import { fail, type HoofbeatError } from '../errors.ts'
import { fanOut, turns, until, type Fan } from '../testkit/fan.ts'

const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: HoofbeatError) => error.code,
  )
const endOf = ({ ends }: Fan): string[] => ends.map(error => error.code)
const notices = ({ reader }: Fan): (string | undefined)[] =>
  reader.frames.map(({ headers }) => headers.get('recovered'))
const users = ({ subscription }: Fan): number => subscription.options.style.users
const ids = ({ reader }: Fan): (string | undefined)[] => reader.frames.map(({ headers }) => headers.get('message-id'))

// ── A room opens and closes ──

void t.test('the first subscriber starts the tail, the others share it, and the last one leaving stops it', async t => {
  const fan = fanOut()
  const all = await Promise.all([fan.join('room'), fan.join('room'), fan.join('room')])
  t.equal(fan.log.counts.tail, 1)
  t.equal(fan.hub.rooms, 1)
  await turns()
  fan.log.say('room', 'hello')
  for (const { reader } of all) t.same(reader.bodies, ['hello'])
  for (const { subscription } of all.slice(1)) subscription.end()
  all[0]!.subscription.end()
  all[0]!.subscription.end()
  t.equal(fan.log.tails.size, 1, 'not at once')
  await until(() => fan.log.tails.size === 0)
  fan.log.say('room', 'nobody')
  t.equal(all[0]!.reader.frames.length, 1)
  t.same([fan.hub.rooms, fan.hub.recentBytes, users(all[0]!)], [0, 0, 0], 'nothing is left behind')
})

void t.test('the tail goes on if someone comes back in time', async t => {
  const fan = fanOut(['back', 'gone'])
  const [first, other] = await Promise.all([fan.join('back'), fan.join('gone')])
  first.subscription.end()
  const second = await fan.join('back')
  other.subscription.end()
  // Its time is up later than the other's would have been.
  await until(() => fan.hub.rooms === 1)
  await turns()
  fan.log.say('back', 'hello')
  t.same(second.reader.bodies, ['hello'])
  t.equal(fan.log.counts.tail, 2)
})

void t.test('a room that cannot be opened refuses all who wait for it and leaves nothing behind', async t => {
  const fan = fanOut()
  fan.log.held = true
  const waiting = [code(fan.join('room')), code(fan.join('room', { last: 3 }))]
  fan.log.calls[0]!.refuse(fail('LOG_UNAVAILABLE'))
  t.same(await Promise.all(waiting), ['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE'])
  t.equal(fan.log.calls.length, 0)
  t.same([fan.hub.rooms, fan.log.tails.size, fan.gone], [0, 0, []])
  fan.log.held = false
  const one = await fan.join('room')
  await turns()
  fan.log.say('room', 'hello')
  t.same(one.reader.bodies, ['hello'])
  t.equal(users(one), 1, 'those who were refused have no style')
})

void t.test('a start that cannot be looked up is refused, and the room closes again', async t => {
  const fan = fanOut()
  fan.log.held = true
  const refused = code(fan.join('room', { after: 'unknown' }))
  fan.log.calls[0]!.step()
  fan.log.calls[0]!.step()
  await until(() => fan.log.calls.length > 0)
  fan.log.calls[0]!.refuse(fail('LOG_UNAVAILABLE'))
  t.equal(await refused, 'LOG_UNAVAILABLE')
  await until(() => fan.log.tails.size === 0)
  t.equal(fan.hub.rooms, 0)
  fan.log.held = false
  t.equal(users(await fan.join('room')), 1, 'who was refused has no style')
})

void t.test('a room that is not there is said to be gone, and can be subscribed to once it is made', async t => {
  const fan = fanOut([])
  t.equal(await code(fan.join('room')), 'NO_SUCH_ROOM')
  t.same(fan.gone, ['room'])
  fan.log.make('room')
  t.equal(await code(fan.join('room')), 'resolved')
})

void t.test('closing ends everyone and refuses whoever comes, also who is on the way', async t => {
  const fan = fanOut(['open', 'opening', 'idle'])
  const open = await fan.join('open')
  const idle = await fan.join('idle')
  idle.subscription.end()
  fan.log.held = true
  const opening = code(fan.join('opening'))
  fan.hub.close()
  for (const call of [...fan.log.calls, ...fan.log.calls]) call.step()
  t.equal(await opening, 'DRAINING')
  t.equal(await code(fan.join('open')), 'DRAINING')
  t.same(endOf(open), ['DRAINING'])
  t.same([fan.log.tails.size, fan.hub.rooms, users(open)], [0, 0, 0])
})

// ── A room that is removed ──

void t.test('when a room is removed its subscribers end, once, and a fresh subscribe right after works', async t => {
  const fan = fanOut()
  const old = [await fan.join('room'), await fan.join('room', 'now', { look: { subscription: 'b' } })]
  const left = await fan.join('room')
  await turns()
  fan.log.say('room', 'kept')
  left.subscription.end()
  await fan.log.remove('room')
  for (const each of old) t.same(endOf(each), ['NO_SUCH_ROOM'])
  t.same(endOf(left), [], 'who had left is told nothing')
  t.same([fan.gone, fan.hub.rooms, fan.hub.recentBytes], [['room'], 0, 0])
  t.same([...old, left].map(users), [0, 0, 0])
  fan.log.make('room')
  const fresh = await fan.join('room')
  for (const each of old) each.subscription.end()
  await turns()
  fan.log.say('room', 'new')
  t.same(fresh.reader.bodies, ['new'])
  t.same(old[0]!.reader.bodies, ['kept'])
})

void t.test('regression: the idle timer of a room that was removed does not close the new one', async t => {
  const fan = fanOut(['room', 'other'])
  const old = await fan.join('room')
  old.subscription.end()
  await fan.log.remove('room')
  fan.log.make('room')
  const fresh = await fan.join('room')
  const other = await fan.join('other')
  other.subscription.end()
  await until(() => fan.hub.rooms === 1)
  fan.log.say('room', 'new')
  t.same(fresh.reader.bodies, ['new'])
  fresh.subscription.end()
  await until(() => fan.log.tails.size === 0)
})

void t.test('regression: a room removed before its tail was answered refuses, and does not wait for ever', async t => {
  const fan = fanOut()
  fan.log.held = true
  const joining = code(fan.join('room'))
  const [call] = fan.log.calls
  call!.step()
  await fan.log.remove('room')
  call!.step()
  t.equal(await joining, 'NO_SUCH_ROOM')
  t.equal(fan.hub.rooms, 0)
})

void t.test('regression: a room removed while a start was looked up refuses, and does not wait for ever', async t => {
  const fan = fanOut()
  const first = await fan.join('room')
  fan.log.held = true
  const joining = code(fan.join('room', { after: 'unknown' }))
  await until(() => fan.log.calls.length === 1)
  fan.log.calls[0]!.step()
  await fan.log.remove('room')
  fan.log.calls[0]!.step()
  t.equal(await joining, 'NO_SUCH_ROOM')
  t.same(endOf(first), ['NO_SUCH_ROOM'])
  t.equal(users(first), 0)
})

// ── A tail that breaks off ──

void t.test('a tail that breaks off goes on where it was, however often it is refused, without a notice', async t => {
  const fan = fanOut()
  const one = await fan.join('room')
  await turns()
  fan.log.say('room', '0')
  fan.log.held = true
  fan.log.breakOff('room')
  fan.log.add('room', ['1', '2'])
  for (let i = 0; i < 3; i++) {
    await until(() => fan.log.calls.length === 1, 'another try')
    fan.log.calls[0]!.refuse(fail('LOG_UNAVAILABLE'))
  }
  fan.log.held = false
  await until(() => fan.log.tails.size === 1)
  fan.log.show('room')
  t.same(one.reader.bodies, ['0', '1', '2'])
  t.same(notices(one), [undefined, undefined, undefined])
  t.equal(fan.logged.length, 3)
})

void t.test('while the log cannot be tailed a break is not tried again at once, again and again', async t => {
  const fan = fanOut(['room'], { retryMs: 600_000 })
  await fan.join('room')
  fan.log.breakOff('room')
  await turns(50)
  t.equal(fan.log.counts.tail, 1)
  fan.hub.close()
})

void t.test('a tail that is refused for good ends the subscribers', async t => {
  const fan = fanOut()
  const one = await fan.join('room')
  fan.log.held = true
  fan.log.breakOff('room')
  await until(() => fan.log.calls.length === 1)
  fan.log.calls[0]!.refuse(fail('FORBIDDEN'))
  await until(() => one.ends.length > 0)
  t.same(endOf(one), ['FORBIDDEN'])
  t.equal(fan.hub.rooms, 0)
})

void t.test('a tail that the driver ends as it closes is left alone', async t => {
  const fan = fanOut()
  const one = await fan.join('room')
  for (const tail of fan.log.tails) tail.end()
  await turns(50)
  t.equal(fan.log.counts.tail, 1)
  t.same(one.ends, [])
})

void t.test('a room left while its tail is broken off is not tailed again', async t => {
  const fan = fanOut(['asks', 'refused'])
  for (const room of ['asks', 'refused']) {
    const { subscription } = await fan.join(room)
    fan.log.held = true
    fan.log.breakOff(room)
    await until(() => fan.log.calls.length === 1)
    subscription.end()
    await until(() => fan.hub.rooms === 0)
    const [call] = fan.log.calls
    if (room === 'refused') call!.refuse(fail('LOG_UNAVAILABLE'))
    else {
      call!.step()
      call!.step()
    }
    fan.log.held = false
    await turns(50)
    t.equal(fan.log.tails.size, 0, room)
  }
  t.equal(fan.log.counts.tail, 4)
})

void t.test('regression: a tail that breaks off before it is answered is followed once, not twice', async t => {
  const fan = fanOut()
  fan.log.held = true
  const joining = fan.join('room')
  const [call] = fan.log.calls
  call!.step()
  fan.log.add('room', ['0', '1'])
  fan.log.show('room', 1)
  fan.log.breakOff('room')
  call!.step()
  const one = await joining
  fan.log.held = false
  await until(() => fan.log.tails.size === 1)
  fan.log.say('room', '2')
  await turns()
  // The first came before it was answered, and so before now.
  t.same(one.reader.bodies, ['1', '2'])
  t.same(notices(one), [undefined, undefined])
})

void t.test('records that are missing after a break are told to who had not had them', async t => {
  const fan = fanOut()
  const live = await fan.join('room')
  await turns()
  fan.log.say('room', '0')
  fan.log.add('room', ['1', '2', '3'])
  const { epoch } = fan.log.add('room', ['4'])[0]!
  // This one comes back from a node that was ahead of ours.
  const ahead = await fan.join('room', { after: { epoch, offset: 3n } })
  t.equal(ahead.recovered, true)
  await fan.log.remove('room', 3n)
  fan.log.breakOff('room')
  await until(() => fan.log.tails.size === 1)
  fan.log.show('room')
  await turns()
  t.same(live.reader.bodies, ['0', '3', '4'])
  t.same(notices(live), [undefined, 'false', undefined], 'on exactly the next MESSAGE')
  t.equal(live.reader.frames[1]!.headers.get('first'), `${epoch}-3`)
  t.same(ahead.reader.bodies, ['4'], 'nothing again')
  t.same(notices(ahead), [undefined])
})

void t.test('a room whose log has become shorter begins again, and says so', async t => {
  const fan = fanOut()
  const one = await fan.join('room')
  await turns()
  fan.log.say('room', '0', '1', '2')
  const life = fan.log.rooms.get('room')!
  life.all.splice(1)
  life.next = 1n
  fan.log.breakOff('room')
  await until(() => fan.log.tails.size === 1)
  fan.log.say('room', 'one')
  t.same(one.reader.bodies, ['0', '1', '2', '0', 'one'])
  t.same(notices(one), [undefined, undefined, undefined, 'false', undefined])
})

// ── A room that is made anew ──

void t.test('regression: of a room made anew and already longer than it was, nothing is left out', async t => {
  const fan = fanOut()
  const one = await fan.join('room')
  await turns()
  fan.log.say('room', '0', '1')
  const { epoch } = fan.log.make('room')
  fan.log.add('room', ['a', 'b', 'c'])
  await until(() => fan.log.counts.tail === 3)
  await turns()
  fan.log.show('room')
  t.same(one.reader.bodies, ['0', '1', 'a', 'b', 'c'])
  t.same(notices(one), [undefined, undefined, 'false', undefined, undefined])
  t.same(ids(one).slice(2), [`${epoch}-0`, `${epoch}-1`, `${epoch}-2`])
  t.equal(fan.log.tails.size, 1)
})

void t.test('regression: a place found in the life before is not taken for one in the new', async t => {
  const fan = fanOut()
  const first = await fan.join('room')
  await turns()
  fan.log.say('room', '0', '1', '2')
  fan.log.held = true
  const joining = fan.join('room', { after: 'unknown' })
  await until(() => fan.log.calls.length === 1)
  const [bounds] = fan.log.calls
  bounds!.step()
  const { epoch } = fan.log.make('room')
  fan.log.add('room', ['a', 'b'])
  await until(() => fan.log.calls.length === 2)
  const tail = fan.log.calls[1]!
  tail.step()
  tail.step()
  bounds!.step()
  fan.log.held = false
  for (const call of [...fan.log.calls, ...fan.log.calls]) call.step()
  const second = await joining
  await until(() => fan.log.tails.size === 1)
  fan.log.show('room')
  await until(() => second.reader.frames.length >= 2)
  t.same(second.reader.bodies, ['a', 'b'])
  t.equal(second.first, `${epoch}-0`)
  t.same(first.reader.bodies, ['0', '1', '2', 'a', 'b'])
})

void t.test(
  'a start looked up in a life that the tail does not know yet: all of that follows, and is told',
  async t => {
    for (const start of [{ after: 'unknown' } as const, { last: 3 }]) {
      const fan = fanOut()
      const one = await fan.join('room')
      await turns()
      fan.log.add('room', ['0'])
      const life = fan.log.rooms.get('room')!
      // The driver shows the bounds of the new life first.
      fan.log.rooms.set('room', { ...life, epoch: 'new', all: [], first: 0n, next: 0n })
      const two = await fan.join('room', start)
      await turns()
      fan.log.breakOff('room')
      await until(() => fan.log.tails.size === 1)
      fan.log.say('room', 'a')
      await turns()
      t.same(two.reader.bodies, ['a'])
      t.same(ids(two), ['new-0'])
      t.same(notices(two), ['false'])
      t.same(notices(one), ['false'])
    }
  },
)
