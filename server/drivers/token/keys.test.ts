import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT, type JWK } from 'jose'
import t, { type Test } from 'tap'
import { accessContract, refusedWith } from '../../ports/access.contract.ts'
import type { Credentials } from '../../ports/access.ts'
import { tokenAccess, type TokenAccessOptions } from '../token.ts'
import { FETCH_INTERVAL, FRESH, KEPT } from './keys.ts'

/** A key pair of an issuer, named `kid`. */
const issuerKey = async (alg: 'RS256' | 'ES256', kid: string) => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
  const sign = async (sub: string, header: object = { alg, kid }): Promise<Credentials> => ({
    token: await new SignJWT({ sub }).setProtectedHeader({ alg, ...header }).sign(privateKey),
  })
  return { jwk, sign, publicKey, privateKey }
}
const rsa = await issuerKey('RS256', 'r1')
const ec = await issuerKey('ES256', 'e1')
const newer = await issuerKey('ES256', 'e2')

type Answer = (response: ServerResponse) => void
const publish =
  (...keys: unknown[]): Answer =>
  response =>
    response.end(JSON.stringify({ keys }))
const broken: Answer = response => response.writeHead(500).end('broken')

/** A real JWKS server that counts what is asked of it. `answer` can be replaced. */
const startIssuer = async (t: Test, answer: Answer) => {
  const issuer = { url: '', fetches: 0, answer }
  const server = createServer((_request, response) => {
    issuer.fetches++
    issuer.answer(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  issuer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys?secret=hidden`
  return issuer
}

/** The address of a server that has gone. */
const nowhere = async (): Promise<string> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}/keys`
}

/** Access by the keys at `url`, with a clock that stands still, and what it logs. */
const setUp = (t: Test, url: string, options: Partial<TokenAccessOptions> = {}) => {
  const logged: [level: string, fields: object, message: string][] = []
  const log =
    (level: string) =>
    (fields: object, message: string): void =>
      void logged.push([level, fields, message])
  const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
  const clock = { now: Date.now() }
  const driver = tokenAccess({ jwksUrl: url, logger, now: () => clock.now, ...options })
  t.teardown(() => driver.close())
  const { authenticate } = driver.port
  const accepted = async (credentials: Credentials) => (await authenticate(credentials)).user
  const refused = async (credentials: Credentials) => refusedWith(authenticate(credentials))
  return { driver, accepted, refused, clock, logged }
}

const cannotBeChecked = { code: 'BAD_CREDENTIALS', message: /: the token cannot be checked now$/ }
const unknownKey = { code: 'BAD_CREDENTIALS', message: /: no known key signed the token$/ }

for (const [name, key] of Object.entries({ RS256: rsa, ES256: ec })) {
  void t.test(`contract, ${name}`, async t => {
    accessContract(t, async t => ({
      driver: setUp(t, (await startIssuer(t, publish(rsa.jwk, ec.jwk))).url, { now: undefined }).driver,
      valid: user => key.sign(user),
      invalid: () => newer.sign('ann'),
    }))
  })
}

void t.test('keys are fetched with the first token, once for all who wait, and kept', async t => {
  const asked = Promise.withResolvers<ServerResponse>()
  const issuer = await startIssuer(t, asked.resolve)
  const { accepted } = setUp(t, issuer.url)
  t.equal(issuer.fetches, 0)
  const tokens = await Promise.all(Array.from({ length: 200 }, (_, i) => (i % 2 ? rsa : ec).sign(`user ${i}`)))
  const users = Promise.all(tokens.map(accepted))
  publish(rsa.jwk, ec.jwk)(await asked.promise)
  t.equal((await users)[199], 'user 199')
  t.equal(await accepted(await rsa.sign('one more')), 'one more')
  t.equal(issuer.fetches, 1)
})

void t.test('a key that rotates in is found, one that rotates out is forgotten', async t => {
  const issuer = await startIssuer(t, publish(ec.jwk))
  const { accepted, refused, clock } = setUp(t, issuer.url)
  t.equal(await accepted(await ec.sign('ann')), 'ann')
  issuer.answer = publish(newer.jwk)
  t.match(await refused(await newer.sign('ann')), unknownKey, 'just fetched')
  t.equal(issuer.fetches, 1)
  clock.now += FETCH_INTERVAL
  t.equal(await accepted(await newer.sign('ann')), 'ann')
  t.equal(issuer.fetches, 2)
  t.match(await refused(await ec.sign('ann')), unknownKey)
})

void t.test('tokens of unknown keys cause at most one fetch in a while', async t => {
  const issuer = await startIssuer(t, publish(ec.jwk))
  const { accepted, refused, clock } = setUp(t, issuer.url)
  for (let i = 0; i < 50; i++) t.match(await refused(await newer.sign('eve', { kid: `k${i}` })), unknownKey)
  t.equal(issuer.fetches, 1)
  clock.now += FETCH_INTERVAL - 1
  await refused(await newer.sign('eve'))
  t.equal(issuer.fetches, 1)
  clock.now += 1
  const tokens = await Promise.all(Array.from({ length: 50 }, (_, i) => newer.sign('eve', { kid: `k${i}` })))
  await Promise.all(tokens.map(refused))
  t.equal(issuer.fetches, 2)
  t.equal(await accepted(await ec.sign('ann')), 'ann')
})

void t.test('keys are fetched again when they are no longer fresh', async t => {
  const issuer = await startIssuer(t, publish(ec.jwk))
  const { accepted, refused, clock } = setUp(t, issuer.url)
  await accepted(await ec.sign('ann'))
  issuer.answer = publish(newer.jwk)
  clock.now += FRESH - 1
  await accepted(await ec.sign('ann'))
  t.equal(issuer.fetches, 1)
  clock.now += 1
  t.match(await refused(await ec.sign('ann')), unknownKey, 'withdrawn')
  t.equal(issuer.fetches, 2)
})

void t.test('while keys cannot be fetched, the known ones are used for an hour', async t => {
  const issuer = await startIssuer(t, publish(ec.jwk))
  const { driver, accepted, refused, clock, logged } = setUp(t, issuer.url)
  await accepted(await ec.sign('ann'))
  issuer.answer = broken
  for (let age = FRESH; age < KEPT; age += FRESH) {
    clock.now += FRESH
    t.equal(await accepted(await ec.sign('ann')), 'ann')
    t.match(await refused(await newer.sign('ann')), cannotBeChecked, 'a key that may be new')
    await t.resolves(driver.check(5_000))
  }
  clock.now += FRESH
  const error = await refused(await ec.sign('ann'))
  t.match(error, { ...cannotBeChecked, headers: { 'retry-after-ms': String(FETCH_INTERVAL) } })
  await t.rejects(driver.check(5_000), { message: 'the keys that tokens are signed with cannot be fetched' })
  issuer.answer = publish(newer.jwk)
  clock.now += FETCH_INTERVAL
  t.equal(await accepted(await newer.sign('ann')), 'ann')
  await t.resolves(driver.check(5_000))
  const url = issuer.url.replace('?secret=hidden', '')
  t.same(logged, [
    ['warn', { url, reason: 'status 500' }, 'cannot fetch the keys of tokens'],
    ['info', { url }, 'the keys of tokens can be fetched again'],
  ])
})

void t.test('an issuer that is not there is tried again, but not for each token', async t => {
  const { driver, refused, clock, logged } = setUp(t, await nowhere())
  await t.rejects(driver.check(5_000), { name: 'KeysUnavailable' })
  t.match(await refused(await ec.sign('ann')), cannotBeChecked)
  clock.now += FETCH_INTERVAL
  t.match(await refused(await ec.sign('ann')), cannotBeChecked)
  t.match(logged, [['warn', { reason: 'ECONNREFUSED' }, 'cannot fetch the keys of tokens']])

  const issuer = await startIssuer(t, broken)
  const other = setUp(t, issuer.url)
  for (let i = 0; i < 20; i++) t.match(await other.refused(await ec.sign('ann')), cannotBeChecked)
  t.equal(issuer.fetches, 1)
  issuer.answer = publish(ec.jwk)
  other.clock.now += FETCH_INTERVAL
  t.equal(await other.accepted(await ec.sign('ann')), 'ann')
})

void t.test('an issuer that does not answer in time', async t => {
  const issuer = await startIssuer(t, () => {})
  const { refused, logged } = setUp(t, issuer.url, { fetchTimeout: 50 })
  t.match(await refused(await ec.sign('ann')), cannotBeChecked)
  t.match(logged, [['warn', { reason: 'no answer in time' }, 'cannot fetch the keys of tokens']])
})

void t.test('an issuer that begins to answer and stops', async t => {
  const issuer = await startIssuer(t, response => response.writeHead(200).write('{"keys":['))
  const { refused, logged } = setUp(t, issuer.url, { fetchTimeout: 50 })
  t.match(await refused(await ec.sign('ann')), cannotBeChecked)
  t.match(logged, [['warn', { reason: 'no answer in time' }, 'cannot fetch the keys of tokens']])
})

void t.test('a check does not wait for a fetch longer than it may, and closing ends the fetch', async t => {
  const asked = Promise.withResolvers<ServerResponse>()
  const issuer = await startIssuer(t, asked.resolve)
  const { driver, refused, logged } = setUp(t, issuer.url, { fetchTimeout: 600_000 })
  await t.rejects(driver.check(20), { name: 'KeysUnavailable' })
  const response = await asked.promise
  const waiting = refused(await ec.sign('ann'))
  const ended = once(response, 'close')
  await driver.close()
  await ended
  t.match(await waiting, cannotBeChecked)
  t.same(logged, [], 'that is no fault')
})

void t.test('what an issuer answers that are no keys', async t => {
  const answers: [Answer, string][] = [
    [response => response.end('<html>'), 'the answer is not a JWK set'],
    [response => response.end('{}'), 'the answer is not a JWK set'],
    [response => response.end('null'), 'the answer is not a JWK set'],
    [publish('a key'), 'the answer is not a JWK set'],
    [response => response.writeHead(302, { location: '/keys' }).end(), 'status 302'],
    [response => response.writeHead(204).end(), 'status 204'],
    [response => response.destroy(), 'UND_ERR_SOCKET'],
  ]
  for (const [answer, reason] of answers) {
    const { refused, logged } = setUp(t, (await startIssuer(t, answer)).url)
    t.match(await refused(await ec.sign('ann')), cannotBeChecked, reason)
    t.match(logged, [['warn', { reason }]])
  }
  const { refused } = setUp(t, (await startIssuer(t, publish())).url)
  t.match(await refused(await ec.sign('ann')), unknownKey, 'none at all')
})

void t.test('an address with a password is not used, and the password not logged', async t => {
  const { refused, logged } = setUp(t, (await startIssuer(t, publish(ec.jwk))).url.replace('//', '//ann:hidden@'))
  t.match(await refused(await ec.sign('ann')), cannotBeChecked)
  t.match(logged, [['warn', { url: /^http:\/\/127/, reason: 'TypeError' }, 'cannot fetch the keys of tokens']])
  t.notMatch(JSON.stringify(logged), /hidden/)
})

void t.test('keys that cannot be used', async t => {
  const offCurve = { ...ec.jwk, x: ec.jwk.y, y: ec.jwk.x }
  const privateKey = { ...(await exportJWK(ec.privateKey)), kid: 'e1' }
  const encrypting = { ...ec.jwk, use: 'enc' }
  const unusable = { code: 'BAD_CREDENTIALS', message: /: the key that signed the token cannot be used$/ }
  for (const [jwk, refusal] of [
    [offCurve, unusable],
    [privateKey, unusable],
    [encrypting, unknownKey],
  ] as const) {
    const { refused } = setUp(t, (await startIssuer(t, publish(jwk))).url)
    t.match(await refused(await ec.sign('ann')), refusal)
  }
})

void t.test('a token without a kid is fine where one key fits, and refused where several do', async t => {
  const issuer = await startIssuer(t, publish(rsa.jwk, ec.jwk))
  const { accepted, refused, clock } = setUp(t, issuer.url)
  t.equal(await accepted(await ec.sign('ann', {})), 'ann')
  issuer.answer = publish(rsa.jwk, ec.jwk, newer.jwk)
  clock.now += FRESH
  t.match(await refused(await ec.sign('ann', {})), { code: 'BAD_CREDENTIALS', message: /must name its key by kid/ })
  t.equal(await accepted(await ec.sign('ann')), 'ann')
})

void t.test('only RS256 and ES256, with a key that is meant for it', async t => {
  const shared = { kty: 'oct', k: Buffer.from('x'.repeat(32)).toString('base64url'), kid: 'o1', alg: 'HS256' }
  const issuer = await startIssuer(t, publish(rsa.jwk, ec.jwk, shared))
  const { refused } = setUp(t, issuer.url)
  const wrongAlgorithm = { code: 'BAD_CREDENTIALS', message: /must be signed with RS256 or ES256$/ }
  const claims = () => new SignJWT({ sub: 'ann' })
  const hmac = async (kid: string, key: string) => ({
    token: await claims().setProtectedHeader({ alg: 'HS256', kid }).sign(Buffer.from(key)),
  })
  t.match(
    await refused(await hmac('r1', await exportSPKI(rsa.publicKey))),
    wrongAlgorithm,
    'the public key as a secret',
  )
  t.match(await refused(await hmac('o1', 'x'.repeat(32))), wrongAlgorithm, 'a shared key among the public ones')
  t.match(await refused({ token: new UnsecuredJWT({ sub: 'ann' }).encode() }), wrongAlgorithm)
  const { privateKey } = await generateKeyPair('PS256')
  const other = { token: await claims().setProtectedHeader({ alg: 'PS256', kid: 'r1' }).sign(privateKey) }
  t.match(await refused(other), wrongAlgorithm)
  t.equal(issuer.fetches, 0, 'refused before any key was looked for')
  t.match(await refused(await ec.sign('ann', { kid: 'r1' })), unknownKey, "another algorithm's key")
})

void t.test('a token that was tampered with', async t => {
  const { refused } = setUp(t, (await startIssuer(t, publish(rsa.jwk, ec.jwk))).url)
  for (const key of [rsa, ec]) {
    const { token = '' } = await key.sign('ann')
    const [header, , signature] = token.split('.')
    const claims = Buffer.from(JSON.stringify({ sub: 'root' })).toString('base64url')
    const forged = { token: `${header}.${claims}.${signature}` }
    t.match(await refused(forged), { code: 'BAD_CREDENTIALS', message: /the signature is wrong$/ })
  }
})
