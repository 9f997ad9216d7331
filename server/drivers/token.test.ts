import { SignJWT, UnsecuredJWT, type JWTPayload } from 'jose'
import t from 'tap'
import { accessContract, refusedWith, someRecord } from '../ports/access.contract.ts'
import type { Access, Credentials } from '../ports/access.ts'
import type { Logger } from '../ports/logger.ts'
import { tokenAccess, type TokenAccessOptions } from './token.ts'

const secret = 'a secret of thirty-two bytes or more'
const NOW = 1_800_000_000
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

const sign = (claims: JWTPayload, key = secret, alg = 'HS256'): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(Buffer.from(key))

const access = (options: Partial<TokenAccessOptions> = {}): Access =>
  tokenAccess({ secret, logger: silent, now: () => NOW * 1000, ...options }).port

void t.test('contract', async t => {
  accessContract(t, async () => ({
    driver: tokenAccess({ secret, logger: silent }),
    valid: async user => ({ token: await sign({ sub: user }) }),
    invalid: async () => ({ token: await sign({ sub: 'ann' }, `${secret}!`) }),
  }))
})

void t.test('the token comes as token or as passcode; the login is not looked at', async t => {
  const { authenticate } = access()
  const token = await sign({ sub: 'ann' })
  const good: Credentials[] = [
    { token },
    { passcode: token },
    { passcode: token, token: '' },
    { token, login: 'bob' },
    { token, login: 'bob', passcode: 'a password' },
  ]
  for (const credentials of good) t.same(await authenticate(credentials), { user: 'ann' })
  for (const credentials of [{}, { login: 'ann' }, { token: '', passcode: '' }]) {
    t.match(await refusedWith(authenticate(credentials)), { code: 'BAD_CREDENTIALS', message: /a token is needed/ })
  }
  const second = { token: await sign({ sub: 'ann' }, `${secret}!`), passcode: token }
  t.match(await refusedWith(authenticate(second)), { code: 'BAD_CREDENTIALS' }, 'the passcode is not tried after it')
})

void t.test('what is not a token', async t => {
  const { authenticate } = access()
  const token = await sign({ sub: 'ann' })
  const [header, claims, signature] = token.split('.')
  const broken = [
    'password',
    'a.b.c',
    '..',
    `${token}.`,
    `${header}.${claims}`,
    `${header}.${claims}.`,
    `${claims}.${header}.${signature}`,
    `${token}.x.y`,
    ` ${token}`,
    await new SignJWT({ sub: 'ann' })
      .setProtectedHeader({ alg: 'HS256', crit: ['x'], x: 1 })
      .sign(Buffer.from(secret), { crit: { x: true } }),
  ]
  for (const jwt of broken) {
    const error = await refusedWith(authenticate({ token: jwt }))
    t.equal(error.code, 'BAD_CREDENTIALS', jwt)
    t.notOk(error.message.includes(jwt))
  }
})

void t.test('only HS256 with the secret, unchanged', async t => {
  const { authenticate } = access()
  const refusal = async (token: string): Promise<string> => (await refusedWith(authenticate({ token }))).message
  t.match(await refusal(await sign({ sub: 'ann' }, `${secret}!`)), /the signature is wrong/)
  t.match(await refusal(await sign({ sub: 'ann' }, secret.repeat(3), 'HS512')), /must be signed with HS256$/)
  t.match(await refusal(new UnsecuredJWT({ sub: 'ann' }).encode()), /must be signed with HS256$/)
  const [header, , signature] = (await sign({ sub: 'ann' })).split('.')
  const claims = Buffer.from(JSON.stringify({ sub: 'root' })).toString('base64url')
  t.match(await refusal(`${header}.${claims}.${signature}`), /the signature is wrong/)
})

void t.test('sub is required, and a user', async t => {
  const { authenticate } = access()
  for (const sub of [undefined, null, 1, '', ['ann'], ' ann', 'ann ', 'a\nn', 'x'.repeat(129), '\ud800']) {
    const token = await sign({ sub } as JWTPayload)
    t.match(await refusedWith(authenticate({ token })), { code: 'BAD_CREDENTIALS', message: /: sub must be/ })
  }
  t.same(await authenticate({ token: await sign({ sub: 'x'.repeat(128) }) }), { user: 'x'.repeat(128) })
})

void t.test('exp holds to the millisecond, and becomes the end of the identity', async t => {
  let now = NOW * 1000
  const { authenticate } = access({ now: () => now })
  const expiring = async (exp: number): Promise<Credentials> => ({ token: await sign({ sub: 'ann', exp }) })
  t.same(await authenticate(await expiring(NOW + 1)), { user: 'ann', expires: (NOW + 1) * 1000 })
  for (const exp of [NOW, NOW - 1, 0, -1]) {
    t.match(await refusedWith(authenticate(await expiring(exp))), { code: 'TOKEN_EXPIRED' })
  }
  now += 999
  t.same(await authenticate(await expiring(NOW + 1)), { user: 'ann', expires: (NOW + 1) * 1000 })
  now += 1
  t.match(await refusedWith(authenticate(await expiring(NOW + 1))), { code: 'TOKEN_EXPIRED' })
  t.same(await authenticate(await expiring(NOW + 1.5)), { user: 'ann', expires: (NOW + 1.5) * 1000 }, 'a fraction')
  now += 500
  t.match(await refusedWith(authenticate(await expiring(NOW + 1.5))), { code: 'TOKEN_EXPIRED' })
  t.same(await authenticate(await expiring(8.64e12)), { user: 'ann', expires: 8.64e15 }, 'the last time there is')
})

void t.test('exp must be a time', async t => {
  const { authenticate } = access()
  for (const exp of [8.64e12 + 1, 1e300, 'tomorrow', null, [NOW + 1]]) {
    const token = await sign({ sub: 'ann', exp } as JWTPayload)
    t.match(await refusedWith(authenticate({ token })), { code: 'BAD_CREDENTIALS', message: /: exp / }, String(exp))
  }
})

void t.test('without exp the identity does not end', async t => {
  t.same(await access().authenticate({ token: await sign({ sub: 'ann' }) }), { user: 'ann' })
})

void t.test('an expired token that is wrong otherwise too is not told to be expired only', async t => {
  const { authenticate } = access({ issuer: 'us' })
  const forged = await sign({ sub: 'ann', iss: 'us', exp: NOW - 1 }, `${secret}!`)
  t.match(await refusedWith(authenticate({ token: forged })), { code: 'BAD_CREDENTIALS' })
  const foreign = await sign({ sub: 'ann', iss: 'them', exp: NOW - 1 })
  t.match(await refusedWith(authenticate({ token: foreign })), { code: 'BAD_CREDENTIALS' })
})

void t.test('nbf holds to the second', async t => {
  const { authenticate } = access()
  t.same(await authenticate({ token: await sign({ sub: 'ann', nbf: NOW }) }), { user: 'ann' })
  const early = await refusedWith(authenticate({ token: await sign({ sub: 'ann', nbf: NOW + 1 }) }))
  t.match(early, { code: 'BAD_CREDENTIALS', message: /the token is not valid yet$/ })
  const malformed = await refusedWith(
    authenticate({ token: await sign({ sub: 'ann', nbf: 'now' } as unknown as JWTPayload) }),
  )
  t.match(malformed, { code: 'BAD_CREDENTIALS', message: /nbf is not what is required$/ })
})

void t.test('iss and aud, where they are required', async t => {
  const { authenticate } = access({ issuer: 'https://login.example.org/', audience: 'hoofbeat' })
  const right = { sub: 'ann', iss: 'https://login.example.org/', aud: 'hoofbeat' }
  t.same(await authenticate({ token: await sign(right) }), { user: 'ann' })
  t.same(await authenticate({ token: await sign({ ...right, aud: ['mail', 'hoofbeat'] }) }), { user: 'ann' })
  const wrong: [JWTPayload, RegExp][] = [
    [{ sub: 'ann', aud: 'hoofbeat' }, /iss is missing$/],
    [{ sub: 'ann', iss: right.iss }, /aud is missing$/],
    [{ ...right, iss: 'https://login.example.org' }, /iss is not what is required$/],
    [{ ...right, aud: 'mail' }, /aud is not what is required$/],
    [{ ...right, aud: [] }, /aud is not what is required$/],
  ]
  for (const [claims, message] of wrong) {
    t.match(await refusedWith(authenticate({ token: await sign(claims) })), { code: 'BAD_CREDENTIALS', message })
  }
  t.same(await access().authenticate({ token: await sign(right) }), { user: 'ann' }, 'where not, they may be anything')
})

void t.test('rooms limits what may be read and sent', async t => {
  const { authenticate, mayRead, maySend } = access()
  const rooms = { read: ['general', 'team.*'], send: ['team.*'] }
  const who = await authenticate({ token: await sign({ sub: 'ann', rooms }) })
  t.same(who, { user: 'ann' })
  t.equal(await mayRead(who, 'general'), true)
  t.equal(await maySend(who, 'general', someRecord), false)
  t.equal(await maySend(who, 'team.a', someRecord), true)
  t.equal(await mayRead(who, 'secret'), false)
  const other = await authenticate({ token: await sign({ sub: 'ann', rooms: {} }) })
  t.equal(await mayRead(other, 'general'), false, "another token's rights are its own")
  t.equal(await mayRead(who, 'general'), true)
  for (const malformed of [null, 'general', { read: 'general' }, { send: [1] }]) {
    const token = await sign({ sub: 'ann', rooms: malformed })
    t.match(await refusedWith(authenticate({ token })), { code: 'BAD_CREDENTIALS', message: /: rooms must have/ })
  }
})

void t.test('an identity that this driver did not make may do nothing', async t => {
  const { authenticate, mayRead, maySend } = access()
  const who = await authenticate({ token: await sign({ sub: 'ann' }) })
  t.equal(await mayRead({ ...who }, 'general'), false)
  t.equal(await maySend({ ...who }, 'general', someRecord), false)
})

void t.test('either a secret or a JWKS address', async t => {
  const logger = silent
  t.throws(() => tokenAccess({ logger }), TypeError)
  t.throws(() => tokenAccess({ logger, secret: '' }), TypeError)
  t.throws(() => tokenAccess({ logger, secret, jwksUrl: 'http://127.0.0.1/' }), TypeError)
})
