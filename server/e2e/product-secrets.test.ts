import { join } from 'node:path'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { openDatabase } from '../database/database.ts'
import { silent } from '../testkit/database.ts'
import { FleetNode } from '../testkit/fleet.ts'
import { scratch, until } from '../testkit/node.ts'
import { productEnv, to, type Json } from '../testkit/product.ts'
import { Probe, transports } from '../testkit/probe.ts'
import { Secrets } from '../testkit/secrets.ts'
import { ownPostgres } from '../testkit/services.ts'

t.setTimeout(120_000)
const secrets = new Secrets()
/** What the node answered and said, but for what it hands out by answering. */
const heard: string[] = []
const PAGE = { 'x-hoofbeat': '1' }
/** A message: in SQL it may be, in the log not. */
const WRITTEN = `written ${crypto.randomUUID()}`

const postgres = await ownPostgres(t)
const url = new URL(postgres.url)
url.password = secrets.add('the password in DATABASE_URL')
const node = await FleetNode.start(t, {
  ...productEnv,
  LOG_LEVEL: 'debug',
  DATA_DIR: join(await scratch(t), 'data'),
  SESSION_SECRET: secrets.add('SESSION_SECRET'),
  DATABASE_URL: url.href,
  DATABASE_TIMEOUT: '1000',
})

interface Asked {
  readonly token?: string
  readonly body?: object | string
  readonly headers?: Readonly<Record<string, string>>
}
interface Heard {
  readonly status: number
  readonly body: Json
  readonly cookie: string
}

/** Asks below /api. What comes back may hold what it is for, where `gives`; all else of it is kept. */
const ask = async (
  method: string,
  path: string,
  { token, body, headers }: Asked = {},
  gives = false,
): Promise<Heard> => {
  const response = await fetch(`${node.url}/api${path}`, {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const cookie = response.headers.get('set-cookie') ?? ''
  if (!gives) heard.push(text, ...Array.from(response.headers, header => header.join(':')))
  return { status: response.status, body: text.startsWith('{') ? (JSON.parse(text) as Json) : {}, cookie }
}

const password = secrets.add('a password')
interface Signed {
  readonly id: string
  readonly name: string
  readonly token: string
  readonly refreshToken: string
}
/** Somebody who has signed up and in. */
const person = async (name: string): Promise<Signed> => {
  const made = await ask('POST', '/users', { body: { name, password }, headers: { 'idempotency-key': `of ${name}` } })
  const { body } = await ask('POST', '/session', { body: { name, password, keep: 'body' } }, true)
  const refreshToken = secrets.add(`a refresh token of ${name}`, String(body['refreshToken']))
  secrets.add(`half of it of ${name}`, refreshToken.split('.').at(-1))
  const token = secrets.addToken(`an access token of ${name}`, String(body['accessToken']))
  return { id: String(made.body['id']), name, token, refreshToken }
}
const [ann, bob] = [await person('ann.of.secrets'), await person('bob.of.secrets')]

/** Signs in and up with secrets in each place where they go, right and wrong. */
const signing = async (t: Test): Promise<void> => {
  const wrong = secrets.add('a wrong password')
  const origin = node.url
  const cases: [number, string, string, Asked][] = [
    [409, 'POST', '/users', { body: { name: ann.name, password: wrong } }],
    [400, 'POST', '/users', { body: { name: 'cem', password: secrets.add('a long password').padEnd(300, 'x') } }],
    [400, 'POST', '/users', { body: { name: secrets.add('in a name').padEnd(300, 'x'), password } }],
    [401, 'POST', '/session', { body: { name: ann.name, password: wrong, keep: 'body' } }],
    [401, 'POST', '/session', { body: { name: wrong, password, keep: 'body' } }],
    [403, 'POST', '/session', { body: { name: ann.name, password } }],
    [
      403,
      'POST',
      '/session',
      { body: { name: ann.name, password }, headers: { ...PAGE, origin: 'https://evil.example' } },
    ],
    [400, 'POST', '/session', { body: `{"name":"ann","password":"${secrets.add('in broken JSON')}"` }],
    [400, 'POST', '/session', { body: { name: ann.name, password: { is: secrets.add('in an object') } } }],
    [400, 'POST', '/session', { body: password, headers: { 'content-type': 'text/plain' } }],
    [413, 'POST', '/session', { body: { name: ann.name, password, device: password.repeat(40_000) } }],
    [401, 'POST', '/session/refresh', { body: { refreshToken: `${ann.refreshToken.slice(0, -4)}AAAA` } }],
    [401, 'POST', '/session/refresh', { body: { refreshToken: secrets.add('no refresh token') } }],
    [
      401,
      'POST',
      '/session/refresh',
      { body: {}, headers: { ...PAGE, origin, cookie: `refresh=${secrets.add('a cookie')}` } },
    ],
    [401, 'GET', '/me', { token: `${ann.token.slice(0, -4)}AAAA` }],
    [401, 'GET', '/me', { token: secrets.add('no token') }],
    [401, 'GET', `/me?token=${ann.token}`, {}],
    [404, 'GET', `/${secrets.add('in-a-path').replaceAll(' ', '-')}`, { token: ann.token }],
    [401, 'PUT', '/me/password', { token: ann.token, body: { old: wrong, password: secrets.add('a new one') } }],
    [400, 'PUT', '/me/password', { token: ann.token, body: { old: password, password: 'x' } }],
    [401, 'POST', '/me/deletion', { token: ann.token, body: { password: wrong } }],
  ]
  for (const [status, method, path, asked] of cases) t.equal((await ask(method, path, asked)).status, status, path)
  const page = { body: { name: ann.name, password }, headers: { ...PAGE, origin } }
  const { cookie } = await ask('POST', '/session', page, true)
  const kept = secrets.add('the token in a cookie', /^refresh=([^;]+)/.exec(cookie)?.[1])
  const again = await ask(
    'POST',
    '/session/refresh',
    { body: {}, headers: { ...PAGE, origin, cookie: `refresh=${kept}` } },
    true,
  )
  t.equal(again.status, 200)
  t.notMatch(JSON.stringify(again.body), 'refreshToken')
}

/** Uses refresh tokens until an old one ends the session. */
const refreshing = async (t: Test): Promise<void> => {
  const { refreshToken: first, token } = await person('cem.of.secrets')
  let refreshToken = first
  for (let i = 0; i < 3; i++) {
    const { body } = await ask('POST', '/session/refresh', { body: { refreshToken } }, true)
    refreshToken = secrets.add(`refresh token ${i}`, String(body['refreshToken']))
    secrets.addToken(`access token ${i}`, String(body['accessToken']))
  }
  const copied = await ask('POST', '/session/refresh', { body: { refreshToken: first } })
  t.match(copied, { status: 401, body: { code: 'SESSION_ENDED' } })
  t.equal((await ask('GET', '/me', { token })).status, 401)
}

/** What is given over STOMP. */
const connecting = async (t: Test): Promise<void> => {
  for (const transport of transports) {
    const asked = { token: ann.token, body: { name: 'a room', visibility: 'private' } }
    const room = String((await ask('POST', '/rooms', asked)).body['id'])
    for (const [headers, code] of [
      [{ login: ann.name, passcode: secrets.add('a wrong passcode') }, 'BAD_CREDENTIALS'],
      [{ login: secrets.add('as a login'), passcode: password }, 'BAD_CREDENTIALS'],
      [{ passcode: `${ann.token.slice(0, -4)}AAAA` }, 'BAD_CREDENTIALS'],
      [{ Authorization: `Bearer ${secrets.add('a bearer')}` }, 'BAD_CREDENTIALS'],
    ] as const) {
      const probe = await Probe.open(t, transport, node)
      probe.send('CONNECT', { 'accept-version': '1.2', ...headers })
      const error = await probe.error()
      t.equal(error.headers['code'], code)
      heard.push(JSON.stringify(error.headers), error.body.toString())
    }
    for (const headers of [{ login: ann.name, passcode: password }, { passcode: ann.token }]) {
      const probe = await Probe.connect(t, transport, node, headers)
      await probe.request('SUBSCRIBE', { id: 'r', Authorization: secrets.add('a header of SUBSCRIBE'), ...to(room) })
      await probe.request('SEND', { destination: `/signal/${room}`, type: 'typing' }, secrets.add('what is typed'))
      await probe.request('SEND', to(room), WRITTEN)
      probe.send('SEND', { destination: '/session/renew' }, bob.token)
      const error = await probe.error()
      t.equal(error.headers['code'], 'BAD_CREDENTIALS')
      heard.push(JSON.stringify(error.headers), error.body.toString())
    }
  }
}

/** Makes a link, and uses it. */
const linking = async (t: Test): Promise<void> => {
  const { body: room } = await ask('POST', '/rooms', { token: ann.token, body: { name: 'n', visibility: 'private' } })
  const path = `/rooms/${String(room['id'])}/links`
  const headers = { 'idempotency-key': 'a link' }
  const { body } = await ask('POST', path, { token: ann.token, body: {}, headers }, true)
  const token = secrets.add('a link', String(body['token']))
  t.match(await ask('POST', '/links/join', { token: bob.token, body: { token } }), { status: 200 })
  t.match(await ask('GET', path, { token: ann.token }), { body: { items: [{ uses: 1 }] } })
  const wrong = { token: secrets.add('no link').slice(0, 64) }
  t.equal((await ask('POST', '/links/join', { token: bob.token, body: wrong })).status, 404)
}

/** All that is in the database, a line each row. */
const rows = async (): Promise<string[]> => {
  const config = { DATABASE_URL: url.href, DATA_DIR: '', DATABASE_POOL: 1, DATABASE_TIMEOUT: 5_000 }
  const { db, close } = await openDatabase(config, silent)
  try {
    const { rows: tables } = await sql<{ name: string }>`
      select tablename as name from pg_tables where schemaname = 'public'`.execute(db)
    const all: string[] = []
    for (const { name } of tables) {
      const { rows } = await sql<{ row: string }>`select t::text as row from ${sql.table(name)} t`.execute(db)
      all.push(...rows.map(({ row }) => `${name} ${row}`))
    }
    const hashes = await db.selectFrom('users').select(['name', 'password_hash']).execute()
    for (const { name, password_hash: hash } of hashes) secrets.add(`the hash of ${name}`, hash!)
    return all
  } finally {
    await close()
  }
}

void t.test('what people give and are given is kept by nobody: not in SQL, the log, or an answer', async t => {
  await signing(t)
  await refreshing(t)
  await connecting(t)
  await linking(t)
  const kept = await rows()
  t.ok(kept.some(row => row.startsWith('sessions ')) && kept.some(row => row.startsWith('idempotency_keys ')))
  const hashes = kept.filter(row => row.startsWith('users '))
  t.ok(hashes.every(row => row.includes('$argon2id$')))
  t.same(secrets.leaks(kept.filter(row => !row.startsWith('users '))), [])
  t.same(
    secrets.leaks(hashes).filter(leak => !leak.startsWith('the hash of ')),
    [],
  )
})

void t.test('of an account that is deleted nothing is left in SQL but its id', async t => {
  const dan = await person('dan.of.secrets')
  const told = ['dan.of.secrets', 'Dan the Rider', 'on a horse', 'Phone of Dan'] as const
  const [, displayName, statusText, device] = told
  await ask('PATCH', '/me', { token: dan.token, body: { displayName, statusText } })
  await ask('POST', '/session', { body: { name: dan.name, password, device, keep: 'body' } }, true)
  const rooms = [
    { by: bob, path: '/direct-rooms', body: { user: dan.id } },
    { by: bob, path: '/rooms', body: { name: 'of bob', visibility: 'private', invite: [dan.id] } },
    { by: dan, path: '/rooms', body: { name: 'of dan', visibility: 'public', invite: [bob.id] } },
  ]
  for (const { by, path, body } of rooms)
    t.equal(
      (await ask('POST', path, { token: by.token, body, headers: { 'idempotency-key': `${path} ${by.id}` } })).status,
      201,
    )
  await ask('PUT', `/friend-requests/${bob.id}`, { token: dan.token })
  const { body: open } = await ask('POST', '/rooms', { token: dan.token, body: { name: 'n', visibility: 'public' } })
  const room = String(open['id'])
  await ask('PUT', `/rooms/${room}/membership`, { token: bob.token })
  const [dans, bobs] = [
    await Probe.connect(t, 'tcp', node, { passcode: dan.token }),
    await Probe.connect(t, 'tcp', node, { passcode: bob.token }),
  ]
  const archived = (text: string) =>
    until(async () => (await rows()).some(row => row.startsWith('messages') && row.includes(text)))
  const { headers } = await dans.request('SEND', to(room), displayName)
  await dans.request('SEND', { ...to(room), type: 'edit', ref: headers['message-id']! }, statusText)
  await archived(statusText)
  const left = async (): Promise<string[]> => (await rows()).filter(row => told.some(text => row.includes(text)))
  t.ok((await left()).length > told.length, 'before')
  await dans.request('SEND', to(room), statusText)
  t.equal((await ask('POST', '/me/deletion', { token: dan.token, body: { password } })).status, 204)
  t.match((await dans.error()).headers, { code: 'SESSION_ENDED' })
  await bobs.request('SEND', to(room), 'after that')
  await archived('after that')
  await until(async () => (await left()).length === 0)
  t.ok((await rows()).some(row => row.includes(dan.id)))
})

void t.test('nor while the database is away', async t => {
  await postgres.kill()
  const away = async (...asked: Parameters<typeof ask>) =>
    t.match(await ask(...asked), { status: 503, body: { code: 'DATABASE_UNAVAILABLE' } })
  await away('POST', '/users', { body: { name: 'dan', password } })
  await away('POST', '/session', { body: { name: ann.name, password, keep: 'body' } })
  await away('POST', '/session/refresh', { body: { refreshToken: ann.refreshToken } })
  await away('PUT', '/me/password', { token: ann.token, body: { old: password, password: secrets.add('the next') } })
  await away('POST', '/links/join', {
    token: ann.token,
    body: { token: secrets.add('a link to nothing').slice(0, 64) },
  })
  const probe = await Probe.open(t, 'tcp', node)
  probe.send('CONNECT', { 'accept-version': '1.2', 'login': ann.name, 'passcode': password })
  const error = await probe.error()
  t.equal(error.headers['code'], 'DATABASE_UNAVAILABLE')
  heard.push(JSON.stringify(error.headers), error.body.toString())
  await until(async () => (await node.ready()) === 503)
  heard.push(await (await fetch(`${node.url}/health/ready`)).text(), await (await fetch(`${node.url}/metrics`)).text())
  await until(() => node.lines.some(line => line.includes('the database is away')))
})

void t.test('in all that it answered and logged there is no secret', async t => {
  await node.stop()
  secrets.add('a message', WRITTEN)
  t.ok(heard.length > 100 && node.lines.some(line => line.includes('"connected"')))
  t.same(secrets.leaks(heard), [])
  t.same(secrets.leaks(node.lines), [])
})
