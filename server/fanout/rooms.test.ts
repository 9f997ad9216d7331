import t from 'tap'
import { fail, type HoofbeatError } from '../errors.ts'
import { ModelLog } from '../testkit/model-log.ts'
import { Rooms } from './rooms.ts'

const yes = (): boolean => true
const no = (): boolean => false
const code = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: HoofbeatError) => error.code,
  )

void t.test('auto: the first to ask makes a room; it is known from then on until it is forgotten', async t => {
  const log = new ModelLog()
  const rooms = new Rooms(log, 'auto')
  t.equal(rooms.has('room'), false)
  t.equal(await code(rooms.ensure('room', no)), 'TOO_MANY_ROOMS')
  t.equal(rooms.has('room'), false)
  await rooms.ensure('room', yes)
  t.equal(rooms.has('room'), true)
  await rooms.ensure('room', no)
  t.equal(log.counts.create, 1)
  rooms.forget('room')
  t.equal(rooms.has('room'), false)
  await rooms.ensure('room', no)
  t.equal(log.counts.create, 1)
})

void t.test(
  'work in a room: what is there is not asked for, what is not there is made, and nothing is made in vain',
  async t => {
    const log = new ModelLog()
    const rooms = new Rooms(log, 'auto')
    const work = () => log.tail('room', 'end', { records() {}, end() {} })
    t.equal(await code(rooms.within('room', work, no)), 'TOO_MANY_ROOMS')
    t.equal(rooms.has('room'), false)
    await rooms.within('room', work, yes)
    t.equal(rooms.has('room'), true)
    t.equal(log.counts.create, 1)
    rooms.forget('room')
    await rooms.within('room', work, no)
    t.equal(rooms.has('room'), true)
    t.equal(log.counts.create, 1)
    t.equal(await code(rooms.within('room', () => Promise.reject(fail('LOG_UNAVAILABLE')), yes)), 'LOG_UNAVAILABLE')
    t.equal(
      await code(new Rooms(log, 'declared').within('other', () => Promise.reject(fail('NO_SUCH_ROOM')), yes)),
      'NO_SUCH_ROOM',
    )
  },
)

void t.test('declared: an unknown room is refused', async t => {
  const log = new ModelLog()
  const rooms = new Rooms(log, 'declared')
  t.equal(await code(rooms.ensure('room', yes)), 'NO_SUCH_ROOM')
  log.make('room')
  t.equal(await code(rooms.ensure('room', yes)), 'resolved')
  t.equal(log.counts.create, 0)
})

void t.test(
  'regression: that one may not make a room does not refuse it to those who ask at the same time',
  async t => {
    const log = new ModelLog()
    const rooms = new Rooms(log, 'auto')
    let asked = 0
    const may = (): boolean => ++asked > 0
    const answers = [
      rooms.ensure('room', no),
      rooms.ensure('room', may),
      rooms.ensure('room', may),
      rooms.ensure('room', no),
    ]
    t.same(await Promise.all(answers.map(code)), ['TOO_MANY_ROOMS', 'resolved', 'resolved', 'resolved'])
    t.same(log.counts, { tail: 0, read: 0, bounds: 1, create: 1 }, 'the log is asked once for all')
    t.equal(asked, 1, 'and it counts for one')
  },
)

void t.test('what the log refuses is refused to all who wait, and not remembered', async t => {
  const log = new ModelLog()
  const rooms = new Rooms(log, 'auto')
  log.held = true
  const looking = [rooms.ensure('room', yes), rooms.ensure('room', yes)].map(code)
  log.calls[0]!.refuse(fail('LOG_UNAVAILABLE'))
  t.same(await Promise.all(looking), ['LOG_UNAVAILABLE', 'LOG_UNAVAILABLE'])
  log.held = false
  t.equal(await code(rooms.ensure('room', yes)), 'resolved')
})
