import type { InjectOptions } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'
import type { Db } from '../database/database.ts'
import { openApi, type Api } from '../http/api.ts'
import { buildHttp } from '../http/server.ts'

interface Answered {
  readonly status: number
  /** What it says; never undefined, so that tests can look into it. */
  readonly body: Readonly<Record<string, unknown>>
}
/** Asks as the user of this id, who is signed in. */
export type Asking = (
  user: string,
  method: NonNullable<InjectOptions['method']>,
  path: string,
  options?: { readonly body?: object; readonly headers?: Readonly<Record<string, string>> },
) => Promise<Answered>

/** The API with these routes, where everybody's token is their id. */
export const openTestApi = async (t: Test, db: Db, ...routes: ((api: Api) => void)[]): Promise<Asking> => {
  const app = buildHttp({ config: {}, logger: pino({ level: 'silent' }) })
  await openApi(app, {
    config: { REQUESTS_PER_USER: 100_000, REQUESTS_PER_ADDRESS: 100_000 },
    db,
    loopback: true,
    version: '0.0.0',
    identify: async user => ({ user, session: 'session' }),
    routes,
    published: [],
  })
  await app.ready()
  t.teardown(() => app.close())
  return async (user, method, path, { body, headers } = {}) => {
    const response = await app.inject({
      method,
      url: `/api${path}`,
      headers: { authorization: `Bearer ${user}`, ...headers },
      ...(body && { payload: body }),
    })
    const text = response.body
    return { status: response.statusCode, body: text === '' ? {} : (JSON.parse(text) as Answered['body']) }
  }
}
