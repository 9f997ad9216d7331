import { randomUUID } from 'node:crypto'
import type { InjectOptions } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'
import type { Db } from '../../database/database.ts'
import { memoryCounters } from '../../drivers/memory/counters.ts'
import { memorySignals } from '../../drivers/memory/signals.ts'
import { openApi } from '../../http/api.ts'
import { buildHttp } from '../../http/server.ts'
import type { Counters } from '../../ports/counters.ts'
import { silent } from '../../testkit/database.ts'
import { openAccounts, type Accounts, type AccountsOptions } from '../index.ts'

export const SECRET = 'thirty-two bytes that nobody knows of'
export const PASSWORD = 'correct horse battery'
export const ORIGIN = 'http://localhost'
/** What a page sends where the cookie counts. */
export const page = { 'origin': ORIGIN, 'x-hoofbeat': '1' }

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  /** What it says; never undefined, so that tests can look into it. */
  readonly body: Record<string, never> & { readonly [field: string]: unknown }
}

interface Ask {
  readonly token?: string
  readonly body?: object
  readonly headers?: Readonly<Record<string, string>>
  readonly address?: string
}

/** Somebody who is signed in. */
interface Someone {
  readonly id: string
  readonly name: string
  readonly session: string
  readonly token: string
  readonly refreshToken: string
}

export interface TestAccounts extends Accounts {
  readonly app: ReturnType<typeof buildHttp>
  /** What listeners of the bridge were told. */
  readonly told: object[]
  ask(method: NonNullable<InjectOptions['method']>, path: string, options?: Ask): Promise<Answer>
  /** Signs somebody up, and in. */
  newcomer(name?: string, options?: Ask): Promise<Someone>
  signIn(name: string, options?: Ask & { readonly password?: string }): Promise<Someone>
}

export interface TestOptions extends Partial<Omit<AccountsOptions, 'config' | 'db'>> {
  readonly config?: Partial<AccountsOptions['config']>
  readonly requests?: number
  readonly counters?: Counters
}

const anyone = { mayRead: async () => true, maySend: () => true }

/** Accounts on `db` with the routes that come with them: a node, as far as they are concerned. */
export const openTestAccounts = async (t: Test, db: Db, options: TestOptions = {}): Promise<TestAccounts> => {
  const { config, requests = 100_000, ...more } = options
  const accounts = await openAccounts({
    db,
    counters: memoryCounters().port,
    signals: memorySignals().port,
    rights: anyone,
    mayConnect: origin => origin === ORIGIN,
    tell: () => {},
    logger: silent,
    ...more,
    config: { SESSION_SECRET: SECRET, DATA_DIR: '/nowhere', SIGN_UPS_PER_HOUR: 1_000, LOGIN_TRIES: 1_000, ...config },
  })
  const app = buildHttp({ config: {}, logger: pino({ level: 'silent' }) })
  await openApi(app, {
    config: { REQUESTS_PER_USER: requests, REQUESTS_PER_ADDRESS: requests },
    db,
    loopback: true,
    version: '0.0.0',
    identify: accounts.identify,
    routes: [accounts.routes],
    published: [accounts.published],
  })
  await app.ready()
  await accounts.begun
  t.teardown(async () => {
    await app.close()
    await accounts.close()
  })
  const told: object[] = []
  accounts.port.changes(change => void told.push(change))

  const ask: TestAccounts['ask'] = async (method, url, { token, body, headers, address = '127.0.0.1' } = {}) => {
    const response = await app.inject({
      method,
      url,
      remoteAddress: address,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      ...(body && { payload: body }),
    })
    const text = response.body
    return {
      status: response.statusCode,
      headers: response.headers,
      body: (text === '' ? {} : JSON.parse(text)) as Answer['body'],
    }
  }
  const signIn: TestAccounts['signIn'] = async (name, { password = PASSWORD, body = {}, ...more } = {}) => {
    const { status, body: signed } = await ask('POST', '/api/session', {
      ...more,
      body: { name, password, keep: 'body', ...body },
    })
    if (status !== 200) throw new Error(`${name} could not sign in: ${JSON.stringify(signed)}`)
    const { accessToken, session, refreshToken, user } = signed as unknown as {
      accessToken: string
      session: string
      refreshToken: string
      user: { id: string }
    }
    return { id: user.id, name, session, token: accessToken, refreshToken }
  }
  const newcomer: TestAccounts['newcomer'] = async (name = freshName(), options = {}) => {
    const { status, body } = await ask('POST', '/api/users', { ...options, body: { name, password: PASSWORD } })
    if (status !== 201) throw new Error(`${name} could not sign up: ${JSON.stringify(body)}`)
    return signIn(name, options)
  }
  return { ...accounts, app, told, ask, newcomer, signIn }
}

/** A name that nobody else has. */
export const freshName = (): string => `u${randomUUID().replaceAll('-', '').slice(0, 20)}`
