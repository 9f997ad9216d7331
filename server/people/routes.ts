import { Type } from 'typebox'
import { PersonSchema, type Person } from '../accounts/index.ts'
import { transaction } from '../database/database.ts'
import { PageOf, PageQuery, Paging, Time, TimePlace, type Api, type Page } from '../http/api.ts'
import type { Presence } from '../ports/presence.ts'
import { introduce, onlineOf, type EventsOptions } from './events.ts'
import { friendsOf, requestsOf, type Dated } from './lists.ts'
import { shown, type Act, type Standing } from './pair.ts'
import { readPair, relate } from './relations.ts'
import { LastSeen, Params } from './schemas.ts'
import { tell } from './telling.ts'

export interface RouteParts extends EventsOptions {
  /** Rights were changed on this node: it is to be told everybody now. */
  readonly hint: () => void
}

export const REQUESTS_PER_MINUTE = 30

const Online = Type.Optional(Type.Boolean({ description: 'Left out where that cannot be told now' }))
const State = Type.Enum(['none', 'requested', 'asked', 'friends'], {
  description: '`requested`: you have asked them; `asked`: they have asked you',
  examples: ['friends'],
})
const Between = Type.Object({ state: State })

const friendPages = new Paging('friends', Type.String())
const requestPages = {
  asked: new Paging('asked', TimePlace),
  requested: new Paging('requested', TimePlace),
}

/** Who of `users` is there; undefined where that cannot be told now. */
const tryOnline = async (presence: Presence, users: readonly string[]): Promise<Set<string> | undefined> => {
  try {
    return (await onlineOf(presence, users)).online
  } catch {
    return undefined
  }
}

const tags = ['friends']

export const friendRoutes = (api: Api, parts: RouteParts): void => {
  friends(api, parts)
  requests(api, parts)
}

/** Does `act`, and when it is committed tells both. */
export const act = async (parts: RouteParts, me: string, them: string, what: Act): Promise<{ state: Standing }> => {
  const { db, signals, hint } = parts
  const { standing, telling, met } = await transaction(db, tx => relate(tx, me, them, what))
  tell(signals, telling)
  if (what === 'block') hint()
  if (met) void introduce(parts, me, them)
  return { state: standing }
}

const friends = (api: Api, parts: RouteParts): void => {
  const { db, presence } = parts
  const FriendSchema = Type.Object({
    person: PersonSchema,
    online: Online,
    lastSeen: LastSeen,
    since: Time('When you became friends, epoch ms'),
  })
  api.get(
    '/friends',
    {
      schema: {
        tags,
        summary: 'List your friends',
        description: 'By name, with who of them is there.',
        querystring: PageQuery,
        response: { 200: PageOf(FriendSchema) },
      },
    },
    async ({ identity, query }) => {
      const rows = await friendsOf(db, identity.user, { after: friendPages.after(query), limit: query.limit })
      const online = await tryOnline(
        presence,
        rows.map(({ person }) => person.id),
      )
      return friendPages.page(
        rows,
        query,
        ({ person, lastSeen, since }) => ({
          person,
          ...(online && { online: online.has(person.id) }),
          ...(lastSeen !== null && { lastSeen }),
          since,
        }),
        ({ nameKey }) => nameKey,
      )
    },
  )
  api.get(
    '/friends/:id',
    {
      schema: {
        tags,
        summary: 'Read how you stand to somebody',
        params: Params,
        response: {
          200: Type.Object({ state: State, blocking: Type.Boolean({ description: 'You have blocked them' }) }),
        },
      },
    },
    async ({ identity, params }) => {
      const pair = await readPair(db, identity.user, params.id)
      return { state: shown(pair), blocking: pair.blocking }
    },
  )
  api.delete(
    '/friends/:id',
    {
      schema: {
        tags,
        summary: 'Remove a friend',
        description: 'Who is no friend stays as they are.',
        params: Params,
        response: { 200: Between },
      },
    },
    ({ identity, params }) => act(parts, identity.user, params.id, 'remove'),
  )
}

export const DatedSchema = Type.Object({ person: PersonSchema, at: Time() })

export const datedPage = (
  rows: readonly Dated[],
  query: PageQuery,
  pages: Paging<typeof TimePlace>,
): Page<{ person: Person; at: number }> =>
  pages.page(
    rows,
    query,
    row => row,
    ({ person, at }) => [at, person.id],
  )

const requests = (api: Api, parts: RouteParts): void => {
  const { db } = parts
  api.get(
    '/friend-requests',
    {
      schema: {
        tags,
        summary: 'List requests for friendship',
        description: 'Those that wait for an answer, the newest first.',
        querystring: Type.Object({
          ...PageQuery.properties,
          direction: Type.Enum(['asked', 'requested'], {
            default: 'asked',
            description: '`asked`: by others of you; `requested`: by you of others',
          }),
        }),
        response: { 200: PageOf(DatedSchema) },
      },
    },
    async ({ identity, query }) => {
      const pages = requestPages[query.direction]
      const rows = await requestsOf(db, identity.user, query.direction, {
        after: pages.after(query),
        limit: query.limit,
      })
      return datedPage(rows, query, pages)
    },
  )
  api.put(
    '/friend-requests/:id',
    {
      config: { errors: ['NO_SUCH_USER', 'FORBIDDEN', 'QUOTA_REACHED'], perMinute: REQUESTS_PER_MINUTE },
      schema: {
        tags,
        summary: 'Ask somebody to be your friend',
        description: 'Where they have asked you, you are friends by it. Whom you have blocked you cannot ask.',
        params: Params,
        response: { 200: Between },
      },
    },
    ({ identity, params }) => act(parts, identity.user, params.id, 'request'),
  )
  const answers = [
    ['post', '/friend-requests/:id/accept', 'accept', 'Accept the request of somebody'],
    ['post', '/friend-requests/:id/decline', 'decline', 'Decline the request of somebody'],
    ['delete', '/friend-requests/:id', 'cancel', 'Take back your request'],
  ] as const
  for (const [method, url, what, summary] of answers) {
    api[method](
      url,
      {
        config: { errors: what === 'accept' ? ['NO_SUCH_REQUEST', 'QUOTA_REACHED'] : ['NO_SUCH_REQUEST'] },
        schema: { tags, summary, params: Params, response: { 200: Between } },
      },
      ({ identity, params }) => act(parts, identity.user, params.id, what),
    )
  }
}
