import { sql } from 'kysely'
import { Type } from 'typebox'
import { pino } from 'pino'
import { Writable } from 'node:stream'
import t, { type Test } from 'tap'
import { fail, type ErrorCode } from '../errors.ts'
import { testDatabase, testDatabases, type TestDatabase } from '../testkit/database.ts'
import { createOnce, openApi, type Api, type ApiOptions } from './api.ts'
import { forgetKeys } from './once.ts'
import { buildHttp } from './server.ts'

interface Setting extends Partial<ApiOptions['config']> {
  readonly loopback?: boolean
  readonly trusted?: string[]
  readonly routes?: (api: Api) => void
}

/** Ann is whoever has the token `ann`. */
const identify = async (token: string) => {
  if (token === 'late') throw fail('TOKEN_EXPIRED')
  if (!/^[a-z]+$/.test(token)) throw fail('BAD_CREDENTIALS')
  return { user: token, session: `${token}'s` }
}

const things = (api: Api): void => {
  api.get('/who', { schema: { summary: 'Who' } }, async ({ identity }) => identity)
  api.get('/open', { config: { open: true }, schema: { summary: 'Open' } }, async () => ({ ok: true }))
  api.get('/nobody', { config: { open: true } }, async ({ identity }) => identity)
  api.get('/seldom', { config: { perMinute: 2 } }, async () => ({ ok: true }))
  api.get('/seldom-open', { config: { perMinute: 2, open: true } }, async () => ({ ok: true }))
  api.get('/fails/:code', async ({ params }) => {
    const { code } = params as { code: ErrorCode }
    throw fail(code, undefined, code === 'TOO_BUSY' ? { headers: { 'retry-after-ms': '1500' } } : {})
  })
  api.get('/broken', async () => {
    throw new Error('the password of the database is hidden')
  })
  api.post(
    '/checked/:id',
    {
      schema: {
        params: Type.Object({ id: Type.String({ maxLength: 3 }) }),
        querystring: Type.Object({
          limit: Type.Integer({ default: 5 }),
          to: Type.Optional(Type.String({ format: 'email' })),
        }),
        body: Type.Object({
          name: Type.String({ minLength: 2 }),
          deep: Type.Optional(Type.Object({ list: Type.Array(Type.Integer()) })),
          secret: Type.Optional(Type.String({ maxLength: 5, pattern: '^x' })),
        }),
        response: { 200: Type.Object({ name: Type.String(), limit: Type.Integer() }) },
      },
    },
    async ({ body, query }) => ({ name: body.name, limit: query.limit, hash: 'of the password' }),
  )
}

const open = async (t: Test, database: Pick<TestDatabase, 'db'>, setting: Setting = {}) => {
  const { loopback = true, trusted, routes = things, ...config } = setting
  const lines: string[] = []
  const sink = new Writable({ write: (line, _encoding, done) => (lines.push(String(line)), done()) })
  const app = buildHttp({ config: trusted ? { TRUST_PROXY: trusted } : {}, logger: pino({ level: 'info' }, sink) })
  await openApi(app, {
    config: { REQUESTS_PER_USER: 10_000, REQUESTS_PER_ADDRESS: 10_000, ...config },
    loopback,
    version: '1.2.3',
    db: database.db,
    identify,
    routes: [routes],
    published: [
      api =>
        void api.get('/.well-known/x', { config: { open: true }, schema: { summary: 'X' } }, async () => ({ x: 1 })),
    ],
  })
  await app.ready()
  t.teardown(() => app.close())
  const ask = async (
    path: string,
    {
      method = 'GET',
      user = '',
      headers = {},
      body,
      from = '127.0.0.1',
    }: {
      method?: 'GET' | 'POST' | 'OPTIONS' | 'DELETE'
      user?: string
      headers?: Record<string, string>
      body?: unknown
      from?: string
    } = {},
  ) => {
    const response = await app.inject({
      method,
      url: path,
      remoteAddress: from,
      headers: { ...(user && { authorization: `Bearer ${user}` }), ...headers },
      ...(body !== undefined && { payload: body as object }),
    })
    const json = response.headers['content-type']?.toString().includes('json') ?? false
    return {
      status: response.statusCode,
      headers: response.headers,
      text: response.body,
      body: (json ? response.json() : {}) as Record<string, unknown>,
    }
  }
  return { app, ask, lines }
}

const shared = await testDatabase(t, 'embedded')

await t.test('who is signed in, and who is not', async t => {
  const { ask } = await open(t, shared)
  t.match(await ask('/api/who', { user: 'ann' }), { status: 200, body: { user: 'ann', session: "ann's" } })
  t.match(await ask('/api/who', { headers: { authorization: 'bearer  ann' } }), { status: 200 })
  const refused = { status: 401, headers: { 'www-authenticate': 'Bearer' }, body: { code: 'BAD_CREDENTIALS' } }
  for (const headers of [
    {},
    { authorization: '' },
    { authorization: 'ann' },
    { authorization: 'Basic ann' },
    { authorization: 'Bearer 5' },
  ]) {
    t.match(await ask('/api/who', { headers }), refused)
  }
  t.match(await ask('/api/who', { user: 'late' }), { status: 401, body: { code: 'TOKEN_EXPIRED' } })
  t.match(await ask('/api/open'), { status: 200 })
  t.match(await ask('/api/open', { user: '5' }), { status: 200 }, 'a token is not looked at')
  t.match(await ask('/api/nobody', { user: 'ann' }), refused)
  t.match(await ask('/.well-known/x'), { status: 200, body: { x: 1 } })
})

await t.test('errors are problems with a code, what happened and what to do', async t => {
  const { ask, lines } = await open(t, shared)
  const forbidden = await ask('/api/fails/FORBIDDEN', { user: 'ann' })
  t.equal(forbidden.headers['content-type'], 'application/problem+json; charset=utf-8')
  t.equal(forbidden.headers['cache-control'], 'no-store')
  t.match(forbidden.headers['content-security-policy'], /default-src 'none'/)
  t.same(forbidden.body, {
    type: 'about:blank',
    title: 'Forbidden',
    status: 403,
    code: 'FORBIDDEN',
    detail: 'not allowed',
    advice: 'Ask whoever can give you the right to it.',
  })
  const cases: [path: string, status: number, code: string, headers?: object][] = [
    ['/api/fails/TOO_BUSY', 429, 'TOO_BUSY', { 'retry-after': '2' }],
    ['/api/fails/DATABASE_UNAVAILABLE', 503, 'DATABASE_UNAVAILABLE', { 'retry-after': undefined }],
    ['/api/nothing', 404, 'NOT_FOUND'],
    ['/api', 404, 'NOT_FOUND'],
    ['/api/broken', 500, 'INTERNAL'],
  ]
  for (const [path, status, code, headers = {}] of cases) {
    t.match(await ask(path, { user: 'ann' }), { status, headers, body: { status, code } }, path)
  }
  t.equal((await ask('/api/nothing')).status, 404, 'also without a token')
  t.notMatch((await ask('/api/broken', { user: 'ann' })).text, /hidden/)
  const logged = lines
    .map(line => JSON.parse(line) as { level: number; route?: string })
    .filter(({ level }) => level >= 40)
  t.same(
    logged.map(({ route }) => route),
    ['/api/broken', '/api/broken'],
    'only what is our fault is logged',
  )
})

await t.test('what is malformed is told by its place, never repeated', async t => {
  const { ask } = await open(t, shared)
  const post = (body: unknown, path = '/api/checked/abc', headers = {}) =>
    ask(path, { method: 'POST', user: 'ann', body, headers: { 'content-type': 'application/json', ...headers } })
  t.match(await post({ name: 'ann', more: 'dropped' }), { status: 200, body: { name: 'ann', limit: 5 } })
  t.notMatch((await post({ name: 'ann' })).text, /hash/, 'only what the schema has')
  const bad: [what: unknown, detail: RegExp, path?: string][] = [
    [{}, /^the request is malformed: body must have required property 'name'$/],
    [{ name: 'a' }, /: name must NOT have fewer than 2 characters$/],
    [{ name: 'ann', deep: { list: [1, 'hidden'] } }, /: deep\.list\.1 must be integer$/],
    [{ name: 'ann', secret: 'hidden' }, /: secret must NOT have more than 5 characters$/],
    [{ name: 'ann', secret: 'hid' }, /: secret must match pattern/],
    [{ name: 'ann' }, /: limit must be integer$/, '/api/checked/abc?limit=hidden'],
    [{ name: 'ann' }, /: to must match format "email"$/, '/api/checked/abc?to=hidden'],
    [{ name: 'ann' }, /: id must NOT have more than 3 characters$/, '/api/checked/hidden'],
    ['{"name": hidden', /: the body must be JSON, with its content-type$/],
    ['', /: the body must be JSON/],
    ['"hidden"', /: body must be object$/],
  ]
  for (const [body, detail, path] of bad) {
    const answer = await post(body, path)
    t.match(answer, { status: 400, body: { code: 'BAD_REQUEST', detail } })
    t.notMatch(answer.text, /hidden/)
  }
  t.match(await post('name=ann', undefined, { 'content-type': 'text/hidden' }), {
    status: 400,
    body: { code: 'BAD_REQUEST' },
  })
  const large = await post({ name: 'x'.repeat(70_000) })
  t.match(large, { status: 413, body: { code: 'REQUEST_TOO_LARGE' } })
})

await t.test('a node on loopback is asked for by loopback names, and those on HOSTS', async t => {
  const local = await open(t, shared, { HOSTS: ['chat.example.org'] })
  const as = (host: string) => ({ user: 'ann', headers: { host } })
  for (const host of ['localhost', '127.0.0.1:8080', 'chat.example.org'])
    t.equal((await local.ask('/api/who', as(host))).status, 200)
  for (const path of ['/api/who', '/api/open', '/api/nothing', '/docs/json', '/.well-known/x']) {
    t.match(await local.ask(path, as('evil.example.org')), { status: 421, body: { code: 'BAD_HOST' } }, path)
  }
  const anywhere = await open(t, shared, { loopback: false })
  t.equal((await anywhere.ask('/api/who', as('evil.example.org'))).status, 200)
  const proxied = await open(t, shared, { loopback: false, HOSTS: ['chat.example.org'], trusted: ['127.0.0.1'] })
  const forwarded = { user: 'ann', headers: { 'host': 'upstream', 'x-forwarded-host': 'chat.example.org' } }
  t.equal((await proxied.ask('/api/who', forwarded)).status, 200)
  t.equal((await proxied.ask('/api/who', { ...forwarded, from: '192.0.2.1' })).status, 421)
})

await t.test('so many requests a minute: of a user, of an address, of a route', async t => {
  const { ask } = await open(t, shared, { REQUESTS_PER_USER: 3, REQUESTS_PER_ADDRESS: 5 })
  const refused = { status: 429, headers: { 'retry-after': /^\d\d?$/ }, body: { code: 'TOO_MANY_REQUESTS' } }
  for (let i = 0; i < 3; i++) t.equal((await ask('/api/who', { user: 'ann', from: `192.0.2.${i}` })).status, 200)
  t.match(await ask('/api/who', { user: 'ann', from: '192.0.2.9' }), refused)
  t.equal((await ask('/api/who', { user: 'bob', from: '192.0.2.9' })).status, 200)
  for (let i = 0; i < 5; i++) t.equal((await ask('/api/open', { from: '192.0.3.1' })).status, 200)
  for (const path of ['/api/open', '/api/nothing', '/docs/json', '/.well-known/x']) {
    t.match(await ask(path, { from: '192.0.3.1' }), refused, path)
  }
  for (let i = 0; i < 5; i++) await ask('/api/open', { from: `2001:db8:1:2::${i}` })
  t.match(await ask('/api/open', { from: '2001:db8:1:2:9:9:9:9' }), refused, 'a network of IPv6 is one address')
  t.equal((await ask('/api/open', { from: '2001:db8:1:3::1' })).status, 200)

  const often = await open(t, shared)
  for (const [path, one, other] of [
    ['/api/seldom', { user: 'ann' }, { user: 'bob' }],
    ['/api/seldom-open', { from: '192.0.2.1' }, { from: '192.0.2.2' }],
  ] as const) {
    for (let i = 0; i < 2; i++) t.equal((await often.ask(path, one)).status, 200)
    t.match(await often.ask(path, one), refused)
    t.equal((await often.ask(path, other)).status, 200)
  }
  t.equal((await often.ask('/api/who', { user: 'ann' })).status, 200)
})

await t.test('pages of other origins: those on ORIGINS may ask', async t => {
  const ORIGIN = 'https://chat.example.org'
  const preflight = (origin: string) => ({
    method: 'OPTIONS' as const,
    headers: {
      origin,
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'authorization,x-hoofbeat',
    },
  })
  const listed = await open(t, shared, { ORIGINS: [ORIGIN] })
  const allowed = await listed.ask('/api/who', preflight(ORIGIN))
  t.match(allowed, {
    status: 204,
    headers: { 'access-control-allow-origin': ORIGIN, 'access-control-allow-credentials': 'true' },
  })
  t.match(allowed.headers['access-control-allow-methods'], /PUT/)
  t.match(allowed.headers['access-control-allow-headers'], /authorization.*idempotency-key.*x-hoofbeat/)
  const asked = await listed.ask('/api/who', { user: 'ann', headers: { origin: ORIGIN } })
  t.match(asked, { status: 200, headers: { 'access-control-allow-origin': ORIGIN } })
  for (const origin of ['https://evil.example.org', 'null']) {
    t.equal((await listed.ask('/api/who', preflight(origin))).headers['access-control-allow-origin'], undefined)
  }
  const none = await open(t, shared)
  t.equal((await none.ask('/api/who', preflight(ORIGIN))).headers['access-control-allow-origin'], undefined)
  const any = await open(t, shared, { ORIGINS: ['*'] })
  const anyone = await any.ask('/api/who', preflight('https://evil.example.org'))
  t.match(anyone, { headers: { 'access-control-allow-origin': '*' } })
  t.equal(anyone.headers['access-control-allow-credentials'], undefined, 'no cookie of anybody')
})

await t.test('the page of the document is shown at /docs, with nothing from elsewhere', async t => {
  const { ask } = await open(t, shared)
  const page = await ask('/docs')
  t.equal(page.status, 200)
  t.match(page.text, /swagger-ui/)
  t.notMatch(page.text, /<script>|https?:\/\//, 'no inline script')
  t.equal(
    page.headers['content-security-policy'],
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none';",
  )
  t.match(await ask('/docs/json'), {
    status: 200,
    body: { openapi: '3.0.3', info: { title: 'Hoofbeat', version: '1.2.3' } },
  })
  t.match(
    (await ask('/api/open')).headers['content-security-policy'],
    /require-trusted-types-for 'script'/,
    'elsewhere as it was',
  )
})

await testDatabases(t, async (t, database) => {
  const { db, another } = database
  const other = await another()
  let made = 0
  const gate = { wait: Promise.resolve() }
  const creating =
    (at: Pick<TestDatabase, 'db'>) =>
    (api: Api): void => {
      api.post(
        '/things',
        {
          config: { creates: true },
          schema: {
            summary: 'Make a thing',
            body: Type.Object({
              name: Type.String(),
              fails: Type.Optional(Type.Boolean()),
              status: Type.Optional(Type.Integer()),
            }),
            response: { '2xx': Type.Object({ made: Type.Integer(), name: Type.String() }) },
          },
        },
        async (request, reply) =>
          createOnce(at.db, {
            request,
            reply,
            scope: `user ${request.identity.user}`,
            same: request.body,
            work: async () => {
              await gate.wait
              if (request.body.fails) throw fail('FORBIDDEN')
              if (request.body.status !== undefined) reply.statusCode = request.body.status
              return { made: ++made, name: request.body.name }
            },
          }),
      )
    }
  const { ask } = await open(t, database, { routes: creating(database) })
  const elsewhere = await open(t, database, { routes: creating(other) })
  const create = (key: string | undefined, body: object, { user = 'ann', at = ask } = {}) =>
    at('/api/things', { method: 'POST', user, body, headers: key === undefined ? {} : { 'idempotency-key': key } })

  await t.test('without a key each POST creates', async t => {
    const [one, two] = [await create(undefined, { name: 'a' }), await create(undefined, { name: 'a' })]
    t.match([one, two], [{ status: 201 }, { status: 201 }])
    t.not(one.body['made'], two.body['made'])
  })

  await t.test('with a key a repeat is answered as the first was, on any node', async t => {
    const first = await create('k1', { name: 'a', status: 200 })
    t.equal(first.status, 200)
    for (const at of [ask, elsewhere.ask]) {
      const repeat = await create('k1', { name: 'a', status: 200 }, { at })
      t.match(repeat, { status: 200, body: first.body })
    }
    t.match(await create('k1', { name: 'b' }), { status: 409, body: { code: 'KEY_REUSED' } })
    const theirs = await create('k1', { name: 'b' }, { user: 'bob' })
    t.match(theirs, { status: 201, body: { name: 'b' } }, 'a key is its user’s alone')
  })

  await t.test('also while the first is under way', async t => {
    const { promise, resolve } = Promise.withResolvers<void>()
    gate.wait = promise
    const before = made
    const all = [ask, elsewhere.ask, ask, elsewhere.ask].map(at => create('k2', { name: 'a' }, { at }))
    resolve()
    const answers = await Promise.all(all)
    t.equal(made, before + 1)
    t.same(new Set(answers.map(({ body }) => body['made'])), new Set([made]))
  })

  await t.test('what failed leaves its key free', async t => {
    t.match(await create('k3', { name: 'a', fails: true }), { status: 403 })
    t.match(await create('k3', { name: 'a' }), { status: 201 })
  })

  await t.test('a key has 1 to 64 characters, and is remembered for a day', async t => {
    t.equal((await create('x'.repeat(64), { name: 'a' })).status, 201)
    for (const key of ['', 'x'.repeat(65)])
      t.match(await create(key, { name: 'a' }), { status: 400, body: { code: 'BAD_REQUEST' } })
    const count = async () => (await db.selectFrom('idempotency_keys').select('key').execute()).length
    const before = await count()
    await forgetKeys(db)
    t.equal(await count(), before)
    await sql`update idempotency_keys set created_at = now() - interval '25 hours' where key = 'k3'`.execute(db)
    await forgetKeys(db)
    t.equal(await count(), before - 1)
  })
})
