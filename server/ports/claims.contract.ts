import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { Claim, ClaimId, Claiming, Claims } from './claims.ts'
import type { Driver } from './driver.ts'
import type { Offset } from './room-log.ts'

/** Opens the driver: on claims that all opened drivers share, or that it has for itself. */
export type OpenClaims = (options: { readonly window: number }) => Promise<Driver<Claims>>

const WINDOW = 60_000
const newId = (): ClaimId => randomBytes(12).toString('base64url')
const ROOM = 'room'

/** The claim that was made. */
const taken = (claiming: Claiming): Claim => {
  if (claiming.kind !== 'taken') throw new Error(`it is ${claiming.kind}`)
  return claiming.claim
}
/** What a try to claim ids says of those that are settled; undefined where it was refused. */
const settled = (claiming: Claiming): [ClaimId, Offset][] | undefined =>
  claiming.kind === 'taken' ? [...claiming.settled] : undefined

/** The one suite that every driver of Claims passes. */
export function claimsContract(t: Test, open: OpenClaims): void {
  const opened = async (t: Test, window = WINDOW): Promise<{ claims: Claims; driver: Driver<Claims> }> => {
    const driver = await open({ window })
    t.teardown(() => driver.close())
    const claims = driver.port
    await driver.check(5_000)
    // As if nothing had ever been forgotten.
    await claims.known(ROOM, claims.since!)
    return { claims, driver }
  }
  const test = (name: string, body: (t: Test, claims: Claims) => Promise<void>): void =>
    void t.test(name, async t => body(t, (await opened(t)).claims))

  test('what is free is claimed; the next one is told of the claim', async (t, claims) => {
    const id = newId()
    const first = await claims.claim(ROOM, [id])
    const claim = taken(first)
    t.same(settled(first), [])
    t.ok(Math.abs(claim.at - Date.now()) < 5_000)
    const second = await claims.claim(ROOM, [id])
    t.match(second, { kind: 'held', by: claim })
    t.ok(second.kind === 'held' && second.age >= 0 && second.age < 5_000)
    t.equal((await claims.claim(ROOM, [newId()])).kind, 'taken')
    t.ok(claims.since! <= claim.at)
  })

  test('of many at once one has the claim', async (t, claims) => {
    const id = newId()
    const all = await Promise.all(Array.from({ length: 50 }, () => claims.claim(ROOM, [id])))
    const winners = all.filter(({ kind }) => kind === 'taken')
    t.equal(winners.length, 1)
    const claim = taken(winners[0]!)
    for (const each of all) if (each.kind !== 'taken') t.match(each, { kind: 'held', by: claim })
  })

  test('what is settled stays so', async (t, claims) => {
    const [id, free] = [newId(), newId()]
    const claim = taken(await claims.claim(ROOM, [id]))
    await claims.settle(claim, new Map([[id, 2n ** 60n]]))
    const again = await claims.claim(ROOM, [id, free])
    t.same(settled(again), [[id, 2n ** 60n]])
    await claims.settle(claim, new Map([[id, 5n]]))
    await claims.settle(claim, new Map([[id, undefined]]))
    await claims.settle(taken(again), new Map([[id, undefined]]))
    t.same(settled(await claims.claim(ROOM, [id], [claim.token])), [[id, 2n ** 60n]])
    t.match(await claims.claim(ROOM, [free]), { kind: 'held', by: taken(again) })
  })

  test('what was given up is free', async (t, claims) => {
    const id = newId()
    const claim = taken(await claims.claim(ROOM, [id]))
    await claims.settle(claim, new Map([[id, undefined]]))
    const next = taken(await claims.claim(ROOM, [id]))
    t.not(next.token, claim.token)
    await claims.settle(claim, new Map([[id, undefined]]))
    await claims.settle(claim, new Map([[id, 5n]]))
    t.match(await claims.claim(ROOM, [id]), { kind: 'held', by: next }, 'the earlier claim has no say any more')
  })

  test('a claim that is lost is taken over once', async (t, claims) => {
    const id = newId()
    const claim = taken(await claims.claim(ROOM, [id]))
    t.equal((await claims.claim(ROOM, [id], ['another'])).kind, 'held')
    const both = await Promise.all([1, 2].map(() => claims.claim(ROOM, [id], [claim.token])))
    t.same(both.map(({ kind }) => kind).sort(), ['held', 'taken'])
    const next = taken(both.find(({ kind }) => kind === 'taken')!)
    t.not(next.token, claim.token)
    t.ok(next.at >= claim.at)
    await claims.settle(claim, new Map([[id, 1n]]))
    t.match(await claims.claim(ROOM, [id]), { kind: 'held', by: next })
  })

  test('several ids: all or none', async (t, claims) => {
    const [a, b, c] = [newId(), newId(), newId()]
    const first = taken(await claims.claim(ROOM, [a]))
    t.match(await claims.claim(ROOM, [b, a, c]), { kind: 'held', by: first })
    t.equal(settled(await claims.claim(ROOM, [b]))?.length, 0, 'it was not taken')
    await claims.settle(first, new Map([[a, 7n]]))
    const d = newId()
    const claiming = await claims.claim(ROOM, [c, a, d])
    t.same(settled(claiming), [[a, 7n]])
    await claims.settle(
      taken(claiming),
      new Map([
        [c, 8n],
        [d, 9n],
      ]),
    )
    t.same(settled(await claims.claim(ROOM, [a, c, d])), [
      [a, 7n],
      [c, 8n],
      [d, 9n],
    ])
  })

  test('what is remembered is settled, unless somebody holds it', async (t, claims) => {
    const [id, held, old] = [newId(), newId(), newId()]
    const claim = taken(await claims.claim(ROOM, [held]))
    const time = Date.now() - WINDOW / 2
    const written = new Map([id, held].map(each => [each, { offset: 3n, time }]))
    await claims.remember(written.set(old, { offset: 4n, time: Date.now() - 2 * WINDOW }))
    await claims.remember(new Map([[id, { offset: 5n, time }]]))
    t.same(settled(await claims.claim(ROOM, [id])), [[id, 3n]])
    t.match(await claims.claim(ROOM, [held]), { kind: 'held', by: claim })
    t.same(settled(await claims.claim(ROOM, [old])), [], 'too long ago')
    const many = Array.from({ length: 1_200 }, newId)
    await claims.remember(new Map(many.map(each => [each, { offset: 6n, time }])))
    t.same(settled(await claims.claim(ROOM, [many[0]!, many.at(-1)!]))?.length, 2)
  })

  void t.test('after the window it is free again, settled or not', async t => {
    const window = 400
    const { claims } = await opened(t, window)
    const [one, two] = [newId(), newId()]
    const claim = taken(await claims.claim(ROOM, [one]))
    const other = taken(await claims.claim(ROOM, [two]))
    await claims.settle(claim, new Map([[one, 1n]]))
    for (const [id, before] of [
      [one, claim],
      [two, other],
    ] as const) {
      let next: Claiming
      do next = await claims.claim(ROOM, [id])
      while (next.kind === 'held' || (next.kind === 'taken' && next.settled.size > 0))
      // A millisecond of the clock may be one on which it began or ended.
      t.ok(taken(next).at - before.at >= window - 1)
    }
  })

  void t.test('after it was closed it refuses', async t => {
    const { claims, driver } = await opened(t)
    const claim = taken(await claims.claim(ROOM, [newId()]))
    await driver.close()
    const calls: (() => Promise<unknown>)[] = [
      () => claims.claim(ROOM, [newId()]),
      () => claims.settle(claim, new Map([['a', 1n]])),
      () => claims.remember(new Map([['a', { offset: 1n, time: Date.now() }]])),
      () => claims.known(ROOM, 0),
    ]
    for (const call of calls) await t.rejects(call(), { code: 'LOG_UNAVAILABLE' })
  })
}
