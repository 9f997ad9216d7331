import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { json } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { testDatabase, type Kind } from '../testkit/database.ts'
import { startNode, until, type TestNode } from '../testkit/node.ts'
import { Probe, wire } from '../testkit/probe.ts'

const PASSWORD = 'correct horse battery'
const SESSION_SECRET = 'thirty-two bytes that nobody knows of'

/** A real node with accounts, on a database of the kind. */
const start = async (t: Test, kind: Kind): Promise<TestNode> => {
  const database = await testDatabase(t, kind)
  // A folder is one process's alone; the node has it from here on.
  await database.close()
  return startNode(t, { ACCESS: 'accounts', SESSION_SECRET, ...database.env })
}

interface Signed {
  readonly accessToken: string
  readonly session: string
  readonly refreshToken: string
  readonly user: { readonly id: string; readonly name: string }
}
let people = 0

for (const kind of ['postgres', 'embedded'] as const) {
  await t.test(kind, async t => {
    const node = await start(t, kind)
    const ask = async (method: string, path: string, { token = '', body }: { token?: string; body?: object } = {}) => {
      const response = await fetch(`${node.url}api${path}`, {
        method,
        headers: {
          ...(body && { 'content-type': 'application/json' }),
          ...(token && { authorization: `Bearer ${token}` }),
        },
        ...(body && { body: JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, body: (text ? JSON.parse(text) : {}) as never }
    }
    const signIn = async (name: string): Promise<Signed> =>
      (await ask('POST', '/session', { body: { name, password: PASSWORD, keep: 'body' } })).body
    const newcomer = async (): Promise<Signed> => {
      const name = `someone${++people}`
      const { status } = await ask('POST', '/users', { body: { name, password: PASSWORD } })
      if (status !== 201) throw new Error(`signing up: ${status}`)
      return signIn(name)
    }

    wire(
      t,
      '[S-14] CONNECT with an access token, as bearer or passcode, or with name and password',
      async (t, transport) => {
        const ann = await newcomer()
        const room = { name: `a room over ${transport}`, visibility: 'public' }
        const made = await ask('POST', '/rooms', { token: ann.accessToken, body: room })
        t.equal(made.status, 201)
        const ways: Record<string, string>[] = [
          { Authorization: `Bearer ${ann.accessToken}` },
          { passcode: ann.accessToken },
          { login: ann.user.name, passcode: PASSWORD },
        ]
        for (const headers of ways) {
          const probe = await Probe.open(t, transport, node)
          probe.send('CONNECT', { 'accept-version': '1.2', ...headers })
          t.equal((await probe.next('CONNECTED')).headers['user-name'], ann.user.id)
          const destination = `/topic/${(made.body as { id: string }).id}`
          await probe.request('SUBSCRIBE', { id: 's', destination })
          await probe.request('SEND', { destination }, 'hello')
          t.equal((await probe.next('MESSAGE')).headers['sender'], ann.user.id)
          probe.end()
        }
        const wrong = await Probe.open(t, transport, node)
        wrong.send('CONNECT', { 'accept-version': '1.2', 'login': ann.user.name, 'passcode': 'wrong wrong' })
        t.match((await wrong.error()).headers, { code: 'BAD_CREDENTIALS' })
      },
    )

    wire(t, 'a session that is ended over HTTP ends its connections, and theirs alone', async (t, transport) => {
      const ann = await newcomer()
      const other = await signIn(ann.user.name)
      const connect = (headers: Record<string, string>) => Probe.connect(t, transport, node, headers)
      const ending = [await connect({ passcode: other.accessToken }), await connect({ passcode: other.accessToken })]
      const staying = await connect({ passcode: ann.accessToken })
      const byPassword = await connect({ login: ann.user.name, passcode: PASSWORD })
      t.equal((await ask('DELETE', `/sessions/${other.session}`, { token: ann.accessToken })).status, 204)
      for (const probe of ending) t.match((await probe.error()).headers, { code: 'SESSION_ENDED' })
      await staying.settled()
      await byPassword.settled()
      const refused = await Probe.open(t, transport, node)
      refused.send('CONNECT', { 'accept-version': '1.2', 'passcode': other.accessToken })
      t.match((await refused.error()).headers, { code: 'SESSION_ENDED' })
      t.equal((await ask('DELETE', '/sessions', { token: ann.accessToken })).status, 204)
      for (const probe of [staying, byPassword]) t.match((await probe.error()).headers, { code: 'SESSION_ENDED' })
    })

    wire(t, '[S-21] renewal takes a token of the same session only', async (t, transport) => {
      const ann = await newcomer()
      const connect = () => Probe.connect(t, transport, node, { passcode: ann.accessToken })
      const renew = (probe: Probe, token: string) =>
        probe.send('SEND', { destination: '/session/renew', receipt: 'r' }, token)
      const refreshed = (await ask('POST', '/session/refresh', { body: { refreshToken: ann.refreshToken } }))
        .body as Signed
      const probe = await connect()
      renew(probe, refreshed.accessToken)
      await probe.next('RECEIPT')
      renew(probe, (await signIn(ann.user.name)).accessToken)
      t.match((await probe.error()).headers, { code: 'BAD_CREDENTIALS', message: /another session/ })
      const another = await connect()
      renew(another, (await newcomer()).accessToken)
      t.match((await another.error()).headers, { code: 'BAD_CREDENTIALS', message: /another user/ })
      const byPassword = await Probe.connect(t, transport, node, { login: ann.user.name, passcode: PASSWORD })
      renew(byPassword, ann.accessToken)
      t.match((await byPassword.error()).headers, { code: 'BAD_CREDENTIALS', message: /another session/ })
    })

    await t.test('a connection with a password is a listed session, which goes with it', async t => {
      const ann = await newcomer()
      const listed = async () =>
        ((await ask('GET', '/sessions', { token: ann.accessToken })).body as { items: { kind: string }[] }).items.map(
          ({ kind }) => kind,
        )
      const probe = await Probe.connect(t, 'tcp', node, { login: ann.user.name, passcode: PASSWORD })
      t.same(await listed(), ['connection', 'device'])
      probe.end()
      await until(async () => (await listed()).length === 1)
      t.same(await listed(), ['device'])
    })

    await t.test('a program that says nothing of itself has a device without a name', async t => {
      const { user } = await newcomer()
      const headers = { 'content-type': 'application/json' }
      const asking = request(`${node.url}api/session`, { method: 'POST', headers })
      asking.end(JSON.stringify({ name: user.name, password: PASSWORD, keep: 'body' }))
      const [answer] = (await once(asking, 'response')) as [IncomingMessage]
      const { accessToken } = (await json(answer)) as Signed
      t.match((await ask('GET', '/sessions', { token: accessToken })).body, {
        items: [{ device: '' }, { device: 'node' }],
      })
    })

    await t.test('nobody is left where the client has gone, or is one too many, before it was let in', async t => {
      const ann = await newcomer()
      const login = { login: ann.user.name, passcode: PASSWORD }
      const early = await Probe.open(t, 'tcp', node)
      early.send('CONNECT', { 'accept-version': '1.2', ...login })
      early.end()
      const late = await Probe.connect(t, 'tcp', node, login)
      const count = async () =>
        ((await ask('GET', '/sessions', { token: ann.accessToken })).body as { items: object[] }).items.length
      await until(async () => (await count()) === 2)
      late.end()
      await until(async () => (await count()) === 1)
    })

    await t.test('ready says that the database is there; no token or password is logged', async t => {
      t.match(await (await fetch(`${node.url}health/ready`)).json(), { checks: { log: 'ok', database: 'ok' } })
      t.notMatch(node.lines.join(''), /correct horse|wrong wrong|eyJ|argon2/)
    })
  })
}

await t.test('[S-19] a user’s connections past the limit leave no session behind', async t => {
  const database = await testDatabase(t, 'embedded')
  await database.close()
  const env = { ACCESS: 'accounts', SESSION_SECRET, CONNECTIONS_PER_USER: '1', ...database.env }
  const node = await startNode(t, env)
  const headers = { 'content-type': 'application/json' }
  const credentials = { name: 'ann.lee', password: PASSWORD }
  await fetch(`${node.url}api/users`, { method: 'POST', headers, body: JSON.stringify(credentials) })
  const login = { login: credentials.name, passcode: PASSWORD }
  const first = await Probe.connect(t, 'tcp', node, login)
  const second = await Probe.open(t, 'tcp', node)
  second.send('CONNECT', { 'accept-version': '1.2', ...login })
  t.match((await second.error()).headers, { code: 'TOO_MANY_CONNECTIONS' })
  const body = JSON.stringify({ ...credentials, keep: 'body' })
  const signed = (await (await fetch(`${node.url}api/session`, { method: 'POST', headers, body })).json()) as Signed
  const count = async (): Promise<number> => {
    const response = await fetch(`${node.url}api/sessions`, {
      headers: { authorization: `Bearer ${signed.accessToken}` },
    })
    return ((await response.json()) as { items: object[] }).items.length
  }
  await until(async () => (await count()) === 2)
  await first.settled()
})
