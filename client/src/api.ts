import { backOff } from './chat/back-off.ts'
import type { Problem } from './chat/index.ts'
import { newKey } from './chat/key.ts'

/** What the API did not do, and why. `status` is 0 where no answer came. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly problem: Problem

  constructor(status: number, problem: Problem) {
    super(problem.message)
    this.status = status
    this.problem = problem
  }
}

export const problemIn = (error: unknown): Problem =>
  error instanceof Refusal ? error.problem : { code: 'ERROR', message: String(error), advice: '' }

interface Asking {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object | undefined
  readonly signal?: AbortSignal | undefined
}

/** So long an answer is waited for, ms. */
const PATIENCE = 20_000
const UNREACHABLE: Problem = { code: 'UNREACHABLE', message: 'no answer came', advice: '' }

/** One request below /api. Rejects with Refusal, or with what `signal` was aborted for. */
export const ask = async (method: string, path: string, { headers, body, signal }: Asking = {}): Promise<Response> => {
  const patience = AbortSignal.timeout(PATIENCE)
  let response: Response
  try {
    response = await fetch(`/api${path}`, {
      method,
      headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
      body: body ? JSON.stringify(body) : null,
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    })
  } catch {
    signal?.throwIfAborted()
    throw new Refusal(0, UNREACHABLE)
  }
  if (response.ok) return response
  throw new Refusal(response.status, await readProblem(response))
}

const readProblem = async (response: Response): Promise<Problem> => {
  const said: unknown = await response.json().catch(() => undefined)
  const text = (key: string): string => {
    const value: unknown = typeof said === 'object' && said !== null ? Reflect.get(said, key) : undefined
    return typeof value === 'string' ? value : ''
  }
  return {
    code: text('code') || `HTTP_${response.status}`,
    message: text('detail') || text('title'),
    advice: text('advice'),
  }
}

/** Where an access token comes from. */
export interface Bearer {
  /** One that holds for a while. `refused` is one that does not any more. Rejects with Refusal. */
  readonly token: (refused?: string) => Promise<string>
}

type Query = Readonly<Record<string, string | number | readonly string[] | undefined>>

/** How often a read that got no answer is tried again. */
const TRIES = 3
/** What another try may help against. */
const PASSING = new Set([0, 502, 503, 504])
const ENDED = new Set(['TOKEN_EXPIRED', 'SESSION_ENDED'])

/** Creates things: what may have been created already is asked for under the same key. */
export class Once {
  readonly #keys = new Map<string, string>()

  /** `what` is the same for the same thing alone. */
  async do<T>(what: string, work: (headers: Readonly<Record<string, string>>) => Promise<T>): Promise<T> {
    const key = this.#keys.get(what) ?? newKey()
    this.#keys.set(what, key)
    try {
      const made = await work({ 'idempotency-key': key })
      this.#keys.delete(what)
      return made
    } catch (error) {
      if (error instanceof Refusal && !PASSING.has(error.status)) this.#keys.delete(what)
      throw error
    }
  }
}

/** The API as somebody who is signed in. Everything rejects with Refusal. */
export class Api {
  readonly #bearer: Bearer
  readonly #once = new Once()

  constructor(bearer: Bearer) {
    this.#bearer = bearer
  }

  /** Reads, and tries again where no answer comes. */
  async get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    const address = path + queryOf(query)
    for (let tried = 1; ; tried++) {
      try {
        return await this.#ask<T>('GET', address, { signal })
      } catch (error) {
        if (!(error instanceof Refusal) || !PASSING.has(error.status) || tried === TRIES) throw error
        await pause(backOff(tried - 1), signal)
      }
    }
  }

  post<T>(path: string, body?: object): Promise<T> {
    return this.#ask<T>('POST', path, { body })
  }

  put<T>(path: string, body?: object): Promise<T> {
    return this.#ask<T>('PUT', path, { body })
  }

  patch<T>(path: string, body: object): Promise<T> {
    return this.#ask<T>('PATCH', path, { body })
  }

  async delete(path: string): Promise<void> {
    await this.#ask('DELETE', path, {})
  }

  /** Creates something once, also where it is asked for again because no answer came. */
  create<T>(path: string, body: object): Promise<T> {
    return this.#once.do(`${path} ${JSON.stringify(body)}`, headers => this.#ask<T>('POST', path, { body, headers }))
  }

  async #ask<T>(method: string, path: string, asking: Asking): Promise<T> {
    const token = await this.#bearer.token()
    const go = (bearer: string): Promise<Response> =>
      ask(method, path, { ...asking, headers: { ...asking.headers, authorization: `Bearer ${bearer}` } })
    const response = await go(token).catch(async (error: unknown) => {
      if (!(error instanceof Refusal) || !ENDED.has(error.problem.code)) throw error
      return go(await this.#bearer.token(token))
    })
    // What has no content is asked for as void.
    return (response.status === 204 ? undefined : await response.json()) as T
  }
}

const queryOf = (query: Query): string => {
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) if (each !== undefined) given.append(name, String(each))
  }
  return given.size === 0 ? '' : `?${given}`
}

const pause = (ms: number, signal: AbortSignal | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    })
  })
