import { ask, call, signInAll, type Account, type Answer, type SignedIn } from './api.ts'
import { Client, headerOf, type Endpoint } from './client.ts'

export interface TouringPlan {
  readonly endpoint: Endpoint
  /** An admin and owner of `great`, who has many rooms; somebody else; somebody whose account is deleted. */
  readonly accounts: readonly [admin: Account, other: Account, leaver: Account]
  /** A room of many. */
  readonly great: string
  /** Rooms that the admin is a member of, and the name of another member. */
  readonly rooms: readonly string[]
  readonly mentioned: string
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

/** Asks, and keeps count of what was refused. */
class Asking {
  requests = 0
  readonly refused: string[] = []
  readonly #endpoint: Endpoint

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint
  }

  async go(token: string, method: string, path: string, body?: object): Promise<Answer['body']> {
    this.requests++
    const answer = await call(this.#endpoint, method, path, { token, ...(body && { body }) })
    if (answer.status >= 400) this.refused.push(`${method} ${path}: ${answer.status}`)
    return answer.body
  }
}

interface People {
  readonly admin: SignedIn
  readonly other: SignedIn
  readonly leaver: SignedIn
}

const reading = async (asking: Asking, great: string, { admin, other }: People): Promise<void> => {
  for (const path of paged(great)) {
    const first = `${path}${path.includes('?') ? '&' : '?'}limit=5`
    const { next } = await asking.go(admin.token, 'GET', first)
    if (typeof next === 'string') await asking.go(admin.token, 'GET', `${first}&cursor=${next}`)
  }
  const reads = ['/me', '/notifications/unread', `/rooms/${great}`, `/friends/${other.user}`, `/users/${other.user}`]
  for (const path of [...reads, `/presence?user=${other.user}&user=${admin.user}`]) {
    await asking.go(admin.token, 'GET', path)
  }
}

/** Writes in each room, changes and reads what was written there, and waits until the list of rooms knows of it. */
const chatting = async (
  asking: Asking,
  endpoint: Endpoint,
  { token }: SignedIn,
  { rooms, mentioned }: TouringPlan,
): Promise<Client> => {
  const client = await Client.connect({ ...endpoint, passcode: token })
  await client.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await Promise.all(rooms.map((room, i) => client.request('SUBSCRIBE', { id: `s${i}`, destination: `/topic/${room}` })))
  const begun = Date.now()
  const send = async (room: string, body: string, headers = {}): Promise<string> =>
    headerOf(await client.request('SEND', { destination: `/topic/${room}`, ...headers }, body), 'message-id')!
  await Promise.all(
    rooms.map(async room => {
      const message = await send(room, `hello @${mentioned}`)
      await send(room, 'hello again', { type: 'edit', ref: message })
      await send(room, '👍', { type: 'reaction', ref: message })
      await send(room, '', { type: 'delete', ref: await send(room, 'oh') })
      await asking.go(token, 'POST', `/rooms/${room}/read`, { message })
    }),
  )
  for (const room of rooms) {
    const copied = async (): Promise<boolean> => {
      const { lastMessageAt } = await ask(endpoint, 'GET', `/rooms/${room}`, { token })
      return (lastMessageAt as number) >= begun
    }
    while (!(await copied()));
  }
  return client
}

const inRoom = async (asking: Asking, { admin, other }: People): Promise<void> => {
  const [mine, theirs] = [admin.token, other.token]
  const wanted = { name: 'A new room', visibility: 'private', invite: [other.user] }
  const { id } = await asking.go(mine, 'POST', '/rooms', wanted)
  const room = `/rooms/${id as string}`
  const { items } = await asking.go(theirs, 'GET', '/invitations')
  const [invitation] = items as { id: string }[]
  await asking.go(theirs, 'POST', `/invitations/${invitation!.id}/accept`)
  await asking.go(mine, 'PUT', `${room}/members/${other.user}/role`, { role: 'admin' })
  await asking.go(mine, 'DELETE', `${room}/members/${other.user}`)
  await asking.go(mine, 'PUT', `${room}/bans/${other.user}`)
  await asking.go(mine, 'PATCH', room, { name: 'Another name', visibility: 'public' })
  await asking.go(mine, 'DELETE', `${room}/bans/${other.user}`)
  await asking.go(theirs, 'PUT', `${room}/membership`)
  await asking.go(theirs, 'DELETE', `${room}/membership`)
  const { token } = await asking.go(mine, 'POST', `${room}/links`, {})
  await asking.go(theirs, 'POST', '/links/join', { token })
  await asking.go(mine, 'DELETE', room)
}

const betweenPeople = async (asking: Asking, { other, leaver }: People): Promise<void> => {
  const theirs = other.token
  await asking.go(theirs, 'DELETE', `/friends/${leaver.user}`)
  await asking.go(theirs, 'PUT', `/friend-requests/${leaver.user}`)
  await asking.go(leaver.token, 'POST', `/friend-requests/${other.user}/accept`)
  await asking.go(theirs, 'POST', '/direct-rooms', { user: leaver.user })
  await asking.go(theirs, 'PUT', `/blocks/${leaver.user}`)
  await asking.go(theirs, 'DELETE', `/blocks/${leaver.user}`)
}

/** Does once, over HTTP and STOMP, what people do most, so that every statement that serves it is given. */
export const touring = async (plan: TouringPlan): Promise<TouringResult> => {
  const { endpoint, accounts, great } = plan
  const [admin, other, leaver] = await signInAll(endpoint, accounts)
  const people = { admin: admin!, other: other!, leaver: leaver! }
  const asking = new Asking(endpoint)
  await reading(asking, great, people)
  const client = await chatting(asking, endpoint, admin!, plan)
  await inRoom(asking, people)
  await betweenPeople(asking, people)
  await asking.go(admin!.token, 'POST', '/notifications/read', {})
  await asking.go(admin!.token, 'PATCH', '/me', { statusText: 'here' })
  await asking.go(leaver!.token, 'POST', '/me/deletion', { password: accounts[2].password })
  client.end()
  await ask(endpoint, 'DELETE', '/session', { token: admin!.token })
  return { requests: asking.requests, refused: asking.refused }
}
