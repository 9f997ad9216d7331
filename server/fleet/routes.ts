import { Type } from 'typebox'
import { deleteAccount, PersonSchema, readAccount, readPeople, type Forget } from '../accounts/index.ts'
import { transaction, type Db } from '../database/database.ts'
import { fail } from '../errors.ts'
import { createOnce, Id, nothing, PageOf, PageQuery, Paging, Time, type Api } from '../http/api.ts'
import { tell } from '../people/index.ts'
import { PRESENCE_AT_ONCE, type Client, type Presence } from '../ports/presence.ts'
import type { Signals } from '../ports/signals.ts'
import { removeRoom } from '../rooms/index.ts'
import { actsOf, writeDown } from './audit.ts'
import { announce, disconnect } from './orders.ts'

export interface RouteParts {
  readonly db: Db
  readonly presence: Presence
  readonly signals: Signals
  /** What is done when an account is deleted, whoever does it. */
  readonly forget: readonly Forget[]
  /** Rights were changed on this node: it is to be told everybody now. */
  readonly hint: () => void
}

const tags = ['admin']
const Connection = Type.String({ minLength: 1, maxLength: 64, examples: ['3f0a0b1e-6c52-4b0e-9b8e-2f1d7c5a9e10'] })
const TEXT_MOST = 1_000
/** What is asked of nodes is fleeting: who is written down in the audit as asked may not have been reached. */
const AT_MOST_ONCE =
  'Refused with `PRESENCE_UNAVAILABLE` while nodes cannot hear each other; a node that is cut off from the others at just that moment misses it.'

const connectionPages = new Paging('connections', Type.Tuple([Type.String(), Type.String()]))
const auditPages = new Paging('audit', Type.String({ pattern: String.raw`^\d{1,18}$` }))

/** Rejects with FORBIDDEN. */
const demandAdmin = async (db: Db, user: string): Promise<void> => {
  const { isAdmin } = await readAccount(db, user)
  if (!isAdmin) throw fail('FORBIDDEN', 'this is for admins')
}

export const fleetRoutes = (api: Api, parts: RouteParts): void => {
  connections(api, parts)
  announcements(api, parts)
  removals(api, parts)
  audit(api, parts)
}

const connections = (api: Api, { db, presence, signals }: RouteParts): void => {
  const ConnectionSchema = Type.Object({
    id: Connection,
    user: Id,
    person: Type.Optional(PersonSchema),
    session: Type.String({ description: 'By which it was signed in' }),
    node: Type.String({ examples: ['chat-1:8080'] }),
    address: Type.String({ examples: ['203.0.113.7'] }),
    since: Time(),
    rooms: Type.Array(Type.String(), { description: 'Those that it is subscribed to, 100 at most' }),
  })
  api.get(
    '/admin/connections',
    {
      config: { errors: ['FORBIDDEN', 'PRESENCE_UNAVAILABLE'] },
      schema: {
        tags,
        summary: 'List everybody who is connected',
        description: 'Over all nodes, by user.',
        querystring: PageQuery,
        response: { 200: PageOf(ConnectionSchema) },
      },
    },
    async ({ identity, query }) => {
      await demandAdmin(db, identity.user)
      const [user, connection] = connectionPages.after(query) ?? []
      const after = user === undefined ? undefined : { user, connection: connection! }
      const clients = await presence.list(after, query.limit + 1)
      const people = await readPeople(
        db,
        clients.map(client => client.user),
      )
      return connectionPages.page(
        clients,
        query,
        ({ connection: id, device: session, user, rooms, ...rest }) => {
          const person = people.get(user)
          return { id, user, ...(person && { person }), session, ...rest, rooms: [...rooms] }
        },
        client => [client.user, client.connection],
      )
    },
  )
  api.delete(
    '/admin/connections/:id',
    {
      config: { errors: ['FORBIDDEN', 'PRESENCE_UNAVAILABLE'] },
      schema: {
        tags,
        summary: 'End a connection',
        description: `On whichever node it is. ${AT_MOST_ONCE} Whoever it was may connect again.`,
        params: Type.Object({ id: Connection }),
        response: { 204: nothing('It is asked of all nodes') },
      },
    },
    async ({ identity, params: { id: connection }, ip }, reply) => {
      await demandAdmin(db, identity.user)
      const client = await find(presence, connection)
      const detail = { connection, node: client?.node, device: client && (await deviceOf(db, client)) }
      const whose = client && { user: client.user }
      await writeDown(db, { actor: identity.user, act: 'disconnect', ...whose, address: ip, detail })
      disconnect(signals, connection)
      return reply.code(204).send(null)
    },
  )
}

/** Undefined: nobody knows of it, which may be because it has only just come. Rejects with PRESENCE_UNAVAILABLE. */
const find = async (presence: Presence, connection: string): Promise<Client | undefined> => {
  for (let last: Client | undefined; ;) {
    const page = await presence.list(last, PRESENCE_AT_ONCE)
    const found = page.find(client => client.connection === connection)
    if (found || page.length < PRESENCE_AT_ONCE) return found
    last = page.at(-1)
  }
}

/** What the device is called; undefined where it is signed out by now. */
const deviceOf = async (db: Db, { device: session }: Client): Promise<string | undefined> => {
  const row = await db.selectFrom('sessions').select('device').where('id', '=', session).executeTakeFirst()
  return row?.device
}

const announcements = (api: Api, { db, presence, signals }: RouteParts): void => {
  api.post(
    '/admin/announcements',
    {
      config: { creates: true, errors: ['FORBIDDEN', 'PRESENCE_UNAVAILABLE'] },
      schema: {
        tags,
        summary: 'Tell everybody who is connected',
        description: `On all nodes. ${AT_MOST_ONCE}`,
        body: Type.Object({
          text: Type.String({ minLength: 1, maxLength: TEXT_MOST, examples: ['The server restarts at noon.'] }),
        }),
        response: { 201: Type.Object({ text: Type.String() }) },
      },
    },
    async (request, reply) => {
      const { identity, ip, body } = request
      await demandAdmin(db, identity.user)
      // Rejects where nodes do not hear each other.
      await presence.of([])
      let first = false
      const said = await createOnce(db, {
        request,
        reply,
        scope: identity.user,
        same: body,
        work: async tx => {
          first = true
          await writeDown(tx, { actor: identity.user, act: 'announce', address: ip, detail: { text: body.text } })
          return { text: body.text }
        },
      })
      if (first) announce(signals, said.text)
      return said
    },
  )
}

const removals = (api: Api, { db, signals, forget, hint }: RouteParts): void => {
  const params = Type.Object({ id: Id })
  api.delete(
    '/admin/users/:id',
    {
      config: { errors: ['FORBIDDEN', 'NO_SUCH_USER', 'LAST_ADMIN'] },
      schema: {
        tags,
        summary: 'Delete an account',
        description: 'As its holder would: their sessions end, and what is known of them is removed.',
        params,
        response: { 204: nothing('The account is gone') },
      },
    },
    async ({ identity, params: { id: user }, ip }, reply) => {
      await demandAdmin(db, identity.user)
      const note: Forget = tx => writeDown(tx, { actor: identity.user, act: 'delete user', user, address: ip })
      const { telling } = await deleteAccount(db, user, [...forget, note])
      tell(signals, telling)
      hint()
      return reply.code(204).send(null)
    },
  )
  api.delete(
    '/admin/rooms/:id',
    {
      config: { errors: ['FORBIDDEN', 'NO_SUCH_ROOM'] },
      schema: {
        tags,
        summary: 'Delete a room',
        description: 'With all that was said there.',
        params,
        response: { 204: nothing('The room is gone') },
      },
    },
    async ({ identity, params: { id: room }, ip }, reply) => {
      await demandAdmin(db, identity.user)
      const telling = await transaction(db, async tx => {
        await writeDown(tx, { actor: identity.user, act: 'delete room', room, address: ip })
        return removeRoom(tx, room)
      })
      tell(signals, telling)
      hint()
      return reply.code(204).send(null)
    },
  )
}

const audit = (api: Api, { db }: RouteParts): void => {
  const ActSchema = Type.Object({
    id: Type.String({ examples: ['17'] }),
    at: Time(),
    actor: Id,
    act: Type.String({ examples: ['disconnect'] }),
    user: Type.Optional(Id),
    room: Type.Optional(Id),
    address: Type.String(),
    detail: Type.Object({}, { additionalProperties: true }),
  })
  api.get(
    '/admin/audit',
    {
      config: { errors: ['FORBIDDEN'] },
      schema: {
        tags,
        summary: 'List what admins did',
        description: 'The last first.',
        querystring: PageQuery,
        response: { 200: PageOf(ActSchema) },
      },
    },
    async ({ identity, query }) => {
      await demandAdmin(db, identity.user)
      const before = auditPages.after(query)
      const rows = await actsOf(db, { before: before === undefined ? undefined : BigInt(before), limit: query.limit })
      return auditPages.page(
        rows,
        query,
        ({ id, at, actor_id: actor, act, user_id: user, room_id: room, address, detail }) => ({
          id: String(id),
          at,
          actor,
          act,
          ...(user !== null && { user }),
          ...(room !== null && { room }),
          address,
          detail,
        }),
        ({ id }) => String(id),
      )
    },
  )
}
