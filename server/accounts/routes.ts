import { Type } from 'typebox'
import type { Db } from '../database/database.ts'
import type { Telling } from '../people/index.ts'
import { createOnce, Id, nothing, PageOf, PageQuery, Paging, type Api } from '../http/api.ts'
import { changePassword, closeAccount, type Forget } from './closing.ts'
import type { Keys } from './keys.ts'
import { readName } from './names.ts'
import { checkPassword } from './passwords.ts'
import { readAccount, readPeople, readPerson, searchPeople, updateProfile } from './profile.ts'
import {
  AccountSchema,
  GivenPassword,
  NewDisplayName,
  NewName,
  NewPassword,
  NewStatusText,
  PersonSchema,
} from './schemas.ts'
import { forgetToken } from './refresh-cookie.ts'
import { signUp } from './sign-up.ts'
import type { SignInParts } from './sign-in.ts'
import type { Watch } from './watch.ts'

export interface RouteParts extends SignInParts {
  readonly db: Db
  readonly watch: Watch
  readonly forget: readonly Forget[]
  readonly tell: (telling: readonly Telling[]) => void
}

const SEARCHES_PER_MINUTE = 60
const PEOPLE_MOST = 100
const found = new Paging('users', Type.String())
const tags = ['accounts']

export const accountRoutes = (api: Api, parts: RouteParts): void => {
  signingUp(api, parts)
  people(api, parts)
  own(api, parts)
}

const signingUp = (api: Api, { db, passwords, tries }: RouteParts): void => {
  api.post(
    '/users',
    {
      config: { open: true, creates: true, errors: ['BAD_NAME', 'BAD_PASSWORD', 'NAME_TAKEN', 'TOO_BUSY'] },
      schema: {
        tags,
        summary: 'Sign up',
        description: 'Makes an account. Its name is taken for all names that differ in case or in what cannot be seen.',
        body: Type.Object({ name: NewName, password: NewPassword, displayName: Type.Optional(NewDisplayName) }),
        response: { 201: AccountSchema },
      },
    },
    async (request, reply) => {
      const { password, displayName, ...rest } = request.body
      const name = readName(rest.name)
      checkPassword(password, name.key)
      await tries.signUp(request.ip)
      const hash = await passwords.hash(password)
      return createOnce(db, {
        request,
        reply,
        scope: `address ${request.ip}`,
        // Not the password: what a repeat is known by can be read in SQL.
        same: [name.name, displayName],
        work: async tx => readAccount(tx, await signUp(tx, { name, displayName, hash })),
      })
    },
  )
}

const people = (api: Api, { db }: RouteParts): void => {
  api.get(
    '/users',
    {
      config: { perMinute: SEARCHES_PER_MINUTE },
      schema: {
        tags,
        summary: 'Search people',
        description: 'Those whose name begins with what is searched for, in order of their names.',
        querystring: Type.Object({
          ...PageQuery.properties,
          search: Type.String({ minLength: 2, maxLength: 200, examples: ['an'] }),
        }),
        response: { 200: PageOf(PersonSchema) },
      },
    },
    async ({ query }) => {
      const rows = await searchPeople(db, query.search, { after: found.after(query), limit: query.limit })
      return found.page(
        rows,
        query,
        ({ person }) => person,
        ({ key }) => key,
      )
    },
  )
  api.get(
    '/users/:id',
    {
      config: { errors: ['NO_SUCH_USER'] },
      schema: {
        tags,
        summary: 'Read a person',
        params: Type.Object({ id: Id }),
        response: { 200: PersonSchema },
      },
    },
    ({ params }) => readPerson(db, params.id),
  )
  api.get(
    '/people',
    {
      schema: {
        tags,
        summary: 'Read people by their ids',
        description: 'In any order; ids of nobody are left out.',
        querystring: Type.Object({ user: Type.Array(Id, { minItems: 1, maxItems: PEOPLE_MOST }) }),
        response: { 200: Type.Object({ items: Type.Array(PersonSchema) }) },
      },
    },
    async ({ query }) => ({ items: [...(await readPeople(db, query.user)).values()] }),
  )
}

const own = (api: Api, parts: RouteParts): void => {
  const { db, watch, forget, tell } = parts
  api.get(
    '/me',
    { schema: { tags, summary: 'Read your own account', response: { 200: AccountSchema } } },
    ({ identity }) => readAccount(db, identity.user),
  )
  api.patch(
    '/me',
    {
      schema: {
        tags,
        summary: 'Update your profile',
        description: 'What is left out stays. An empty display name is the name.',
        body: Type.Object({
          displayName: Type.Optional(NewDisplayName),
          statusText: Type.Optional(NewStatusText),
        }),
        response: { 200: AccountSchema },
      },
    },
    ({ identity, body }) => updateProfile(db, identity.user, body),
  )
  api.put(
    '/me/password',
    {
      config: { errors: ['BAD_PASSWORD', 'TOO_MANY_LOGINS', 'TOO_BUSY'] },
      schema: {
        tags,
        summary: 'Change your password',
        description: 'Ends all other sessions. A wrong old one is `BAD_CREDENTIALS`.',
        body: Type.Object({ old: GivenPassword, password: NewPassword }),
        response: { 204: nothing('The password was changed') },
      },
    },
    async ({ identity, ip, body }, reply) => {
      watch.ended(await changePassword(parts, { ...identity, address: ip }, body))
      return reply.code(204).send(null)
    },
  )
  api.post(
    '/me/deletion',
    {
      config: { errors: ['LAST_ADMIN', 'TOO_MANY_LOGINS', 'TOO_BUSY'] },
      schema: {
        tags,
        summary: 'Delete your account',
        description: 'Ends all sessions and removes what is known of you. A wrong password is `BAD_CREDENTIALS`.',
        body: Type.Object({ password: GivenPassword }),
        response: { 204: nothing('The account is gone') },
      },
    },
    async (request, reply) => {
      const { identity, ip, body } = request
      const asker = { ...identity, address: ip }
      const { sessions, telling } = await closeAccount(parts, asker, { password: body.password, forget })
      watch.ended(sessions)
      tell(telling)
      forgetToken(request, reply)
      return reply.code(204).send(null)
    },
  )
}

/** What access tokens can be checked with, by anybody. */
export const keyRoutes = (api: Api, keys: Keys): void => {
  api.get(
    '/.well-known/jwks.json',
    {
      config: { open: true },
      schema: {
        tags: ['sessions'],
        summary: 'Keys of access tokens',
        description: 'A JWK set: a token names its key by `kid`.',
        response: {
          200: Type.Object({
            keys: Type.Array(
              Type.Object(
                { kty: Type.String(), kid: Type.String(), alg: Type.String(), use: Type.String() },
                { additionalProperties: true },
              ),
            ),
          }),
        },
      },
    },
    async (_request, reply) => {
      const { keys: published } = await keys.published()
      void reply.header('cache-control', 'public, max-age=300')
      return { keys: published as { kty: string; kid: string; alg: string; use: string }[] }
    },
  )
}
