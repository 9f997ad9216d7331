import fc from 'fast-check'
import type { Test } from 'tap'
import type { Driver } from './driver.ts'
import type { Client, Presence, Transition } from './presence.ts'

/** Opens the driver on two nodes that know the same; where it serves one node alone, that one twice. `ttl`: ms. */
export type OpenPresence = (ttl: number) => Promise<readonly [Driver<Presence>, Driver<Presence>]>

const TTL = 60_000
const newUser = (): string => `user-${crypto.randomUUID()}`

export const clientOf = (user: string, more: Partial<Client> = {}): Client => ({
  connection: crypto.randomUUID(),
  user,
  device: 'device',
  node: 'node',
  address: '127.0.0.1',
  since: 1,
  rooms: [],
  ...more,
})
export const shortly = (transitions: readonly Transition[]): [string, boolean][] =>
  transitions.map(({ user, online }) => [user, online])

/** Sweeps until something is said of one of `users`, and answers that. */
const sweptOf = async (presence: Presence, users: readonly string[]): Promise<readonly Transition[]> => {
  for (const patience = Date.now() + 10_000; Date.now() < patience;) {
    const all = await presence.sweep()
    const theirs = all.filter(({ user }) => users.includes(user))
    if (theirs.length > 0) return theirs
  }
  throw new Error('nobody was swept')
}

/** The one suite that every driver of Presence passes. */
export function presenceContract(t: Test, open: OpenPresence): void {
  const test = (
    name: string,
    body: (t: Test, one: Presence, other: Presence, driver: Driver<Presence>) => Promise<void>,
    ttl = TTL,
  ): void =>
    void t.test(name, async t => {
      const drivers = await open(ttl)
      t.teardown(() => Promise.all(drivers.map(driver => driver.close())))
      for (const driver of drivers) await driver.check(5_000)
      await body(t, drivers[0].port, drivers[1].port, drivers[0])
    })

  test('the first device makes somebody come, the last one makes them go', async (t, one, other) => {
    const [ann, bob] = [newUser(), newUser()]
    const [phone, desk, bobs] = [clientOf(ann), clientOf(ann), clientOf(bob)]
    t.same(shortly(await one.touch([phone, bobs])), [
      [ann, true],
      [bob, true],
    ])
    t.same(await other.touch([desk]), [], 'a second device is no news')
    t.same(await one.touch([phone, bobs]), [], 'nor is a second touch')
    t.same((await other.of([ann, bob, newUser()])).online, new Set([ann, bob]))
    t.same(await one.off([phone], 0), [])
    t.same(shortly(await other.off([desk, desk], 0)), [[ann, false]])
    t.same(await one.off([desk], 0), [], 'once')
    t.same((await one.of([ann, bob])).online, new Set([bob]))
    t.same(shortly(await one.off([bobs], 0)), [[bob, false]])
  })

  test('what comes later has the larger number, also on another node', async (t, one, other) => {
    const ann = newUser()
    const phone = clientOf(ann)
    const seen: number[] = []
    for (const node of [one, other, one]) {
      for (const { at } of await node.touch([phone])) seen.push(at)
      seen.push((await other.of([ann])).at)
      for (const { at } of await node.off([phone], 0)) seen.push(at)
    }
    t.equal(seen.length, 9)
    t.ok(seen.every((at, i) => i === 0 || at > seen[i - 1]!))
    t.ok(seen.every(Number.isSafeInteger))
  })

  test('names that begin alike are not confused', async (t, one) => {
    const ann = newUser()
    const others = [`${ann} `, `${ann}!`, `${ann}\u{7f}`.slice(0, -1) + 'z', ` ${ann}`, `${ann}:*[`, `${ann}é🐎`]
    await one.touch(others.map(user => clientOf(user)))
    t.same((await one.of([ann])).online, new Set())
    t.same((await one.of(others)).online, new Set(others))
    t.same(shortly(await one.touch([clientOf(ann)])), [[ann, true]])
  })

  test('who has left counts as there for a while, and then as gone, once', async (t, one, other) => {
    const [ann, bob, cher] = [newUser(), newUser(), newUser()]
    const clients = [clientOf(ann), clientOf(bob), clientOf(cher)]
    await one.touch(clients)
    t.same(await one.off(clients.slice(0, 2), 100), [])
    t.same((await one.of([ann, bob, cher])).online, new Set([ann, bob, cher]))
    t.same(await other.touch([clientOf(bob)]), [], 'who comes back meanwhile was never gone')
    t.same(shortly(await sweptOf(other, [ann, bob])), [[ann, false]])
    t.same((await one.of([ann, bob, cher])).online, new Set([bob, cher]))
  })

  test(
    'what is not touched any more has gone after the time to live, once',
    async (t, one, other) => {
      const [ann, bob] = [newUser(), newUser()]
      const stays = clientOf(bob)
      await one.touch([clientOf(ann), clientOf(ann), clientOf(bob), stays])
      const said: Transition[] = []
      // The other node goes on.
      const patience = Date.now() + 10_000
      while (said.length === 0 && Date.now() < patience) {
        t.same(await other.touch([stays]), [])
        said.push(...[...(await one.sweep()), ...(await other.sweep())].filter(({ user }) => [ann, bob].includes(user)))
      }
      t.same(shortly(said), [[ann, false]])
      t.same((await one.of([ann, bob])).online, new Set([bob]))
    },
    300,
  )

  test('of many that sweep at once one is told', async (t, one, other) => {
    const users = Array.from({ length: 50 }, newUser)
    const clients = users.map(user => clientOf(user))
    await one.touch(clients)
    await one.off(clients, 1)
    const said: Transition[] = []
    for (const patience = Date.now() + 10_000; said.length < 50 && Date.now() < patience;) {
      const swept = await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 ? one : other).sweep()))
      said.push(...swept.flat().filter(({ user }) => users.includes(user)))
    }
    t.same(said.map(({ user }) => user).toSorted(), users.toSorted())
  })

  test('devices that come and go at once on two nodes: each change is told once, in turn', async (t, one, other) => {
    const ann = newUser()
    const said: Transition[] = []
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const node = i % 2 ? one : other
        const device = clientOf(ann)
        for (let round = 0; round < 5; round++) {
          said.push(...(await node.touch([device])), ...(await node.off([device], 0)))
        }
      }),
    )
    const inOrder = said.toSorted((a, b) => a.at - b.at)
    t.ok(inOrder.length >= 2)
    t.ok(
      inOrder.every(({ online }, i) => online === (i % 2 === 0)),
      'on and off take turns',
    )
    t.equal(inOrder.at(-1)?.online, false)
  })

  test('as a model has it', async (t, one, other) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.boolean(), fc.nat(1), fc.nat(2), fc.boolean()), { maxLength: 40 }),
        async acts => {
          const users = [newUser(), newUser()]
          const devices = users.map(user => [clientOf(user), clientOf(user), clientOf(user)])
          const here = users.map(() => new Set<number>())
          for (const [first, user, device, comes] of acts) {
            const node = first ? one : other
            const client = devices[user]![device]!
            const all = here[user]!
            const was = all.size > 0
            if (comes) all.add(device)
            else all.delete(device)
            const told = comes ? await node.touch([client]) : await node.off([client], 0)
            const expected = was === all.size > 0 ? [] : [[users[user], all.size > 0]]
            if (JSON.stringify(shortly(told)) !== JSON.stringify(expected)) return false
          }
          const { online } = await one.of(users)
          return users.every((user, i) => online.has(user) === here[i]!.size > 0)
        },
      ),
      { numRuns: 30 },
    )
    t.pass()
  })

  test('all connections are listed, by user, a page at a time', async (t, one, other) => {
    const users = Array.from({ length: 4 }, newUser).toSorted()
    const clients = users.flatMap(user => [
      clientOf(user, { rooms: ['a', 'b/c'], address: '::1', since: 1_795_247_522_460, device: '' }),
      clientOf(user, { node: 'other' }),
    ])
    await one.touch(clients)
    const changed = { ...clients[0]!, rooms: ['d'] }
    await other.touch([changed])
    const seen: Client[] = []
    for (let page: readonly Client[]; (page = await other.list(seen.at(-1), 3)).length > 0;) {
      t.ok(page.length <= 3)
      seen.push(...page)
    }
    const theirs = seen.filter(({ user }) => users.includes(user))
    const wanted = [changed, ...clients.slice(1)]
    const key = ({ user, connection }: Client): string => `${user} ${connection}`
    t.same(
      theirs,
      wanted.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)),
    )
    await one.off(clients, 0)
    const rest = await one.list(undefined, 1_000)
    t.notOk(rest.some(({ user }) => users.includes(user)))
  })

  test('nothing at all', async (t, one) => {
    t.same([await one.touch([]), await one.off([], 0), await one.off([], 5)], [[], [], []])
    t.same((await one.of([])).online, new Set())
    t.same(await one.off([clientOf(newUser())], 5), [], 'who was never there')
  })

  test('after it was closed it refuses', async (t, one, _other, driver) => {
    const client = clientOf(newUser())
    await one.touch([client])
    await driver.close()
    const calls: Promise<unknown>[] = [
      one.touch([client]),
      one.off([client], 0),
      one.sweep(),
      one.of([]),
      one.list(undefined, 1),
    ]
    for (const call of calls) await t.rejects(call, { code: 'PRESENCE_UNAVAILABLE' })
    await t.rejects(driver.check(100), { code: 'PRESENCE_UNAVAILABLE' })
  })
}
