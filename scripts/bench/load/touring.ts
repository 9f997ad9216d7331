import { ask, call, signInAll, type Account } from './api.ts'
import { Client, type Endpoint } from './client.ts'

export interface TouringPlan {
  readonly endpoint: Endpoint
  /** An admin and owner of `great`, who has many rooms; somebody else; somebody whose account is deleted. */
  readonly accounts: readonly [admin: Account, other: Account, leaver: Account]
  /** A room of many. */
  readonly great: string
  /** Rooms that the admin is a member of. */
  readonly rooms: readonly string[]
}

export interface TouringResult {
  readonly requests: number
  /** What was not answered as it is to be: method, path, and status. */
  readonly refused: readonly string[]
}

/** Lists with a second page. */
const paged = (great: string): string[] => [
  '/rooms',
  '/rooms/public',
  '/rooms/public?search=room%201',
  '/users?search=user00',
  '/friends',
  '/friend-requests?direction=asked',
  '/friend-requests?direction=requested',
  '/blocks',
  '/notifications',
  '/sessions',
  '/invitations',
  `/rooms/${great}/members`,
  `/rooms/${great}/bans`,
  `/rooms/${great}/invitations`,
  `/rooms/${great}/links`,
  '/admin/connections',
  '/admin/audit',
]

/** Does once, over HTTP and STOMP, what people do most, so that every statement that serves it is given. */
export const touring = async ({ endpoint, accounts, great, rooms }: TouringPlan): Promise<TouringResult> => {
  const [admin, other, leaver] = await signInAll(endpoint, accounts)
  const refused: string[] = []
  let requests = 0
  const go = async (token: string, method: string, path: string, body?: object) => {
    requests++
    const answer = await call(endpoint, method, path, { token, ...(body && { body }) })
    if (answer.status >= 400) refused.push(`${method} ${path}: ${answer.status}`)
    return answer.body
  }
  const [mine, theirs] = [admin!.token, other!.token]
  for (const path of paged(great)) {
    const question = path.includes('?') ? '&' : '?'
    const { next } = await go(mine, 'GET', `${path}${question}limit=5`)
    if (typeof next === 'string') await go(mine, 'GET', `${path}${question}limit=5&cursor=${next}`)
  }
  const reads = ['/me', '/notifications/unread', `/rooms/${great}`, `/friends/${other!.user}`, `/users/${other!.user}`]
  for (const path of [...reads, `/presence?user=${other!.user}&user=${admin!.user}`]) await go(mine, 'GET', path)

  const client = await Client.connect({ ...endpoint, passcode: mine })
  await client.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await Promise.all(rooms.map((room, i) => client.request('SUBSCRIBE', { id: `s${i}`, destination: `/topic/${room}` })))
  await Promise.all(rooms.map(room => client.request('SEND', { destination: `/topic/${room}` }, 'hello')))

  const room = (await go(mine, 'POST', '/rooms', { name: 'A new room', visibility: 'private', invite: [other!.user] }))[
    'id'
  ]
  const { items } = await go(theirs, 'GET', '/invitations')
  const [invitation] = items as { id: string }[]
  await go(theirs, 'POST', `/invitations/${invitation!.id}/accept`)
  await go(mine, 'PUT', `/rooms/${String(room)}/members/${other!.user}/role`, { role: 'admin' })
  await go(mine, 'DELETE', `/rooms/${String(room)}/members/${other!.user}`)
  await go(mine, 'PUT', `/rooms/${String(room)}/bans/${other!.user}`)
  await go(mine, 'PATCH', `/rooms/${String(room)}`, { name: 'Another name', visibility: 'public' })
  await go(mine, 'DELETE', `/rooms/${String(room)}/bans/${other!.user}`)
  await go(theirs, 'PUT', `/rooms/${String(room)}/membership`)
  await go(theirs, 'DELETE', `/rooms/${String(room)}/membership`)
  const { token } = await go(mine, 'POST', `/rooms/${String(room)}/links`, {})
  await go(theirs, 'POST', '/links/join', { token })
  await go(mine, 'DELETE', `/rooms/${String(room)}`)
  await go(theirs, 'DELETE', `/friends/${leaver!.user}`)
  await go(theirs, 'PUT', `/friend-requests/${leaver!.user}`)
  await go(leaver!.token, 'POST', `/friend-requests/${other!.user}/accept`)
  await go(theirs, 'POST', '/direct-rooms', { user: leaver!.user })
  await go(theirs, 'PUT', `/blocks/${leaver!.user}`)
  await go(theirs, 'DELETE', `/blocks/${leaver!.user}`)
  await go(mine, 'POST', '/notifications/read', {})
  await go(mine, 'PATCH', '/me', { statusText: 'here' })
  await go(leaver!.token, 'POST', '/me/deletion', { password: accounts[2].password })
  client.end()
  await ask(endpoint, 'DELETE', '/session', { token: mine })
  return { requests, refused }
}
