import { mock } from 'node:test'
import t from 'tap'
import { Refusal } from './api.ts'
import type { Message } from './chat/index.ts'
import { Reading } from './reading.ts'

const message = (time: number, sender = 'ann', type?: string): Message => ({
  id: `e-${time}`,
  sender,
  time,
  body: '',
  ...(type !== undefined && { type }),
})
const room = { id: 'r', unread: 2, lastMessageAt: 20 }
const nothing = async (): Promise<void> => {}

t.test('unread is what the server counted, and what others have said since', async t => {
  const reading = new Reading(nothing)
  t.equal(reading.unread(room, [], 'me'), 2)
  const messages = [message(10), message(20), message(30), message(40, 'me'), message(50, 'ann', 'system'), message(60)]
  t.equal(reading.unread(room, messages, 'me'), 4)
  t.equal(
    reading.unread({ id: 'r', lastMessageAt: 60 }, messages, 'me'),
    0,
    'where one is no member nothing is counted',
  )
  t.equal(reading.unread({ ...room, unread: 998 }, messages, 'me'), 999)
})

t.test('what was seen here or elsewhere is not unread, whatever the server still says', async t => {
  const reading = new Reading(nothing)
  let changes = 0
  const end = reading.subscribe(() => changes++)
  const messages = [message(10), message(20), message(30)]
  reading.see(room, messages, 'me')
  t.equal(reading.unread(room, messages, 'me'), 0)
  t.equal(reading.unread(room, [...messages, message(40)], 'me'), 1)
  t.equal(reading.heard('r', 'e-40', messages), false, 'what is not here is for the server to count')
  t.equal(reading.heard('r', 'e-40', [...messages, message(40)]), true)
  t.equal(reading.unread(room, [...messages, message(40)], 'me'), 0)
  t.equal(reading.heard('r', 'e-10', messages), true)
  t.equal(reading.unread(room, [...messages, message(40)], 'me'), 0, 'it does not go back')
  t.equal(reading.unread({ ...room, unread: 0, lastMessageAt: 99 }, [...messages, message(98)], 'me'), 0)
  t.equal(changes, 2)
  end()
  reading.see(room, [message(50)], 'me')
  t.equal(changes, 2)
})

t.test('the server is told of what was unread, not too often, and again where it could not be told', async t => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const told: string[] = []
  let answer: () => Promise<void> = nothing
  const reading = new Reading(async (id, newest) => {
    told.push(`${id} ${newest}`)
    await answer()
  })
  const settled = () => new Promise(resolve => setImmediate(resolve))
  const after = async (ms: number): Promise<void> => {
    await settled()
    mock.timers.tick(ms)
    await settled()
  }
  const quiet = { ...room, unread: 0 }
  reading.see(quiet, [], 'me')
  reading.see(quiet, [message(10), message(20)], 'me')
  reading.see(quiet, [message(10), message(20), message(30, 'me')], 'me')
  t.same(told, [], 'where nothing was unread')
  reading.see(quiet, [message(40)], 'me')
  reading.see(quiet, [message(40), message(50)], 'me')
  reading.see(quiet, [message(40), message(50), message(60)], 'me')
  t.same(told.splice(0), ['r e-40'])
  await after(1_000)
  t.same(told.splice(0), ['r e-60'])
  await after(1_000)
  answer = async () => {
    throw new Refusal(503, { code: 'DATABASE_UNAVAILABLE', message: '', advice: '' })
  }
  reading.see(quiet, [message(70)], 'me')
  await after(9_999)
  t.same(told.splice(0), ['r e-70'])
  answer = async () => {
    throw new Refusal(403, { code: 'FORBIDDEN', message: '', advice: '' })
  }
  await after(1)
  t.same(told.splice(0), ['r e-70'])
  await after(10_000)
  t.same(told, [], 'where another try does not help there is none')
})
