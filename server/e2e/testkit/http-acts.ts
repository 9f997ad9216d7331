/** Who may do what over HTTP: the whole of it. */

import { randomBytes } from 'node:crypto'
import type { ErrorCode } from '../../errors.ts'
import { call, PASSWORD, type Person } from '../../testkit/product.ts'
import { inside, newcomer, outside, readers, signedIn, staff, type Cell, type Role, type Visibility } from './world.ts'

interface Asked {
  /** Below /api. */
  readonly path: string
  readonly body?: object
  /** By another session than the role's own. */
  readonly as?: Person
}

export interface HttpAct {
  /** As the document has it. */
  readonly route: string
  readonly does?: string
  /** Nobody need be signed in. */
  readonly open?: true
  readonly ok: number
  /** Who may, in each kind of room; a list: in both, or it has nothing to do with rooms. */
  readonly may: readonly Role[] | Readonly<Record<Visibility, readonly Role[]>>
  /** What everybody else is told. Absent: NO_SUCH_ROOM to whoever may not see the room, FORBIDDEN to others. */
  readonly no?: ErrorCode
  /** What some are told instead. */
  readonly but?: Readonly<Partial<Record<Role, ErrorCode>>>
  /** `me`: undefined where nobody is signed in. */
  readonly ask: (cell: Cell, me: Person | undefined) => Asked | Promise<Asked>
}

const owner = (cell: Cell): Person => cell.people.get('owner')!
const inRoom =
  (rest: string, body?: object) =>
  ({ room }: Cell): Asked => ({ path: `/rooms/${room}${rest}`, ...(body && { body }) })
const at = (path: string, body?: object) => (): Asked => ({ path, ...(body && { body }) })
const uponTarget =
  (before: string, after = '', body?: object) =>
  (cell: Cell): Asked =>
    inRoom(`/${before}/${cell.target.id}${after}`, body)(cell)
const unlessOpen = { private: inside, public: [...inside, ...outside] }

const link = async (cell: Cell): Promise<{ id: string; token: string }> => {
  const made = await owner(cell).does(cell.node, 'POST', `/rooms/${cell.room}/links`, {})
  return { id: (made['link'] as { id: string }).id, token: made['token'] as string }
}
/** An invitation of the owner to the stranger. */
const invitation = async ({ node, room, people, ...cell }: Cell): Promise<string> => {
  const users = [people.get('stranger')!.id]
  const made = await owner({ node, room, people, ...cell }).does(node, 'POST', `/rooms/${room}/invitations`, { users })
  return (made['invitations'] as { id: string }[])[0]!.id
}
const answering =
  (what: string) =>
  async (cell: Cell): Promise<Asked> => ({
    path: `/invitations/${await invitation(cell)}/${what}`,
  })

/** Of a message that the archive knows of. */
const marking = async (cell: Cell): Promise<Asked> => {
  const { db, room } = cell
  await db.insertInto('room_epochs').values({ room_id: room, generation: 1, epoch: 'e', next_offset: 1n }).execute()
  return inRoom('/read', { message: 'e-0' })(cell)
}

const rooms: readonly HttpAct[] = [
  { route: 'GET /api/rooms/{id}', ok: 200, may: readers, ask: inRoom('') },
  { route: 'PATCH /api/rooms/{id}', does: 'rename', ok: 200, may: staff, ask: inRoom('', { name: 'Another' }) },
  { route: 'PATCH /api/rooms/{id}', does: 'describe', ok: 200, may: staff, ask: inRoom('', { about: 'it' }) },
  {
    route: 'PATCH /api/rooms/{id}',
    does: 'visibility',
    ok: 200,
    may: ['owner'],
    ask: inRoom('', { visibility: 'private' }),
  },
  { route: 'PATCH /api/rooms/{id}', does: 'cap', ok: 200, may: ['owner'], ask: inRoom('', { maxMembers: 50 }) },
  { route: 'DELETE /api/rooms/{id}', ok: 204, may: ['owner'], ask: inRoom('') },
  { route: 'POST /api/rooms/{id}/read', ok: 200, may: inside, ask: marking },
  { route: 'PUT /api/rooms/{id}/membership', ok: 200, may: unlessOpen, ask: inRoom('/membership') },
  {
    route: 'DELETE /api/rooms/{id}/membership',
    ok: 204,
    may: ['member', 'admin'],
    but: { owner: 'OWNER_STAYS' },
    ask: inRoom('/membership'),
  },
  { route: 'GET /api/rooms/{id}/members', ok: 200, may: readers, ask: inRoom('/members') },
  { route: 'DELETE /api/rooms/{id}/members/{user}', does: 'a member', ok: 204, may: staff, ask: uponTarget('members') },
  {
    route: 'DELETE /api/rooms/{id}/members/{user}',
    does: 'an admin',
    ok: 204,
    may: ['owner'],
    ask: cell => inRoom(`/members/${cell.targetAdmin.id}`)(cell),
  },
  {
    route: 'DELETE /api/rooms/{id}/members/{user}',
    does: 'the owner',
    ok: 204,
    may: [],
    ask: cell => inRoom(`/members/${owner(cell).id}`)(cell),
  },
  ...(['admin', 'owner'] as const).map((role): HttpAct => ({
    route: 'PUT /api/rooms/{id}/members/{user}/role',
    does: role,
    ok: 204,
    may: ['owner'],
    ask: uponTarget('members', '/role', { role }),
  })),
  {
    route: 'PUT /api/rooms/{id}/members/{user}/role',
    does: 'oneself an owner',
    ok: 204,
    may: [],
    ask: (cell, me) => inRoom(`/members/${me?.id ?? 'x'}/role`, { role: 'owner' })(cell),
  },
  { route: 'GET /api/rooms/{id}/bans', ok: 200, may: staff, ask: inRoom('/bans') },
  { route: 'PUT /api/rooms/{id}/bans/{user}', ok: 204, may: staff, ask: uponTarget('bans') },
  {
    route: 'PUT /api/rooms/{id}/bans/{user}',
    does: 'an admin',
    ok: 204,
    may: ['owner'],
    ask: cell => inRoom(`/bans/${cell.targetAdmin.id}`)(cell),
  },
  {
    route: 'DELETE /api/rooms/{id}/bans/{user}',
    ok: 204,
    may: staff,
    ask: cell => inRoom(`/bans/${cell.people.get('banned')!.id}`)(cell),
  },
  { route: 'GET /api/rooms/{id}/invitations', ok: 200, may: staff, ask: inRoom('/invitations') },
  {
    route: 'POST /api/rooms/{id}/invitations',
    ok: 201,
    may: { private: staff, public: inside },
    ask: async cell => inRoom('/invitations', { users: [await newcomer(cell)] })(cell),
  },
  {
    route: 'POST /api/rooms/{id}/invitations',
    does: 'one who is banned',
    ok: 201,
    may: [],
    ask: cell => inRoom('/invitations', { users: [cell.people.get('banned')!.id] })(cell),
  },
  { route: 'POST /api/rooms/{id}/links', ok: 201, may: staff, ask: inRoom('/links', {}) },
  { route: 'GET /api/rooms/{id}/links', ok: 200, may: staff, ask: inRoom('/links') },
  {
    route: 'DELETE /api/rooms/{id}/links/{link}',
    ok: 204,
    may: staff,
    ask: async cell => inRoom(`/links/${(await link(cell)).id}`)(cell),
  },
  {
    route: 'POST /api/links/join',
    ok: 200,
    may: [...inside, ...outside],
    no: 'NO_SUCH_INVITATION',
    ask: async cell => ({ path: '/links/join', body: { token: (await link(cell)).token } }),
  },
  ...(['accept', 'decline'] as const).map((what): HttpAct => ({
    route: `POST /api/invitations/{id}/${what}`,
    ok: what === 'accept' ? 200 : 204,
    may: ['stranger'],
    no: 'NO_SUCH_INVITATION',
    ask: answering(what),
  })),
  {
    route: 'POST /api/invitations/{id}/revoke',
    ok: 204,
    may: staff,
    no: 'NO_SUCH_INVITATION',
    ask: answering('revoke'),
  },
]

const reading = ['/me', '/users?search=ab', '/rooms', '/rooms/public', '/invitations', '/friends', '/friend-requests']
  .concat('/blocks', '/notifications', '/notifications/unread', '/sessions')
  .map((path): HttpAct => ({ route: `GET /api${path.split('?')[0]!}`, ok: 200, may: signedIn, ask: at(path) }))

const notBlocked: readonly Role[] = signedIn.filter(role => role !== 'blocked')
/** `other` asks to be a friend first, which they cannot ask of one whom they have blocked. */
const asked =
  (what: string) =>
  async ({ node, other, role }: Cell, me: Person | undefined): Promise<Asked> => {
    if (me && notBlocked.includes(role)) await other.does(node, 'PUT', `/friend-requests/${me.id}`)
    return { path: `/friend-requests/${other.id}/${what}` }
  }
const withOther =
  (path: string) =>
  ({ other }: Cell): Asked => ({ path: path.replace('{id}', other.id) })

/** In this order: what one does the next one takes back. */
const people: readonly HttpAct[] = [
  { route: 'GET /api/users/{id}', ok: 200, may: signedIn, ask: withOther('/users/{id}') },
  { route: 'GET /api/people', ok: 200, may: signedIn, ask: withOther('/people?user={id}') },
  { route: 'GET /api/presence', ok: 200, may: signedIn, ask: withOther('/presence?user={id}') },
  { route: 'GET /api/friends/{id}', ok: 200, may: signedIn, ask: withOther('/friends/{id}') },
  { route: 'PUT /api/friend-requests/{id}', ok: 200, may: signedIn, ask: withOther('/friend-requests/{id}') },
  { route: 'DELETE /api/friend-requests/{id}', ok: 200, may: signedIn, ask: withOther('/friend-requests/{id}') },
  {
    route: 'POST /api/friend-requests/{id}/accept',
    ok: 200,
    may: notBlocked,
    no: 'NO_SUCH_REQUEST',
    ask: asked('accept'),
  },
  { route: 'DELETE /api/friends/{id}', ok: 200, may: signedIn, ask: withOther('/friends/{id}') },
  {
    route: 'POST /api/friend-requests/{id}/decline',
    ok: 200,
    may: notBlocked,
    no: 'NO_SUCH_REQUEST',
    ask: asked('decline'),
  },
  {
    route: 'POST /api/direct-rooms',
    ok: 201,
    may: notBlocked,
    no: 'FORBIDDEN',
    ask: ({ other }) => ({ path: '/direct-rooms', body: { user: other.id } }),
  },
  { route: 'PUT /api/blocks/{id}', ok: 204, may: signedIn, ask: withOther('/blocks/{id}') },
  { route: 'DELETE /api/blocks/{id}', ok: 204, may: signedIn, ask: withOther('/blocks/{id}') },
  { route: 'POST /api/notifications/read', ok: 200, may: signedIn, ask: at('/notifications/read', {}) },
  { route: 'POST /api/rooms', ok: 201, may: signedIn, ask: at('/rooms', { name: 'New', visibility: 'private' }) },
]

const admins: readonly HttpAct[] = [
  { route: 'GET /api/admin/connections', ok: 200, ask: at('/admin/connections') },
  { route: 'DELETE /api/admin/connections/{id}', ok: 204, ask: at('/admin/connections/none') },
  { route: 'POST /api/admin/announcements', ok: 201, ask: at('/admin/announcements', { text: 'at noon' }) },
  { route: 'GET /api/admin/audit', ok: 200, ask: at('/admin/audit') },
  {
    route: 'DELETE /api/admin/users/{id}',
    ok: 204,
    ask: async (cell: Cell) => ({ path: `/admin/users/${await newcomer(cell)}` }),
  },
].map(act => ({ may: ['site admin'], no: 'FORBIDDEN', ...act }))

const adminsInRooms: readonly HttpAct[] = [
  {
    route: 'DELETE /api/admin/rooms/{id}',
    ok: 204,
    may: ['site admin'],
    no: 'FORBIDDEN',
    ask: ({ room }) => ({ path: `/admin/rooms/${room}` }),
  },
]

/** By a session that is made for it. */
const anew =
  (path: string, body?: object) =>
  async ({ node }: Cell, me: Person | undefined): Promise<Asked> => ({
    path,
    ...(body && { body }),
    ...(me && { as: await me.again(node) }),
  })
const password = PASSWORD

/** The last ones end what the others need. */
const accounts: readonly HttpAct[] = [
  { route: 'PATCH /api/me', ok: 200, may: signedIn, ask: at('/me', { statusText: 'here' }) },
  {
    route: 'PUT /api/me/password',
    does: 'without the old one',
    ok: 204,
    may: [],
    no: 'BAD_CREDENTIALS',
    ask: at('/me/password', { old: 'what was it', password }),
  },
  { route: 'PUT /api/me/password', ok: 204, may: signedIn, ask: at('/me/password', { old: password, password }) },
  {
    route: 'DELETE /api/sessions/{id}',
    does: 'of somebody else',
    ok: 204,
    may: [],
    no: 'NO_SUCH_SESSION',
    ask: ({ other }) => ({ path: `/sessions/${other.session}` }),
  },
  {
    route: 'DELETE /api/sessions/{id}',
    ok: 204,
    may: signedIn,
    ask: async ({ node }, me) => ({ path: `/sessions/${me ? (await me.again(node)).session : 'x'}` }),
  },
  { route: 'DELETE /api/session', ok: 204, may: signedIn, ask: anew('/session') },
  { route: 'DELETE /api/sessions/others', ok: 204, may: signedIn, ask: anew('/sessions/others') },
  { route: 'DELETE /api/sessions', ok: 204, may: signedIn, ask: anew('/sessions') },
  {
    route: 'POST /api/me/deletion',
    does: 'without the password',
    ok: 204,
    may: [],
    no: 'BAD_CREDENTIALS',
    ask: anew('/me/deletion', { password: 'what was it' }),
  },
  {
    route: 'POST /api/me/deletion',
    ok: 204,
    may: signedIn,
    but: { 'site admin': 'LAST_ADMIN' },
    ask: anew('/me/deletion', { password }),
  },
]

const everybody: readonly Role[] = [...signedIn, 'ended session', 'signed out']
const signing = { name: '', password, keep: 'body' }
const open: readonly HttpAct[] = [
  {
    route: 'POST /api/users',
    ok: 201,
    ask: () => ({ path: '/users', body: { name: `n${randomBytes(8).toString('hex')}`, password } }),
  },
  {
    route: 'POST /api/session',
    ok: 200,
    ask: ({ target }: Cell) => ({ path: '/session', body: { ...signing, name: target.name } }),
  },
  {
    route: 'POST /api/session/refresh',
    ok: 200,
    ask: async ({ node, target }: Cell) => {
      const signed = await call(node, 'POST', '/api/session', { body: { ...signing, name: target.name } })
      return { path: '/session/refresh', body: { refreshToken: signed.body['refreshToken'] } }
    },
  },
  { route: 'GET /.well-known/jwks.json', ok: 200, ask: at('/../.well-known/jwks.json') },
].map(act => ({ may: everybody, open: true, ...act }))

/** Those about rooms are tried in a private and in a public one. */
export const roomActs: readonly HttpAct[] = [...rooms, ...adminsInRooms]
export const otherActs: readonly HttpAct[] = [...open, ...reading, ...people, ...admins, ...accounts]
