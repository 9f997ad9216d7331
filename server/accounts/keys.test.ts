import { decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT } from 'jose'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { at, type Db } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import { silent, testDatabase, testDatabases } from '../testkit/database.ts'
import { scratch } from '../testkit/node.ts'
import { Keys } from './keys.ts'
import { seal, unseal } from './sealed.ts'
import { derive, readSecrets } from './secret.ts'
import { ACCESS_FOR, isJwt, readRefresh, signAccess, verifyAccess, writeRefresh } from './tokens.ts'

const DAY = 86_400_000
const MINUTE = 60_000
const { sealing, refresh } = derive('thirty-two bytes that nobody knows of')

/** A node's keys, with a clock that only the test moves. */
const nodeOf = (db: Db, clock: { now: number }, options: { sealing?: Buffer } = {}) => {
  const lines: string[] = []
  const log = (_fields: object, message: string): void => void lines.push(message)
  const logger = { ...silent, info: log, warn: log }
  return { keys: new Keys({ db, sealing, logger, now: () => clock.now, ...options }), lines }
}
const who = { user: 'ann', name: 'Ann', session: 's1' }
const kidOf = (token: string): string => decodeProtectedHeader(token).kid!

await testDatabases(t, async (t, { db, another }) => {
  t.beforeEach(async () => void (await db.deleteFrom('signing_keys').execute()))

  await t.test('a token says who and by which session, for a quarter of an hour', async t => {
    const clock = { now: 1_795_251_122_345 }
    const { keys } = nodeOf(db, clock)
    const { token, expires } = await signAccess(keys, who, clock.now)
    t.equal(expires, 1_795_251_122_000 + ACCESS_FOR)
    t.match(decodeProtectedHeader(token), { alg: 'ES256', typ: 'JWT', kid: /^[0-9a-z]{25}$/ })
    t.same(decodeJwt(token), { sub: 'ann', name: 'Ann', sid: 's1', iat: 1_795_251_122, exp: 1_795_251_122 + 900 })
    t.same(await verifyAccess(keys, token, clock.now), { ...who, expires })
    t.same(await verifyAccess(keys, token, expires - 1), { ...who, expires })
    for (const late of [expires, expires + 1, expires + 60_000]) {
      await t.rejects(verifyAccess(keys, token, late), { code: 'TOKEN_EXPIRED' })
    }
    t.ok(isJwt(token))
  })

  await t.test('what others published verifies it: two nodes share keys, and whoever reads the JWK set', async t => {
    const clock = { now: Date.now() }
    const [one, two] = [nodeOf(db, clock), nodeOf((await another()).db, clock)]
    const [mine, theirs] = await Promise.all([
      signAccess(one.keys, who, clock.now),
      signAccess(two.keys, who, clock.now),
    ])
    t.equal(kidOf(mine.token), kidOf(theirs.token), 'both made one key')
    t.match(await verifyAccess(two.keys, mine.token, clock.now), who)
    t.match(await verifyAccess(one.keys, theirs.token, clock.now), who)
    const { keys } = await one.keys.published()
    t.equal(keys.length, 1)
    t.match(keys[0], { kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid: kidOf(mine.token) })
    t.notOk('d' in keys[0]!, 'nothing private')
    t.match((await jwtVerify(mine.token, await importJWK(keys[0]!, 'ES256'))).payload, { sub: 'ann' })
  })

  await t.test('private keys are encrypted in SQL; another secret makes a key of its own', async t => {
    const clock = { now: Date.now() }
    const first = await signAccess(nodeOf(db, clock).keys, who, clock.now)
    const [row] = await db.selectFrom('signing_keys').selectAll().execute()
    t.notMatch(row!.private_key.toString('latin1'), /"d"|P-256/)
    t.equal(unseal(sealing, 'another kid', row!.private_key), undefined, 'bound to its name')
    const other = nodeOf(db, clock, { sealing: derive('another thirty-two bytes of a secret').sealing })
    const second = await signAccess(other.keys, who, clock.now)
    t.not(kidOf(second.token), kidOf(first.token))
    t.match(other.lines, [/another SESSION_SECRET/])
    t.match(await verifyAccess(other.keys, first.token, clock.now), who, 'the public one is the same')
  })

  await t.test('a new key after 30 days; it signs when it has been published for a while; three stay', async t => {
    const clock = { now: Date.now() }
    const { keys, lines } = nodeOf(db, clock)
    const sign = async (): Promise<string> => (await signAccess(keys, who, clock.now)).token
    const first = await sign()
    clock.now += 30 * DAY - 1
    t.equal(kidOf(await sign()), kidOf(first))
    clock.now += 10 * MINUTE
    const old = await sign()
    t.equal(kidOf(old), kidOf(first), 'published, not used yet')
    t.equal((await keys.published()).keys.length, 2)
    clock.now += 15 * MINUTE
    const second = await sign()
    t.not(kidOf(second), kidOf(first))
    t.match(await verifyAccess(keys, old, clock.now - 11 * MINUTE), who)
    for (let i = 0; i < 4; i++) {
      clock.now += 31 * DAY
      await sign()
      clock.now += 15 * MINUTE
      await sign()
    }
    t.equal((await keys.published()).keys.length, 3)
    t.equal(lines.length, 6)
    await t.rejects(verifyAccess(keys, second, clock.now), { code: 'BAD_CREDENTIALS' })
  })

  await t.test('a key that another node has made is looked for, not more than every five seconds', async t => {
    const clock = { now: Date.now() }
    const one = nodeOf(db, clock)
    await one.keys.signer()
    const row = await db.selectFrom('signing_keys').selectAll().executeTakeFirstOrThrow()
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    const kid = newId()
    const stranger = (id?: string) =>
      new SignJWT({ sid: 's2' })
        .setProtectedHeader({ alg: 'ES256', ...(id !== undefined && { kid: id }) })
        .setSubject('bob')
        .setExpirationTime('1h')
        .sign(privateKey)
    const token = await stranger(kid)
    await t.rejects(verifyAccess(one.keys, token, clock.now), { code: 'BAD_CREDENTIALS' })
    await db
      .insertInto('signing_keys')
      .values({
        id: kid,
        public_key: JSON.stringify(await exportJWK(publicKey)),
        private_key: seal(sealing, kid, JSON.stringify(await exportJWK(privateKey))),
        created_at: at(row.created_at - 1),
      })
      .execute()
    await t.rejects(verifyAccess(one.keys, token, clock.now), { code: 'BAD_CREDENTIALS' }, 'it has just looked')
    clock.now += 5_000
    t.match(await verifyAccess(one.keys, token, clock.now), { user: 'bob', session: 's2' })
    await t.rejects(verifyAccess(one.keys, await stranger(newId()), clock.now), { code: 'BAD_CREDENTIALS' })
    await t.rejects(
      verifyAccess(one.keys, await stranger(), clock.now),
      { code: 'BAD_CREDENTIALS' },
      'it names none of two',
    )
  })

  await t.test('what is no token of ours is refused, and nothing of it repeated', async t => {
    const clock = { now: Date.now() }
    const { keys } = nodeOf(db, clock)
    const { token } = await signAccess(keys, who, clock.now)
    const { id, key } = await keys.signer()
    const made = (claims: object, header: object = {}) =>
      new SignJWT({ sub: 'ann', name: 'Ann', sid: 's1', exp: Math.floor(clock.now / 1000) + 60, ...claims } as never)
        .setProtectedHeader({ alg: 'ES256', kid: id, ...header })
        .sign(key)
    t.match(await verifyAccess(keys, await made({}), clock.now), who)
    t.notOk('name' in (await verifyAccess(keys, await made({ name: 7 }), clock.now)))
    const bad = [
      '',
      'x',
      'a.b.c',
      `${token}x`,
      token.split('.').slice(0, 2).join('.'),
      await made({ sid: undefined }),
      await made({ sub: undefined }),
      await made({ exp: undefined }),
      await made({ sub: 'a\nb' }),
      await made({ nbf: Math.floor(clock.now / 1000) + 60 }),
      await new SignJWT({ sid: 's1', sub: 'ann' })
        .setProtectedHeader({ alg: 'HS256' })
        .setExpirationTime('1h')
        .sign(refresh),
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${token.split('.')[1]}.`,
    ]
    for (const each of bad) {
      const error = await verifyAccess(keys, each, clock.now).catch((error: unknown) => error as Error)
      t.match(error, { code: 'BAD_CREDENTIALS', cause: undefined })
      if (each.length > 3) t.notOk(`${(error as Error).message} ${(error as Error).stack}`.includes(each))
    }
  })
})

await t.test('while the database is away: known keys go on, nobody gets new ones', async t => {
  const database = await testDatabase(t, 'embedded')
  const clock = { now: Date.now() }
  const { keys } = nodeOf(database.db, clock)
  const { token } = await signAccess(keys, who, clock.now)
  await database.close()
  clock.now += 11 * MINUTE
  t.match(await verifyAccess(keys, token, clock.now), who)
  t.match(await verifyAccess(keys, token, clock.now + 1), who)
  await t.rejects(nodeOf(database.db, clock).keys.signer())
})

await t.test('refresh tokens: the same for the same generation, and nobody can make one', async t => {
  const token = writeRefresh(refresh, { session: 'abc', generation: 3 })
  t.equal(writeRefresh(refresh, { session: 'abc', generation: 3 }), token)
  t.same(readRefresh(refresh, token), { session: 'abc', generation: 3 })
  const [session, generation, mac] = token.split('.') as [string, string, string]
  const bad = [
    '',
    'x',
    `${session}.${generation}`,
    `${session}.4.${mac}`,
    `abd.${generation}.${mac}`,
    `${session}.${generation}.${mac.slice(1)}`,
    `${session}.${generation}.${mac.startsWith('A') ? 'B' : 'A'}${mac.slice(1)}`,
    writeRefresh(sealing, { session: 'abc', generation: 3 }),
    `${token}\n`,
  ]
  for (const each of bad) t.throws(() => readRefresh(refresh, each), { code: 'BAD_CREDENTIALS' }, each)
  t.notOk(isJwt(token))
})

await t.test('the secret: as given, or made once in the folder of a node that runs alone', async t => {
  const DATA_DIR = await scratch(t)
  const made = await readSecrets({ DATA_DIR })
  const file = join(DATA_DIR, 'session-secret')
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.same(await readSecrets({ DATA_DIR }), made)
  t.same(await readSecrets({ DATA_DIR, SESSION_SECRET: await readFile(file, 'utf8') }), made)
  t.notSame(await readSecrets({ DATA_DIR, SESSION_SECRET: 'x'.repeat(32) }), made)
  t.notSame(await readSecrets({ DATA_DIR: await scratch(t) }), made)
  t.notSame(made.refresh, made.sealing)
  const cut = await scratch(t)
  const { writeFile } = await import('node:fs/promises')
  await writeFile(join(cut, 'session-secret'), 'half')
  t.notSame(await readSecrets({ DATA_DIR: cut }), derive('half'))
  await t.rejects(readSecrets({ DATA_DIR: file }), { code: 'ENOTDIR' })
})
