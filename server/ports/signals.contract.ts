import type { Test } from 'tap'
import type { Json } from './channels.ts'
import type { Driver } from './driver.ts'
import type { Signals } from './signals.ts'

/** Opens the driver on two nodes that hear each other; where it serves one node alone, that one twice. */
export type OpenSignals = () => Promise<readonly [Driver<Signals>, Driver<Signals>]>

const newChannel = (): string => `channel:${crypto.randomUUID()}`

/** What a listener has heard, and when so much has come. */
export const hearing = () => {
  const heard: Json[] = []
  const waiting = new Set<() => void>()
  const listener = (event: Json): void => {
    heard.push(event)
    for (const look of waiting) look()
  }
  const until = (last: Json): Promise<Json[]> =>
    new Promise(resolve => {
      const look = (): void => {
        if (!heard.includes(last)) return
        waiting.delete(look)
        resolve(heard)
      }
      waiting.add(look)
      look()
    })
  return { heard, listener, until }
}

/** The one suite that every driver of Signals passes. */
export function signalsContract(t: Test, open: OpenSignals): void {
  const test = (
    name: string,
    body: (t: Test, one: Signals, other: Signals, drivers: readonly Driver<Signals>[]) => Promise<void>,
  ): void =>
    void t.test(name, async t => {
      const drivers = await open()
      t.teardown(() => Promise.all(drivers.map(driver => driver.close())))
      for (const driver of drivers) await driver.check(5_000)
      await body(t, drivers[0].port, drivers[1].port, drivers)
    })

  test('what is published is heard by all who subscribed, on every node, in order', async (t, one, other) => {
    const [channel, elsewhere] = [newChannel(), newChannel()]
    const [a, b, c, d] = [hearing(), hearing(), hearing(), hearing()]
    await one.subscribe(channel, a.listener)
    await one.subscribe(channel, b.listener)
    await other.subscribe(channel, c.listener)
    await other.subscribe(elsewhere, d.listener)
    const said = Array.from({ length: 200 }, (_, i) => i)
    for (const n of said) one.publish(channel, n)
    one.publish(elsewhere, 'end')
    for (const each of [a, b, c]) t.same(await each.until(199), said)
    t.same(await d.until('end'), ['end'])
  })

  test('it is heard as it was said', async (t, one, other) => {
    const channel = newChannel()
    const [near, far] = [hearing(), hearing()]
    await one.subscribe(channel, near.listener)
    await other.subscribe(channel, far.listener)
    const said: Json[] = [null, true, 1.5, '', 'ä\n\0🐎', [1, [2]], { a: { b: [null] } }, 'end']
    for (const event of said) one.publish(channel, event)
    t.same(await near.until('end'), said)
    t.same(await far.until('end'), said)
  })

  test('it is heard in a later turn', async (t, one) => {
    const channel = newChannel()
    const { heard, listener, until } = hearing()
    await one.subscribe(channel, listener)
    one.publish(channel, 'x')
    await Promise.resolve()
    t.same(heard, [])
    t.same(await until('x'), ['x'])
  })

  test('whoever has left hears nothing, the others go on', async (t, one, other) => {
    const channel = newChannel()
    const [stays, leaves, far] = [hearing(), hearing(), hearing()]
    await one.subscribe(channel, stays.listener)
    const leave = await one.subscribe(channel, leaves.listener)
    const farLeave = await other.subscribe(channel, far.listener)
    leave()
    leave()
    farLeave()
    const after = hearing()
    await other.subscribe(channel, after.listener)
    other.publish(channel, 'end')
    t.same(await stays.until('end'), ['end'])
    t.same(await after.until('end'), ['end'])
    t.same([leaves.heard, far.heard], [[], []])
  })

  test('leaving and coming again at once, over and over', async (t, one, other) => {
    const channel = newChannel()
    for (let round = 0; round < 20; round++) {
      const { listener, until } = hearing()
      const leave = await other.subscribe(channel, listener)
      one.publish(channel, round)
      t.same(await until(round), [round])
      leave()
    }
  })

  test('many subscribe at once', async (t, one, other) => {
    const channels = Array.from({ length: 100 }, newChannel)
    const all = await Promise.all(
      [...channels, ...channels].map(async channel => {
        const each = hearing()
        await other.subscribe(channel, each.listener)
        return each
      }),
    )
    for (const channel of channels) one.publish(channel, 'x')
    for (const { until } of all) t.same(await until('x'), ['x'])
  })

  test('after it was closed nothing is heard, and it refuses', async (t, one, _other, [driver]) => {
    const channel = newChannel()
    const { heard, listener } = hearing()
    const leave = await one.subscribe(channel, listener)
    one.publish(channel, 'x')
    await driver!.close()
    one.publish(channel, 'y')
    leave()
    await new Promise(setImmediate)
    t.same(heard, [])
    await t.rejects(one.subscribe(channel, listener), { code: 'DRAINING' })
    await t.rejects(driver!.check(100), { code: 'DRAINING' })
  })
}
