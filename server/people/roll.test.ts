import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { memoryPresence } from '../drivers/memory/presence.ts'
import { fail } from '../errors.ts'
import type { Logger } from '../ports/logger.ts'
import type { Presence, Transition } from '../ports/presence.ts'
import { Roll } from './roll.ts'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const at = (rooms: string[] = []) => ({ address: '127.0.0.1', rooms: () => rooms })

const setUp = (
  t: Test,
  options: {
    grace?: number
    ttl?: number
    every?: number
    wrap?: (presence: Presence) => Presence
    logger?: Logger
  } = {},
) => {
  const { ttl = 60_000, grace = 20, every = 10, wrap = presence => presence, logger = silent } = options
  const { port } = memoryPresence({ ttl })
  const said: Transition[] = []
  const waiting = new Set<() => void>()
  const changed = (transitions: readonly Transition[]): void => {
    said.push(...transitions)
    for (const look of waiting) look()
  }
  const roll = new Roll({ logger, presence: wrap(port), node: 'here', ttl, grace, every, changed })
  t.teardown(() => roll.close())
  /** Resolves with who came and went when so many have. */
  const until = (count: number): Promise<[string, boolean][]> =>
    new Promise(resolve => {
      const look = (): void => {
        if (said.length < count) return
        waiting.delete(look)
        resolve(said.map(({ user, online }) => [user, online]))
      }
      waiting.add(look)
      look()
    })
  return { roll, presence: port, until, said }
}

t.test('who arrives is listed, with what they are subscribed to when that is asked', async t => {
  const { roll, presence, until } = setUp(t, { ttl: 300 })
  const rooms = ['a']
  roll.arrived('c1', { user: 'ann', session: 's1' }, at(rooms))
  roll.arrived('c2', { user: 'bob' }, at(Array.from({ length: 200 }, (_, i) => `r${i}`)))
  t.same((await until(2)).toSorted(), [
    ['ann', true],
    ['bob', true],
  ])
  const [ann, bob] = await presence.list(undefined, 10)
  t.match(ann, { connection: 'c1', user: 'ann', device: 's1', node: 'here', address: '127.0.0.1', rooms: ['a'] })
  t.ok(Date.now() - ann!.since < 60_000)
  t.equal(bob?.device, '')
  t.equal(bob?.rooms.length, 100)
  rooms.push('b')
  while ((await presence.list(undefined, 1))[0]?.rooms.length !== 2) await turn()
  t.pass('they are touched again and again, and so stay')
})

t.test('a connection that goes counts after a while, one whose session has ended at once', async t => {
  const { roll, until, said } = setUp(t, { grace: 50 })
  for (const [connection, user] of [
    ['c1', 'ann'],
    ['c2', 'bob'],
    ['c3', 'bob'],
    ['c4', 'cher'],
  ] as const) {
    roll.arrived(connection, { user }, at())
  }
  await until(3)
  roll.left('c1', false)
  roll.left('c4', true)
  roll.left('c4', false)
  roll.left('c2', true)
  roll.left('unknown', false)
  const all = await until(5)
  t.same(all.slice(3), [
    ['cher', false],
    ['ann', false],
  ])
  roll.arrived('c5', { user: 'ann' }, at())
  await until(6)
  t.equal(said.length, 6, 'who has another device is still there')
})

t.test('who comes back in time was never gone', async t => {
  const { roll, until } = setUp(t, { grace: 200 })
  roll.arrived('c1', { user: 'ann' }, at())
  await until(1)
  roll.left('c1', false)
  roll.arrived('c2', { user: 'ann' }, at())
  roll.arrived('c3', { user: 'bob' }, at())
  await until(2)
  roll.left('c3', false)
  t.same((await until(3)).slice(1), [
    ['bob', true],
    ['bob', false],
  ])
})

t.test('who was there for less than a round was never there', async t => {
  const { roll, until } = setUp(t)
  roll.arrived('c1', { user: 'ann' }, at())
  roll.left('c1', true)
  roll.arrived('c2', { user: 'bob' }, at())
  t.same(await until(1), [['bob', true]])
})

t.test('while nobody can be told all is remembered, and told as it is then', async t => {
  let away = false
  let refused = 0
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    if (!away) return work()
    refused++
    throw fail('PRESENCE_UNAVAILABLE')
  }
  const wrap = (presence: Presence): Presence => ({
    touch: clients => guard(() => presence.touch(clients)),
    off: (clients, after) => guard(() => presence.off(clients, after)),
    sweep: () => guard(() => presence.sweep()),
    of: users => presence.of(users),
    list: (after, limit) => presence.list(after, limit),
  })
  const { roll, until, presence } = setUp(t, { ttl: 400, wrap })
  roll.arrived('c1', { user: 'ann' }, at())
  roll.arrived('c2', { user: 'bob' }, at())
  await until(2)
  away = true
  roll.left('c2', true)
  roll.arrived('c3', { user: 'cher' }, at())
  while (refused < 3) await turn()
  away = false
  t.same((await until(3))[2], ['cher', true])
  t.same((await until(4))[3], ['bob', false], 'after the time to live')
  t.ok((await presence.of(['ann'])).online.has('ann'))
})

t.test('what was told before something went wrong is not told again', async t => {
  let broken = false
  const wrap = (presence: Presence): Presence => ({
    touch: clients => presence.touch(clients),
    off: async (clients, after) => {
      const transitions = await presence.off(clients, after)
      broken = true
      return transitions
    },
    sweep: async () => {
      if (broken) {
        broken = false
        throw fail('PRESENCE_UNAVAILABLE')
      }
      return presence.sweep()
    },
    of: users => presence.of(users),
    list: (after, limit) => presence.list(after, limit),
  })
  const { roll, until, said } = setUp(t, { wrap, every: 1 })
  roll.arrived('c1', { user: 'ann' }, at())
  await until(1)
  roll.left('c1', true)
  await until(2)
  roll.arrived('c2', { user: 'bob' }, at())
  await until(3)
  t.same(
    said.map(({ user, online }) => [user, online]),
    [
      ['ann', true],
      ['ann', false],
      ['bob', true],
    ],
  )
})

t.test('closing tells of those who have just left', async t => {
  const { roll, presence, until } = setUp(t)
  roll.arrived('c1', { user: 'ann' }, at())
  await until(1)
  roll.left('c1', false)
  await roll.close()
  while ((await presence.sweep()).length === 0) await turn()
  t.same((await presence.of(['ann'])).online, new Set())
})

t.test('a mistake is logged, and it goes on', async t => {
  const logged: string[] = []
  const logger = { ...silent, error: (_fields: object, message: string) => void logged.push(message) }
  let wrong = true
  const wrap = (presence: Presence): Presence => ({
    touch: async clients => {
      if (!wrong) return presence.touch(clients)
      wrong = false
      throw new TypeError('a mistake')
    },
    off: (clients, after) => presence.off(clients, after),
    sweep: () => presence.sweep(),
    of: users => presence.of(users),
    list: (after, limit) => presence.list(after, limit),
  })
  const { roll, until } = setUp(t, { wrap, logger })
  roll.arrived('c1', { user: 'ann' }, at())
  t.same(await until(1), [['ann', true]])
  t.equal(logged.length, wrong ? 0 : 1)
})
