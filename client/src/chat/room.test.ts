import t from 'tap'
import type { Message, Outgoing } from './message.ts'
import { Room } from './room.ts'
import { Timeline } from './timeline.ts'

const message = (id: string, more: Partial<Message> = {}): Message => ({
  id,
  sender: 'ada',
  time: 1_000_000,
  body: `body of ${id}`,
  ...more,
})
const outgoing = (key: string, more: Partial<Outgoing> = {}): Outgoing => ({
  key,
  room: 'r',
  body: `body of ${key}`,
  created: 1_000_000,
  attempted: 1_000_000,
  ...more,
})
const ids = (messages: readonly Message[]): string[] => messages.map(({ id }) => id)
const problem = (code: string) => ({ code, message: 'as the server says', advice: 'do this' })

t.test('a timeline has each message once, in the order of the log', async t => {
  const timeline = new Timeline(10)
  for (const id of ['e-1', 'e-2', 'e-10', 'e-9', 'e-2', 'e-3']) timeline.add(message(id))
  t.same(ids(timeline.messages), ['e-1', 'e-2', 'e-3', 'e-9', 'e-10'])
  t.equal(timeline.add(message('e-3')), false)
  t.equal(timeline.add(message('e-11')), true)
})

t.test('offsets beyond what a number holds are still in order', async t => {
  const timeline = new Timeline(10)
  timeline.add(message('e-9007199254740993'))
  timeline.add(message('e-9007199254740992'))
  t.same(ids(timeline.messages), ['e-9007199254740992', 'e-9007199254740993'])
})

t.test('a room that was made again goes on after its old self', async t => {
  const timeline = new Timeline(10)
  for (const id of ['z-5', 'a-1', 'a-2', 'z-4']) timeline.add(message(id))
  t.same(ids(timeline.messages), ['z-4', 'z-5', 'a-1', 'a-2'])
})

t.test('ids of another form stay in the order in which they came', async t => {
  const timeline = new Timeline(10)
  for (const id of ['first', 'second', 'T_1@host:3', 'second']) timeline.add(message(id))
  t.same(ids(timeline.messages), ['first', 'second', 'T_1@host:3'])
})

t.test('a timeline keeps the newest, and forgets the rest entirely', async t => {
  const timeline = new Timeline(3)
  for (let i = 0; i < 100; i++) timeline.add(message(`e-${i}`))
  t.same(ids(timeline.messages), ['e-97', 'e-98', 'e-99'])
  t.equal(timeline.add(message('e-97')), false)
  timeline.add(message('e-5'))
  t.same(ids(timeline.messages), ['e-97', 'e-98', 'e-99'], 'what is older than all has no place')
})

t.test('a snapshot stays what it was', async t => {
  const timeline = new Timeline(10)
  timeline.add(message('e-1'))
  const { messages } = timeline
  t.equal(timeline.messages, messages)
  timeline.add(message('e-2'))
  t.same(ids(messages), ['e-1'])
  t.not(timeline.messages, messages)
})

t.test('after a break the next message says that some are missing', async t => {
  const timeline = new Timeline(10)
  timeline.restart('e-3')
  timeline.add(message('e-3'))
  t.notOk(timeline.messages[0]?.gap, 'nothing was there, so nothing is missing')
  timeline.restart('e-9')
  t.equal(timeline.broken, true)
  timeline.add(message('e-9'))
  timeline.add(message('e-10'))
  t.equal(timeline.broken, false)
  t.same(
    timeline.messages.map(({ gap }) => gap ?? false),
    [false, true, false],
  )
})

t.test('a log that was set back names other messages by the same ids', async t => {
  const timeline = new Timeline(10)
  for (const id of ['d-7', 'e-1', 'e-2', 'e-3']) timeline.add(message(id))
  timeline.restart('e-2')
  t.same(ids(timeline.messages), ['d-7', 'e-1'])
  timeline.add(message('e-2', { body: 'another' }))
  t.match(timeline.messages.at(-1), { id: 'e-2', body: 'another', gap: true })
})

t.test('a room asks for the newest at first, then for what came since', async t => {
  const room = new Room('r', 10)
  t.same(room.resumeHeaders(), { last: '50' })
  room.joined({ recovered: 'true' })
  t.same(room.resumeHeaders(), { last: '1000' }, 'joined while it was empty')
  room.receive(message('e-4'), {}, [])
  room.receive(message('e-7'), {}, [])
  t.same(room.resumeHeaders(), { after: 'e-7' })
})

t.test('an own message that is known by its RECEIPT alone does not move the place to go on from', async t => {
  const room = new Room('r', 10)
  room.joined({})
  room.receive(message('e-4'), {}, [])
  room.delivered(outgoing('k'), 'e-9', 'me', 5)
  t.same(room.resumeHeaders(), { after: 'e-4' })
  room.receive(message('e-8'), {}, [])
  t.same(ids(room.view([]).messages), ['e-4', 'e-8', 'e-9'])
})

t.test('a server that gives fewer of the newest is asked for fewer', async t => {
  const room = new Room('r', 10)
  const asked: (string | undefined)[] = []
  for (let i = 0; i < 4; i++) {
    asked.push(room.resumeHeaders()['last'])
    room.refuse(problem('BAD_HEADER'))
  }
  t.same(asked, ['50', '8', '2', '1'])
  t.equal(room.refused, true, 'and then it is refused')
})

t.test('a refused room says why, until it is tried again', async t => {
  const room = new Room('r', 10)
  t.equal(room.view([]).is, 'joining')
  room.refuse(problem('FORBIDDEN'))
  t.match(room.view([]), { is: 'refused', problem: { code: 'FORBIDDEN' } })
  room.reopen()
  t.equal(room.view([]).is, 'joining')
  t.notOk(room.view([]).problem)
  room.joined({})
  t.equal(room.view([]).is, 'joined')
})

t.test('a message that comes back before its RECEIPT is shown once', async t => {
  const room = new Room('r', 10)
  const mine = outgoing('k')
  room.receive(message('e-1', { body: mine.body, sender: 'me' }), {}, [mine])
  t.match(room.view([mine]), { messages: [{ id: 'e-1', key: 'k' }], outgoing: [] })
  room.delivered(mine, 'e-1', 'me', 5)
  t.match(room.view([]), { messages: [{ id: 'e-1', key: 'k' }], outgoing: [] })
  t.equal(room.view([]).messages.length, 1)
})

t.test('a message whose RECEIPT comes first is shown once', async t => {
  const room = new Room('r', 10)
  const mine = outgoing('k')
  room.delivered(mine, 'e-1', 'me', 5)
  t.match(room.view([]).messages, [{ id: 'e-1', key: 'k', sender: 'me', time: 5 }])
  room.receive(message('e-1', { body: mine.body, sender: 'me', time: 77 }), {}, [])
  t.match(room.view([]).messages, [{ id: 'e-1', key: 'k', time: 77 }], 'the time is the log’s')
  t.equal(room.view([]).messages.length, 1)
})

t.test('of two equal messages each finds its own', async t => {
  const room = new Room('r', 10)
  const [one, two] = [outgoing('k1', { body: 'ok' }), outgoing('k2', { body: 'ok' })]
  room.receive(message('e-1', { body: 'ok' }), {}, [one, two])
  room.receive(message('e-2', { body: 'ok' }), {}, [one, two])
  t.same(
    room.view([one, two]).messages.map(({ key }) => key),
    ['k1', 'k2'],
  )
  // Another tab of the same user had sent the first one: the RECEIPTs know better.
  room.delivered(one, 'e-2', 'me', 5)
  room.delivered(two, 'e-3', 'me', 5)
  t.same(
    room.view([]).messages.map(({ id, key }) => [id, key]),
    [
      ['e-1', undefined],
      ['e-2', 'k1'],
      ['e-3', 'k2'],
    ],
  )
})

t.test('neither the history nor what was never on the wire is taken for an own message', async t => {
  const room = new Room('r', 10)
  const { attempted: _, ...unsent } = outgoing('k1', { body: 'ok' })
  const sent = outgoing('k2', { body: 'ok', created: 900_000_000 })
  room.receive(message('e-1', { body: 'ok' }), {}, [unsent, sent])
  t.match(room.view([unsent, sent]), { messages: [{ id: 'e-1' }], outgoing: [{ key: 'k1' }, { key: 'k2' }] })
  t.notOk(room.view([]).messages[0]?.key)
})

t.test('a message of uncertain fate that comes back after all is settled', async t => {
  const room = new Room('r', 10)
  const lost = outgoing('k', { failed: problem('UNCERTAIN') })
  t.equal(room.receive(message('e-1', { body: lost.body }), {}, [lost]), lost)
  t.match(room.view([]), { messages: [{ id: 'e-1', key: 'k' }], outgoing: [] })
})

t.test('a break is told of by a RECEIPT and by a MESSAGE', async t => {
  const room = new Room('r', 10)
  room.joined({ recovered: 'true' })
  room.receive(message('e-1'), {}, [])
  room.joined({ recovered: 'false', first: 'e-5' })
  t.equal(room.view([]).broken, true)
  room.receive(message('e-5'), {}, [])
  room.receive(message('e-9'), { recovered: 'false', first: 'e-9' }, [])
  t.same(
    room.view([]).messages.map(({ gap }) => gap ?? false),
    [false, true, true],
  )
})

t.test('a view stays the same object until something changes', async t => {
  const room = new Room('r', 10)
  const unsent: Outgoing[] = []
  room.joined({})
  const view = room.view(unsent)
  t.equal(room.view(unsent), view)
  t.not(room.view([outgoing('k')]), view)
  room.receive(message('e-1'), {}, [])
  t.not(room.view(unsent), view)
})
