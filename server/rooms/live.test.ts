import t from 'tap'
import { testDatabase } from '../testkit/database.ts'
import { startNode } from '../testkit/node.ts'
import type { Probe } from '../testkit/probe.ts'
import { person, productEnv, type Door, type Json, type Person } from '../testkit/product.ts'
import { redisUrl } from '../testkit/services.ts'

t.setTimeout(60_000)

/** Two nodes that share what a fleet shares, but for their rooms' logs. */
const database = await testDatabase(t, 'postgres')
const env = { ...productEnv, ...database.env, REDIS_URL: await redisUrl(t) }
const nodes = [await startNode(t, env), await startNode(t, env)] as const
const [one, two] = nodes

type Item = Readonly<Record<string, { readonly id: string } & string>>

const invitationsOf = async (who: Person, door: Door): Promise<string[]> => {
  const { items } = await who.does(door, 'GET', '/invitations')
  return (items as readonly Item[]).map(({ id }) => `invitation ${id}`)
}

/** The lists of somebody as HTTP has them: a line for each item. */
const listed = async (who: Person, door: Door): Promise<string[]> => {
  const all = async (path: string, line: (item: Item) => string): Promise<string[]> => {
    const { items } = await who.does(door, 'GET', path)
    return (items as readonly Item[]).map(line)
  }
  const { unread } = await who.does(door, 'GET', '/notifications/unread')
  return [
    ...(await all('/rooms', ({ id, role }) => `room ${id} ${role}`)),
    ...(await invitationsOf(who, door)),
    ...(await all('/friends', ({ person }) => `${person!.id} friends`)),
    ...(await all('/friend-requests?direction=asked', ({ person }) => `${person!.id} asked`)),
    ...(await all('/friend-requests?direction=requested', ({ person }) => `${person!.id} requested`)),
    ...(await all('/blocks', ({ person }) => `blocked ${person!.id}`)),
    `unread ${String(unread)}`,
  ].toSorted()
}

/** A device that keeps its lists by what it is told, from an empty beginning. It reads one again where it is told to alone. */
class Device {
  readonly #lists = new Map<string, string>([['unread', 'unread 0']])
  readonly #probe: Probe
  readonly #invitations: () => Promise<readonly string[]>

  constructor(probe: Probe, invitations: () => Promise<readonly string[]>) {
    this.#probe = probe
    this.#invitations = invitations
  }

  /** What its lists are when it is told that its user has or has not blocked `barrier`: what was before has come. */
  async until(barrier: string, blocked: boolean): Promise<string[]> {
    await this.#told('block', { user: barrier, blocked })
    return [...this.#lists.values()].filter(line => !line.includes(barrier)).toSorted()
  }

  /** Resolves when it is told that its user owns `room`. */
  owns(room: string): Promise<void> {
    return this.#told('membership', { room, role: 'owner' })
  }

  /** Hears all that it is told until an event of this type says just this. */
  async #told(type: string, what: Json): Promise<void> {
    for (;;) {
      const { headers, body } = await this.#probe.next('MESSAGE')
      const told = JSON.parse(body.toString()) as Json
      this.#hear(headers['type'] ?? '', told)
      if (headers['type'] === type && Object.entries(what).every(([name, value]) => told[name] === value)) return
      if (headers['type'] === 'block') await this.#readInvitations()
    }
  }

  async #readInvitations(): Promise<void> {
    for (const key of this.#lists.keys()) if (key.startsWith('invitation')) this.#lists.delete(key)
    for (const line of await this.#invitations()) this.#lists.set(line, line)
  }

  #hear(type: string, { id, user, room, role, state, blocked, unread }: Json): void {
    const set = (key: string, line: string, there: boolean): void => {
      if (there) this.#lists.set(key, line)
      else this.#lists.delete(key)
    }
    if (type === 'membership') set(`room ${String(room)}`, `room ${String(room)} ${String(role)}`, role !== 'none')
    if (type === 'friendship') set(`friend ${String(user)}`, `${String(user)} ${String(state)}`, state !== 'none')
    if (type === 'block') set(`block ${String(user)}`, `blocked ${String(user)}`, blocked === true)
    if (type === 'notification') set('unread', `unread ${String(unread)}`, true)
    // Of an invitation both sides are told: whoever it is for heard of it first when it was sent.
    const sent = state === 'pending' || this.#lists.has(`invitation ${String(id)}`)
    if (type === 'invitation' && sent) set(`invitation ${String(id)}`, `invitation ${String(id)}`, state === 'pending')
  }
}

const [ann, bob, cem, admin] = [
  await person(one, 'ann'),
  await person(two, 'bob'),
  await person(two, 'cem'),
  await person(one, 'admin'),
]
const { db } = database
await db.updateTable('users').set({ is_admin: true }).where('id', '=', admin.id).execute()
const everybody = [ann, bob, cem]
const devices = new Map<Person, Device[]>()
for (const who of everybody) {
  const theirs: Device[] = []
  for (const node of nodes) {
    const probe = await (await who.again(node)).connect(t, 'tcp', node)
    await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
    theirs.push(new Device(probe, () => invitationsOf(who, node)))
  }
  devices.set(who, theirs)
}
const barrier = await person(one, 'barrier')
let blocked = false

/** That all devices have the lists of their people right, once all is told that `node` has told. */
const right = async (what: string, node: Door): Promise<void> => {
  blocked = !blocked
  for (const who of everybody) {
    await who.does(node, blocked ? 'PUT' : 'DELETE', `/blocks/${barrier.id}`)
    const lists = (await listed(who, node)).filter(line => !line.includes(barrier.id))
    for (const [i, device] of devices.get(who)!.entries()) {
      t.same(await device.until(barrier.id, blocked), lists, `${what}: device ${i} of ${who.name}`)
    }
  }
}

const roomOf = async (who: Person, node: Door, visibility = 'public'): Promise<string> =>
  String((await who.does(node, 'POST', '/rooms', { name: 'a room', visibility }))['id'])
const inviteTo = async (room: string, by: Person, to: Person, node: Door): Promise<string> => {
  const { invitations } = await by.does(node, 'POST', `/rooms/${room}/invitations`, { users: [to.id] })
  return (invitations as readonly { id: string }[])[0]!.id
}

void t.test(
  '[S-69] rooms: every device keeps the list right by events alone, whoever does what on which node',
  async () => {
    const room = await roomOf(ann, one)
    await right('made', one)
    await bob.does(two, 'PUT', `/rooms/${room}/membership`)
    await right('joined', two)
    await bob.does(one, 'DELETE', `/rooms/${room}/membership`)
    await right('left', one)
    const { token } = await ann.does(one, 'POST', `/rooms/${room}/links`, {})
    await bob.does(two, 'POST', '/links/join', { token })
    await right('joined by a link', two)
    await ann.does(two, 'PUT', `/rooms/${room}/members/${bob.id}/role`, { role: 'admin' })
    await right('made an admin', two)
    await ann.does(one, 'PUT', `/rooms/${room}/members/${bob.id}/role`, { role: 'owner' })
    await right('handed on', one)
    await bob.does(two, 'PUT', `/rooms/${room}/members/${ann.id}/role`, { role: 'member' })
    await right('made a member again', two)
    await bob.does(one, 'DELETE', `/rooms/${room}/members/${ann.id}`)
    await right('kicked', one)
    await ann.does(two, 'PUT', `/rooms/${room}/membership`)
    await bob.does(two, 'PUT', `/rooms/${room}/bans/${ann.id}`)
    await right('banned', two)
    await ann.does(one, 'POST', '/direct-rooms', { user: cem.id })
    await right('a direct room', one)
    await bob.does(one, 'DELETE', `/rooms/${room}`)
    await right('deleted', one)
    const other = await roomOf(cem, two, 'private')
    await admin.does(two, 'DELETE', `/admin/rooms/${other}`)
    await right('deleted by an admin', two)
  },
)

void t.test('[S-69] invitations: accepted, declined, revoked, refused by a ban, gone with the room', async () => {
  const room = await roomOf(ann, one)
  const first = await inviteTo(room, ann, bob, two)
  await right('asked', two)
  await bob.does(one, 'POST', `/invitations/${first}/accept`)
  await right('accepted', one)
  await cem.does(one, 'POST', `/invitations/${await inviteTo(room, bob, cem, one)}/decline`)
  await right('declined', one)
  await bob.does(two, 'POST', `/invitations/${await inviteTo(room, bob, cem, two)}/revoke`)
  await right('revoked', two)
  await inviteTo(room, bob, cem, one)
  await ann.does(one, 'DELETE', `/rooms/${room}/members/${bob.id}`)
  await right('whoever asked is gone', one)
  await inviteTo(room, ann, cem, two)
  await right('asked again', two)
  await ann.does(two, 'DELETE', `/rooms/${room}`)
  await right('the room is gone', two)
})

void t.test('[S-69] people: asked, accepted, removed, blocked, and whose account is gone', async () => {
  const gone = await person(two, 'gone')
  await ann.does(one, 'PUT', `/friend-requests/${bob.id}`)
  await right('asked', one)
  await bob.does(two, 'POST', `/friend-requests/${ann.id}/accept`)
  await right('friends', two)
  await ann.does(two, 'POST', '/notifications/read', {})
  await right('read', two)
  await ann.does(one, 'DELETE', `/friends/${bob.id}`)
  await right('removed', one)
  await bob.does(one, 'PUT', `/friend-requests/${ann.id}`)
  await ann.does(one, 'PUT', `/blocks/${bob.id}`)
  await right('blocked', one)
  await ann.does(two, 'DELETE', `/blocks/${bob.id}`)
  await right('unblocked', two)
  const room = await roomOf(gone, two)
  await cem.does(two, 'PUT', `/rooms/${room}/membership`)
  await inviteTo(room, gone, bob, two)
  await gone.does(two, 'PUT', `/friend-requests/${ann.id}`)
  await cem.does(two, 'PUT', `/friend-requests/${gone.id}`)
  await gone.does(two, 'PUT', `/friend-requests/${cem.id}`)
  await bob.does(two, 'PUT', `/blocks/${gone.id}`)
  await right('before', two)
  await gone.does(two, 'POST', '/me/deletion', { password: 'correct horse' })
  // Its rooms are left afterwards, which ends with this.
  for (const device of devices.get(cem)!) await device.owns(room)
  await right('an account is gone', two)
})
