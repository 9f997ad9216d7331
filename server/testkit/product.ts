import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { freshPostgres } from './database.ts'
import { Probe, type Received, type TransportName } from './probe.ts'
import { kafkaBrokers, ownRedis, postgresUrl } from './services.ts'

export type Json = Readonly<Record<string, unknown>>
/** Where HTTP and STOMP are to be had. */
export interface Door {
  readonly port: number
  readonly stompPort: number | undefined
}

/**
 * What several processes of the product share: the services that `make test` has started, and a database and a Redis of their own (who has
 * gone is told once, by whichever node on it finds out).
 */
export const sharedServices = async (t: Test): Promise<{ brokers: string; env: Readonly<Record<string, string>> }> => {
  const [brokers, postgres, redis] = await Promise.all([kafkaBrokers(t), postgresUrl(t), ownRedis(t)])
  return { brokers, env: { ...productEnv, DATABASE_URL: await freshPostgres(t, postgres), REDIS_URL: redis.url } }
}

/** The product with limits that no test reaches by accident. */
export const productEnv = {
  ACCESS: 'accounts',
  HOST: '127.0.0.1',
  SESSION_SECRET: randomBytes(32).toString('hex'),
  SIGN_UPS_PER_HOUR: '10000',
  ROOMS_PER_HOUR: '10000',
  STRANGERS_PER_HOUR: '10000',
  INVITATIONS_PER_HOUR: '10000',
  REQUESTS_PER_USER: '100000',
  REQUESTS_PER_ADDRESS: '100000',
}

export interface Answer {
  readonly status: number
  /** What it says; never undefined, so that tests can look into it. */
  readonly body: Json
}

/** Asks over HTTP, whatever the answer is. */
export const call = async (
  { port }: Pick<Door, 'port'>,
  method: string,
  path: string,
  { token, body }: { readonly token?: string | undefined; readonly body?: object | undefined } = {},
): Promise<Answer> => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text.startsWith('{') ? (JSON.parse(text) as Json) : {} }
}

/** Asks, and rejects where the answer is an error. */
const ask = async (...asked: Parameters<typeof call>): Promise<Json> => {
  const { status, body } = await call(...asked)
  if (status >= 400) throw new Error(`${asked[1]} ${asked[2]}: ${status} ${JSON.stringify(body)}`)
  return body
}

export const PASSWORD = 'correct horse'

/** Somebody who has signed up and in. */
export class Person {
  readonly id: string
  readonly name: string
  readonly token: string
  readonly session: string

  constructor(id: string, name: string, signed: Json) {
    this.id = id
    this.name = name
    this.token = signed['accessToken'] as string
    this.session = signed['session'] as string
  }

  /** Does something below /api, which must succeed. */
  does(door: Door, method: string, path: string, body?: object): Promise<Json> {
    return ask(door, method, `/api${path}`, { token: this.token, body })
  }

  /** The same, whatever the answer is. */
  tries(door: Door, method: string, path: string, body?: object): Promise<Answer> {
    return call(door, method, `/api${path}`, { token: this.token, body })
  }

  /** The same person by another session. */
  async again(door: Door): Promise<Person> {
    return new Person(this.id, this.name, await signIn(door, this.name))
  }

  connect(t: Test, transport: TransportName, door: Door): Promise<Probe> {
    return Probe.connect(t, transport, door, { passcode: this.token })
  }
}

const signIn = (door: Door, name: string): Promise<Json> =>
  ask(door, 'POST', '/api/session', { body: { name, password: PASSWORD, keep: 'body' } })

/** Signs somebody up whose name begins so, and in. */
export const person = async (door: Door, what: string): Promise<Person> => {
  const name = `${what}.${randomBytes(6).toString('hex')}`
  const { id } = await ask(door, 'POST', '/api/users', { body: { name, password: PASSWORD } })
  return new Person(id as string, name, await signIn(door, name))
}

/** A room of `owner` with these members, whichever way they come into it. Resolves with its id. */
export const makeRoom = async (
  door: Door,
  owner: Person,
  visibility: 'public' | 'private',
  members: readonly Person[] = [],
): Promise<string> => {
  const room = { name: 'a room', visibility, invite: members.map(({ id }) => id) }
  const { id } = await owner.does(door, 'POST', '/rooms', room)
  for (const member of members) await accept(door, member, id as string)
  return id as string
}

/** Accepts the invitation to `room`. */
const accept = async (door: Door, invited: Person, room: string): Promise<void> => {
  const { items } = await invited.does(door, 'GET', '/invitations')
  const found = (items as { id: string; room: { id: string } }[]).find(each => each.room.id === room)
  await invited.does(door, 'POST', `/invitations/${found!.id}/accept`)
}

export const to = (room: string) => ({ destination: `/topic/${room}` })

const isSaid = ({ headers }: Received): boolean => headers['destination']!.startsWith('/topic/') && !headers['type']

/** What people said in rooms, up to and with the barrier. */
export const said = async (probe: Probe, last: string): Promise<string[]> => {
  const bodies: string[] = []
  while (bodies.at(-1) !== last) {
    const frame = await probe.next('MESSAGE')
    if (isSaid(frame)) bodies.push(frame.body.toString())
  }
  return bodies
}

/** The room that the next `removed` on the user's own queue is about. */
export const removal = async (probe: Probe): Promise<unknown> => {
  const told = await probe.take(({ headers }) => headers['type'] === 'removed', 'removed')
  return (JSON.parse(told.body.toString()) as { room: string }).room
}

/** What a room's log says of the room, as the next such record has it; with `event`: the next that says that. */
export const system = async (probe: Probe, event?: string): Promise<Json> => {
  for (;;) {
    const told = await probe.take(({ headers }) => headers['type'] === 'system', 'a system record')
    const said = JSON.parse(told.body.toString()) as Json
    if (event === undefined || said['event'] === event) return said
  }
}
