import { sql } from 'kysely'
import t from 'tap'
import { at } from '../database/database.ts'
import { testDatabases } from '../testkit/database.ts'
import { until } from '../testkit/node.ts'
import { DEVICE_KEPT, DEVICES, GRACE } from './sessions.ts'
import {
  freshName,
  openTestAccounts,
  ORIGIN,
  page,
  PASSWORD,
  type Answer,
  type TestAccounts,
} from './testkit/accounts.ts'
import { ACCESS_FOR } from './tokens.ts'

const cookieOf = ({ headers }: Answer): string => [headers['set-cookie']].flat().join('; ')
/** The name and value alone, as a browser sends them back. */
const kept = (answer: Answer): string => cookieOf(answer).split(';')[0]!

type Named = readonly [name: string, value: string]
const named = (text: string): Named => {
  const [name = '', value = ''] = text.split('=')
  return [name, value]
}

/** A browser that is on this node's page, as far as cookies go: it keeps and sends them as RFC 6265 has it. */
const browser = (node: TestAccounts) => {
  const jar = new Map<string, { readonly value: string; readonly path: string }>()
  const ask: TestAccounts['ask'] = async (method, path, { headers, ...more } = {}) => {
    const sent = [...jar].filter(([, { path: place }]) => path === place || path.startsWith(`${place}/`))
    const cookie = sent.map(([name, { value }]) => `${name}=${value}`).join('; ')
    const answer = await node.ask(method, path, {
      ...more,
      headers: { ...page, ...headers, ...(cookie && { cookie }) },
    })
    for (const line of [answer.headers['set-cookie'] ?? []].flat() as string[]) {
      const [[name, value], ...attributes] = line.split('; ').map(named) as [Named, ...Named[]]
      const given = new Map(attributes)
      if (Date.parse(given.get('Expires') ?? '') <= Date.now()) jar.delete(name)
      else jar.set(name, { value, path: given.get('Path') ?? '' })
    }
    return answer
  }
  const signIn = async (name: string): Promise<string> => {
    const { body } = await ask('POST', '/api/session', { body: { name, password: PASSWORD } })
    return String(body['accessToken'])
  }
  return { ask, signIn, refresh: () => ask('POST', '/api/session/refresh', { body: {} }), cookies: () => jar.size }
}

await testDatabases(t, async (t, { db, another }) => {
  const clock = { now: Date.now() }
  const node = await openTestAccounts(t, db, { now: () => clock.now })
  const { name } = await node.newcomer()

  await t.test('a page signs in: the refresh token is in a cookie for /api/session and nowhere else', async t => {
    const body = { name: name.toUpperCase(), password: PASSWORD }
    const answer = await node.ask('POST', '/api/session', { body, headers: page })
    t.equal(answer.status, 200)
    t.match(answer.body, { accessToken: /^eyJ/, session: /^[0-9a-z]{25}$/, user: { name } })
    t.equal(answer.body['refreshToken'], undefined)
    t.ok(Math.abs(Number(answer.body['expires']) - clock.now - ACCESS_FOR) <= 1_000)
    t.equal(answer.headers['cache-control'], 'no-store')
    const cookie = cookieOf(answer)
    t.match(cookie, /^refresh=[\w.-]+; /)
    for (const part of ['Path=/api/session', 'HttpOnly', 'SameSite=Strict', `Max-Age=${DEVICE_KEPT / 1000}`]) {
      t.ok(cookie.split('; ').includes(part), part)
    }
    t.notMatch(cookie, /Secure|Domain/, 'http, and this host alone')

    const again = await node.ask('POST', '/api/session/refresh', {
      body: {},
      headers: { ...page, cookie: kept(answer) },
    })
    t.match(again, { status: 200, body: { accessToken: /^eyJ/, session: answer.body['session'], user: { name } } })
    t.not(kept(again), kept(answer))
    t.match(cookieOf(again), /HttpOnly/)
  })

  await t.test('another site cannot sign anybody in or use their cookie', async t => {
    const body = { name, password: PASSWORD }
    const signedIn = await node.ask('POST', '/api/session', { body, headers: page })
    const cookie = kept(signedIn)
    const wrong: Record<string, string>[] = [
      {},
      { 'origin': ORIGIN },
      { 'x-hoofbeat': '1' },
      { 'x-hoofbeat': '1', 'origin': 'https://evil.example.org' },
      { 'x-hoofbeat': '1', 'origin': 'null' },
    ]
    for (const headers of wrong) {
      const refused = { status: 403, body: { code: 'FORBIDDEN' } }
      const signIn = await node.ask('POST', '/api/session', { body, headers })
      t.match(signIn, refused)
      t.equal(cookieOf(signIn), '')
      t.match(await node.ask('POST', '/api/session/refresh', { body: {}, headers: { ...headers, cookie } }), refused)
    }
    const headers = { ...page, cookie }
    t.equal((await node.ask('POST', '/api/session/refresh', { body: {}, headers })).status, 200, 'nothing has ended')
  })

  await t.test('other programs keep the refresh token themselves', async t => {
    const ann = await node.signIn(name)
    const refresh = (refreshToken: string) => node.ask('POST', '/api/session/refresh', { body: { refreshToken } })
    const answer = await refresh(ann.refreshToken)
    t.match(answer, { status: 200, body: { session: ann.session, refreshToken: /^[\w.-]+$/ } })
    t.equal(cookieOf(answer), '')
    t.match(await refresh(ann.refreshToken), { status: 200, body: { refreshToken: answer.body['refreshToken'] } })
    t.match(await refresh('x'), { status: 401, body: { code: 'BAD_CREDENTIALS' } })
    t.match(await node.ask('POST', '/api/session/refresh', { body: {}, headers: page }), {
      status: 401,
      body: { code: 'BAD_CREDENTIALS' },
      headers: { 'www-authenticate': 'Bearer' },
    })
  })

  await t.test('a copied refresh token ends the session, for its access tokens too', async t => {
    const ann = await node.signIn(name)
    let token = ann.refreshToken
    for (let i = 0; i < 3; i++) {
      const { body } = await node.ask('POST', '/api/session/refresh', { body: { refreshToken: token } })
      token = String(body['refreshToken'])
    }
    t.equal((await node.ask('GET', '/api/me', ann)).status, 200)
    const copied = await node.ask('POST', '/api/session/refresh', { body: { refreshToken: ann.refreshToken } })
    t.match(copied, { status: 401, body: { code: 'SESSION_ENDED' } })
    t.match(await node.ask('GET', '/api/me', ann), { status: 401, body: { code: 'SESSION_ENDED' } })
    t.match(await node.ask('POST', '/api/session/refresh', { body: { refreshToken: token } }), {
      status: 401,
      body: { code: 'SESSION_ENDED' },
    })
  })

  await t.test('of a session that has ended the cookie is taken back', async t => {
    const answer = await node.ask('POST', '/api/session', { body: { name, password: PASSWORD }, headers: page })
    const token = String(answer.body['accessToken'])
    const out = await node.ask('DELETE', '/api/session', { token })
    t.equal(out.status, 204)
    t.match(cookieOf(out), /^refresh=; .*Path=\/api\/session.*Expires=Thu, 01 Jan 1970/)
    t.match(await node.ask('DELETE', '/api/session', { token }), { status: 401, body: { code: 'SESSION_ENDED' } })
    const again = await node.ask('POST', '/api/session/refresh', {
      body: {},
      headers: { ...page, cookie: kept(answer) },
    })
    t.match(again, { status: 401, body: { code: 'SESSION_ENDED' } })
    t.match(cookieOf(again), /^refresh=; .*Expires=Thu, 01 Jan 1970/)
  })

  await t.test('wrong names and passwords have one answer, and so many tries', async t => {
    const few = await openTestAccounts(t, db, { config: { LOGIN_TRIES: 3 } })
    const tryTo = (as: string, password: string, address = '192.0.2.1') =>
      few.ask('POST', '/api/session', { body: { name: as, password, keep: 'body' }, address })
    const wrong = await tryTo(name, 'wrong wrong')
    const unknown = await tryTo(freshName(), 'wrong wrong')
    t.match(wrong, { status: 401, body: { code: 'BAD_CREDENTIALS' } })
    t.same(unknown.body, wrong.body)
    t.notMatch(JSON.stringify(wrong.body), /wrong wrong/)
    for (let i = 0; i < 2; i++) t.equal((await tryTo(name, 'wrong wrong')).status, 401)
    const refused = await tryTo(name, PASSWORD)
    t.match(refused, { status: 429, body: { code: 'TOO_MANY_LOGINS' } })
    t.match(refused.headers['retry-after'], /^\d+$/)
    t.equal((await tryTo(name, PASSWORD, '192.0.2.2')).status, 200, 'from where nobody has tried')
    t.equal((await tryTo('x'.repeat(200), PASSWORD)).status, 401)
  })

  await t.test('devices: listed with what they say of themselves, and ended', async t => {
    const ann = await node.newcomer(undefined, { headers: { 'user-agent': 'an agent' } })
    clock.now += 1_000
    const phone = await node.signIn(ann.name, { body: { device: 'Phone' }, address: '192.0.2.7' })
    const list = async (query = '') =>
      (await node.ask('GET', `/api/sessions${query}`, ann)).body as unknown as {
        items: { id: string }[]
        next?: string
      }
    t.match(await list(), {
      items: [
        {
          id: phone.session,
          kind: 'device',
          device: 'Phone',
          address: '192.0.2.7',
          current: false,
          createdAt: clock.now,
        },
        { id: ann.session, kind: 'device', device: 'an agent', current: true, lastSeenAt: clock.now - 1_000 },
      ],
    })
    const first = await list('?limit=1')
    t.match((await list(`?limit=1&cursor=${first.next}`)).items, [{ id: ann.session }])
    const other = await node.newcomer()
    const end = (as: typeof ann, id: string) => node.ask('DELETE', `/api/sessions/${id}`, as)
    t.match(await end(other, phone.session), { status: 404, body: { code: 'NO_SUCH_SESSION' } })
    t.equal((await node.ask('GET', '/api/me', phone)).status, 200)
    t.equal((await end(ann, phone.session)).status, 204)
    t.match(await node.ask('GET', '/api/me', phone), { status: 401, body: { code: 'SESSION_ENDED' } })
    t.match(await end(ann, phone.session), { status: 404, body: { code: 'NO_SUCH_SESSION' } })
    t.same((await list()).items.length, 1)
    t.equal((await node.ask('DELETE', '/api/sessions', ann)).status, 204)
    t.match(await node.ask('GET', '/api/me', ann), { status: 401, body: { code: 'SESSION_ENDED' } })
    t.equal((await node.ask('GET', '/api/me', other)).status, 200)
  })

  await t.test('a browser keeps its cookie as long as its own session lasts, whichever way that ends', async t => {
    const { name } = await node.newcomer()
    const [one, two] = [browser(node), browser(node)]
    const ends: ((token: string, session: string) => Promise<Answer>)[] = [
      token => one.ask('DELETE', '/api/session', { token }),
      (token, session) => one.ask('DELETE', `/api/sessions/${session}`, { token }),
      token => one.ask('DELETE', '/api/sessions', { token }),
    ]
    for (const end of ends) {
      const token = await one.signIn(name)
      const refreshed = await one.refresh()
      t.equal(refreshed.status, 200)
      t.equal(one.cookies(), 1)
      t.equal((await end(token, String(refreshed.body['session']))).status, 204)
      t.equal(one.cookies(), 0)
      t.match(await one.refresh(), { status: 401, body: { code: 'BAD_CREDENTIALS' } }, 'it has nothing to send')
    }
    const [token, elsewhere] = [await one.signIn(name), await two.signIn(name)]
    const other = await node.signIn(name)
    t.equal((await one.ask('DELETE', `/api/sessions/${other.session}`, { token })).status, 204)
    t.equal(one.cookies(), 1, 'of another session it is not')
    const bob = await node.newcomer()
    t.equal((await one.ask('DELETE', '/api/sessions/others', { token })).status, 204)
    t.match(await two.ask('GET', '/api/me', { token: elsewhere }), { status: 401, body: { code: 'SESSION_ENDED' } })
    t.match(await two.refresh(), { status: 401, body: { code: 'SESSION_ENDED' } })
    t.equal(two.cookies(), 0, 'told at the next time that it asks')
    t.equal((await one.ask('GET', '/api/me', { token })).status, 200)
    t.equal((await one.refresh()).status, 200)
    t.equal(one.cookies(), 1)
    t.match((await one.ask('GET', '/api/sessions', { token })).body, { items: [{ current: true }] })
    t.equal((await node.ask('GET', '/api/me', bob)).status, 200, 'nobody else')
    t.equal((await one.ask('DELETE', '/api/sessions/others', { token })).status, 204, 'again: nothing')
    const body = { password: PASSWORD }
    t.equal((await one.ask('POST', '/api/me/deletion', { token, body })).status, 204)
    t.equal(one.cookies(), 0)
  })

  await t.test('an access token holds for a quarter of an hour', async t => {
    const ann = await node.signIn(name)
    clock.now += ACCESS_FOR - 1_000
    t.equal((await node.ask('GET', '/api/me', ann)).status, 200)
    clock.now += 1_000
    t.match(await node.ask('GET', '/api/me', ann), { status: 401, body: { code: 'TOKEN_EXPIRED' } })
    const { body } = await node.ask('POST', '/api/session/refresh', { body: { refreshToken: ann.refreshToken } })
    t.equal((await node.ask('GET', '/api/me', { token: String(body['accessToken']) })).status, 200)
  })

  await t.test('a session ended on one node ends on the other, within a second', async t => {
    const other = await openTestAccounts(t, (await another()).db, { now: () => clock.now })
    const ann = await node.signIn(name)
    const elsewhere = await other.ask('GET', '/api/me', ann)
    t.equal(elsewhere.status, 200)
    await node.ask('DELETE', '/api/session', ann)
    t.match(node.told.at(-1), { session: ann.session })
    await until(async () => (await other.ask('GET', '/api/me', ann)).status !== 200)
    t.match(await other.ask('GET', '/api/me', ann), { status: 401, body: { code: 'SESSION_ENDED' } })
    t.match(other.told.at(-1), { session: ann.session })
  })

  await t.test('the device that was not seen for the longest time ends where there are too many', async t => {
    const ann = await node.newcomer()
    await sql`insert into sessions (id, user_id, kind, last_seen_at, expires_at)
      select ${ann.id} || n, ${ann.id}, 'device', ${at(clock.now + 1)}, ${at(clock.now + DEVICE_KEPT)}
      from generate_series(2, ${DEVICES}::int) n`.execute(db)
    t.equal((await node.ask('GET', '/api/me', ann)).status, 200)
    const next = await node.signIn(ann.name)
    t.match(node.told.at(-1), { session: ann.session }, 'its connections too')
    t.match(await node.ask('GET', '/api/me', ann), { status: 401, body: { code: 'SESSION_ENDED' } })
    t.equal((await node.ask('GET', '/api/me', next)).status, 200)
  })

  await t.test('one refresh token used twice at once, on two nodes', async t => {
    const other = await openTestAccounts(t, (await another()).db, { now: () => clock.now })
    for (let round = 0; round < 5; round++) {
      const ann = await node.signIn(name)
      const body = { refreshToken: ann.refreshToken }
      const both = await Promise.all([node, other].map(each => each.ask('POST', '/api/session/refresh', { body })))
      t.same(
        both.map(({ status }) => status),
        [200, 200],
      )
      t.equal(both[0]!.body['refreshToken'], both[1]!.body['refreshToken'])
      clock.now += GRACE
      const next = { refreshToken: String(both[0]!.body['refreshToken']) }
      t.equal((await other.ask('POST', '/api/session/refresh', { body: next })).status, 200)
    }
  })

  await t.test('the keys of access tokens are published, for whoever asks', async t => {
    const answer = await node.ask('GET', '/.well-known/jwks.json')
    t.match(answer, { status: 200, headers: { 'cache-control': 'public, max-age=300' } })
    const { keys } = answer.body as unknown as { keys: object[] }
    t.match(keys, [{ kty: 'EC', crv: 'P-256', x: /./, y: /./, alg: 'ES256', use: 'sig', kid: /./ }])
    t.notMatch(JSON.stringify(keys), /"d"/)
  })

  await t.test('an account whose row is gone is signed in nowhere', async t => {
    const ann = await node.newcomer()
    await db
      .updateTable('users')
      .set({ name: null, name_key: null, password_hash: null, deleted_at: at(1) })
      .where('id', '=', ann.id)
      .execute()
    t.match(await node.ask('GET', '/api/me', ann), { status: 401, body: { code: 'SESSION_ENDED' } })
    const body = { refreshToken: ann.refreshToken }
    t.match(await node.ask('POST', '/api/session/refresh', { body }), { status: 401, body: { code: 'SESSION_ENDED' } })
  })
})
