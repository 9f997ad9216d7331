import { nothing, PageOf, PageQuery, Paging, TimePlace, type Api } from '../http/api.ts'
import { blocksOf } from './lists.ts'
import { act, datedPage, DatedSchema, REQUESTS_PER_MINUTE, type RouteParts } from './routes.ts'
import { Params } from './schemas.ts'

const blockPages = new Paging('blocks', TimePlace)
const tags = ['friends']

export const blockRoutes = (api: Api, parts: RouteParts): void => {
  const { db } = parts
  api.get(
    '/blocks',
    {
      schema: {
        tags,
        summary: 'List whom you have blocked',
        querystring: PageQuery,
        response: { 200: PageOf(DatedSchema) },
      },
    },
    async ({ identity, query }) => {
      const rows = await blocksOf(db, identity.user, { after: blockPages.after(query), limit: query.limit })
      return datedPage(rows, query, blockPages)
    },
  )
  api.put(
    '/blocks/:id',
    {
      config: { errors: ['NO_SUCH_USER', 'QUOTA_REACHED'], perMinute: REQUESTS_PER_MINUTE },
      schema: {
        tags,
        summary: 'Block somebody',
        description:
          'Ends your friendship. Nobody is told of the block: what they ask of you does not come, and they do not see whether you are there. Whoever of you two tries to write to the other alone is refused, with `FORBIDDEN`.',
        params: Params,
        response: { 204: nothing('They are blocked') },
      },
    },
    async ({ identity, params }, reply) => {
      await act(parts, identity.user, params.id, 'block')
      return reply.code(204).send(null)
    },
  )
  api.delete(
    '/blocks/:id',
    {
      schema: {
        tags,
        summary: 'Unblock somebody',
        params: Params,
        response: { 204: nothing('They are not blocked') },
      },
    },
    async ({ identity, params }, reply) => {
      await act(parts, identity.user, params.id, 'unblock')
      return reply.code(204).send(null)
    },
  )
}
