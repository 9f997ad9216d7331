import t, { type Test } from 'tap'
import { errors, type ErrorCode } from '../errors.ts'
import { call, PASSWORD, to } from '../testkit/product.ts'
import { Probe } from '../testkit/probe.ts'
import { otherActs, roomActs, type HttpAct } from './testkit/http-acts.ts'
import { stompActs } from './testkit/stomp-acts.ts'
import {
  cellOf,
  openWorld,
  readers,
  roles,
  signedIn,
  visibilities,
  type Cell,
  type Role,
  type Visibility,
} from './testkit/world.ts'

t.setTimeout(240_000)
const world = await openWorld(t)
const { node } = world

/** What a table says of one role: that it is done, or by which code it is refused. */
type Expected = 'done' | ErrorCode

const mayOf = (may: HttpAct['may'], visibility: Visibility): readonly Role[] =>
  'private' in may ? may[visibility] : may

const expectedOf = ({ may, no, but, open }: HttpAct, role: Role, visibility: Visibility): Expected => {
  if (!open && role === 'signed out') return 'BAD_CREDENTIALS'
  if (!open && role === 'ended session') return 'SESSION_ENDED'
  if (but?.[role]) return but[role]
  if (mayOf(may, visibility).includes(role)) return 'done'
  return no ?? (readers[visibility].includes(role) ? 'FORBIDDEN' : 'NO_SUCH_ROOM')
}

const tryOne = async (act: HttpAct, cell: Cell): Promise<number | string> => {
  const [method = '', route = ''] = act.route.split(' ')
  const person = world.people.get(cell.role)
  const { path, body, as } = await act.ask(cell, signedIn.includes(cell.role) ? person : undefined)
  const url = route.startsWith('/api') ? `/api${path}` : route
  const answer = await call(node, method, url, { token: (as ?? person)?.token, body })
  return answer.status < 400 ? answer.status : `${answer.status} ${String(answer.body['code'])}`
}

/** Tries an act as every role; what each was answered is one comparison. Without a visibility it is about no room. */
const tryAll = async (t: Test, act: HttpAct, visibility?: Visibility): Promise<void> => {
  const [was, is]: [Record<string, unknown>, Record<string, unknown>] = [{}, {}]
  const tried = roles.map(async role => {
    const cell = visibility ? await cellOf(world, role, visibility) : { ...world, role, room: '' }
    const answered = await tryOne(act, cell)
    const expected = expectedOf(act, role, visibility ?? 'private')
    was[role] = answered
    is[role] = expected === 'done' ? act.ok : `${errors[expected].http} ${expected}`
  })
  await Promise.all(tried)
  t.same(was, is, [act.route, act.does, visibility].filter(Boolean).join(', '))
}

void t.test('every route of the document is in the tables, and no other', async t => {
  const { paths } = (await call(node, 'GET', '/docs/json')).body as { paths: Record<string, object> }
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
  )
  const tried = new Set([...roomActs, ...otherActs].map(({ route }) => route))
  t.same([...tried].toSorted(), routes.toSorted())
})

void t.test('STOMP: every role and every act', async t => {
  for (const visibility of visibilities) {
    for (const { does, may, no = 'FORBIDDEN', frame } of stompActs) {
      const [was, is]: [Record<string, string>, Record<string, string>] = [{}, {}]
      const tried = signedIn.map(async role => {
        const me = world.people.get(role)!
        const { command, headers } = await frame(t, await cellOf(world, role, visibility), me)
        const probe = await me.connect(t, 'tcp', node)
        is[role] = mayOf(may, visibility).includes(role) ? 'done' : no
        was[role] = await probe.request(command, headers).then(
          () => 'done',
          async () => (await probe.error()).headers['code']!,
        )
        probe.end()
      })
      await Promise.all(tried)
      t.same(was, is, `${does}, ${visibility}`)
    }
  }
})

void t.test('STOMP: who is not signed in does not come in', async t => {
  const refused = async (headers: Record<string, string>, upgrade: Record<string, string> = {}): Promise<unknown> => {
    const probe = await Probe.open(t, 'websocket', node, { headers: upgrade })
    probe.send('CONNECT', { 'accept-version': '1.2', 'host': 'test', ...headers })
    return (await probe.error()).headers['code']
  }
  const ended = world.people.get('ended session')!
  t.equal(await refused({}), 'BAD_CREDENTIALS')
  t.equal(await refused({ login: ended.name, passcode: 'what was it' }), 'BAD_CREDENTIALS')
  t.equal(await refused({ passcode: `${ended.token.slice(0, -4)}AAAA` }), 'BAD_CREDENTIALS')
  t.equal(await refused({ passcode: ended.token }), 'SESSION_ENDED')
  const { name } = world.people.get('member')!
  const signed = await call(node, 'POST', '/api/session', { body: { name, password: PASSWORD, keep: 'body' } })
  const { accessToken, refreshToken } = signed.body as Record<string, string>
  const byUpgrade = { cookie: `refresh=${refreshToken}`, authorization: `Bearer ${accessToken}` }
  t.equal(await refused({}, byUpgrade), 'BAD_CREDENTIALS', 'what a browser sends by itself signs nobody in')
})

void t.test('a direct room is of two: one who is blocked reads it, and nobody writes', async t => {
  const { direct, people, target } = world
  const { room, blocker } = direct
  const blocked = people.get('blocked')!
  for (const who of [blocked, blocker]) {
    const probe = await who.connect(t, 'tcp', node)
    await probe.request('SUBSCRIBE', { id: 'r', last: 10, ...to(room) })
    await probe.request('SUBSCRIBE', { id: 's', destination: `/signal/${room}` })
    await probe.request('SEND', { destination: `/signal/${room}`, type: 'read' })
    probe.send('SEND', to(room), 'after all')
    t.match((await probe.error()).headers, { code: 'FORBIDDEN' })
    const typing = await who.connect(t, 'tcp', node)
    typing.send('SEND', { destination: `/signal/${room}`, type: 'typing' })
    t.match((await typing.error()).headers, { code: 'FORBIDDEN' })
    t.match(await who.tries(node, 'GET', `/rooms/${room}`), { status: 200, body: { visibility: 'direct' } })
  }
  for (const role of signedIn.filter(each => each !== 'blocked')) {
    const probe = await people.get(role)!.connect(t, 'tcp', node)
    probe.send('SUBSCRIBE', { id: 'r', ...to(room) })
    t.match((await probe.error()).headers, { code: 'FORBIDDEN' }, role)
  }
  for (const act of new Set(roomActs.map(({ route }) => route))) {
    const [method = '', route = ''] = act.split(' ')
    if (!route.startsWith('/api/rooms/{id}')) continue
    const path = route.replace('/api', '').replace('{id}', room).replace('{user}', blocker.id).replace('{link}', 'x')
    const body = bodies[act]
    const outsider = await target.tries(node, method, path, body)
    t.match(outsider, { status: 404, body: { code: 'NO_SUCH_ROOM' } }, `${act}: as if there were none`)
    if (allowed.includes(act)) continue
    t.match(await blocked.tries(node, method, path, body), { status: 403, body: { code: 'FORBIDDEN' } }, act)
  }
})

/** What one of the two may do in a direct room over HTTP. */
const allowed = [
  'GET /api/rooms/{id}',
  'GET /api/rooms/{id}/members',
  'POST /api/rooms/{id}/read',
  'PUT /api/rooms/{id}/membership',
]
const bodies: Readonly<Record<string, object>> = {
  'POST /api/rooms/{id}/read': { message: 'e-0' },
  'PATCH /api/rooms/{id}': { name: 'Another' },
  'PUT /api/rooms/{id}/members/{user}/role': { role: 'admin' },
  'POST /api/rooms/{id}/invitations': { users: [] },
  'POST /api/rooms/{id}/links': {},
}

void t.test('HTTP: every role and every act in rooms', async t => {
  for (const visibility of visibilities) for (const act of roomActs) await tryAll(t, act, visibility)
})

void t.test('HTTP: every role and every other act', async t => {
  for (const act of otherActs) await tryAll(t, act)
})
