import type { Account, Signed } from './api-types.ts'
import { type Bearer, ask, Once, problemIn, Refusal } from './api.ts'
import type { Problem } from './chat/index.ts'

/** Whether somebody is signed in here. Immutable. */
export type SessionState =
  | { readonly is: 'opening' }
  /** Nobody. `problem`: why not any more. */
  | { readonly is: 'out'; readonly problem?: Problem }
  | { readonly is: 'in'; readonly user: Account; readonly session: string }
  /** It cannot be found out now: `open` tries again. */
  | { readonly is: 'away'; readonly problem: Problem }

/** Says of a request that this page sends it: no other site's can. */
const PAGE_HEADER = { 'x-hoofbeat': 'page' }
/** What tabs of one browser hold while they refresh, and tell each other on. */
const SHARED = 'hoofbeat/session'
/** Says that there may be a cookie, which no script can see. */
const MARK = 'hoofbeat/signed-in'
/** A token that ends sooner is not used any more, ms. */
const LEAST_LEFT = 30_000

/**
 * Who is signed in, in all tabs of this browser. The access token is in memory only; what it is refreshed with is in a
 * cookie that the browser keeps from us.
 */
export class Session {
  readonly #store: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>
  readonly #watchers = new Set<() => void>()
  readonly #tabs = new BroadcastChannel(SHARED)
  readonly #once = new Once()
  /** The account that was made last, as it was asked for: until its first signing in. */
  #made: string | undefined
  #state: SessionState = { is: 'opening' }
  #token: { readonly text: string; readonly until: number } | undefined
  #refreshing: Promise<string> | undefined

  constructor(store: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>) {
    this.#store = store
    this.#tabs.addEventListener('message', ({ data }: MessageEvent<unknown>) => this.#heard(data))
  }

  /** Calls `watcher` when `state` has changed. Answers how to end that. */
  readonly subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  get state(): SessionState {
    return this.#state
  }

  /** Finds out who is signed in. */
  async open(): Promise<void> {
    if (this.#store.getItem(MARK) === null) {
      this.#enter({ is: 'out' })
      return
    }
    try {
      await this.#refresh()
    } catch (error) {
      if (!isOver(error)) this.#enter({ is: 'away', problem: problemIn(error) })
    }
  }

  /** Makes an account, and signs in. Rejects with Refusal. */
  async signUp(name: string, password: string, displayName: string): Promise<void> {
    const body = { name, password, ...(displayName && { displayName }) }
    const account = JSON.stringify(body)
    // Where only signing in failed, the name is taken by now: by oneself.
    if (account !== this.#made) await this.#once.do(account, headers => ask('POST', '/users', { body, headers }))
    this.#made = account
    await this.signIn(name, password)
    this.#made = undefined
  }

  /** Rejects with Refusal. */
  async signIn(name: string, password: string): Promise<void> {
    const response = await ask('POST', '/session', {
      body: { name, password, device: deviceName(navigator.userAgent), keep: 'cookie' },
      headers: PAGE_HEADER,
    })
    await this.#take(response)
    this.#tabs.postMessage('in')
  }

  /** The tokens of `user`, as long as it is they who are signed in: what somebody left behind is not done by the next one. */
  bearer(user: string): Bearer {
    const check = (): void => {
      if (this.#state.is !== 'in' || this.#state.user.id !== user) throw new Refusal(401, ENDED)
    }
    const token = async (refused?: string): Promise<string> => {
      check()
      const found = await this.#fresh(refused)
      check()
      return found
    }
    return { token }
  }

  /** A token that lasts longer than the present one. Rejects with Refusal. */
  readonly renew = (): Promise<string> => this.#refresh()

  /** Ends this session, or all of this user's. Rejects with Refusal. */
  async signOut(everywhere = false): Promise<void> {
    const authorization = `Bearer ${await this.#fresh()}`
    await ask('DELETE', everywhere ? '/sessions' : '/session', { headers: { authorization } })
    this.left()
  }

  /** It has ended. */
  left(): void {
    this.#forget()
    this.#tabs.postMessage('out')
  }

  /** What is known of who is signed in has changed. */
  update(user: Account): void {
    if (this.#state.is === 'in') this.#enter({ ...this.#state, user })
  }

  async #fresh(refused?: string): Promise<string> {
    const token = this.#token
    if (token && token.text !== refused && token.until - Date.now() > LEAST_LEFT) return token.text
    return this.#refresh()
  }

  #refresh(): Promise<string> {
    this.#refreshing ??= oneTabAtATime(() => this.#exchange()).finally(() => (this.#refreshing = undefined))
    return this.#refreshing
  }

  async #exchange(): Promise<string> {
    try {
      return await this.#take(await ask('POST', '/session/refresh', { body: {}, headers: PAGE_HEADER }))
    } catch (error) {
      if (isOver(error)) {
        const told = this.#state.is === 'in' || problemIn(error).code === 'SESSION_ENDED'
        this.#forget(told ? ENDED : undefined)
      }
      throw error
    }
  }

  async #take(response: Response): Promise<string> {
    const signed = (await response.json()) as Signed
    // By the server's clock: the one here may be wrong.
    const now = Date.parse(response.headers.get('date') ?? '') || Date.now()
    this.#token = { text: signed.accessToken, until: Date.now() + signed.expires - now }
    try {
      this.#store.setItem(MARK, '1')
    } catch {
      // The store is full: after a reload one signs in again.
    }
    const { state } = this
    const same = state.is === 'in' && state.session === signed.session
    if (!same) this.#enter({ is: 'in', user: signed.user, session: signed.session })
    return signed.accessToken
  }

  #forget(problem?: Problem): void {
    this.#token = undefined
    this.#store.removeItem(MARK)
    this.#enter({ is: 'out', ...(problem && { problem }) })
  }

  /** Another tab of this browser has signed in or out. */
  #heard(what: unknown): void {
    if (what === 'out') this.#forget()
    // The cookie is another one now: whoever it names is signed in here too.
    if (what === 'in') void this.#refresh().catch(() => undefined)
  }

  #enter(state: SessionState): void {
    this.#state = state
    for (const watcher of this.#watchers) watcher()
  }
}

const ENDED: Problem = { code: 'SESSION_ENDED', message: 'the session has ended', advice: '' }

/** The cookie is gone, or names a session that has ended. */
const isOver = (error: unknown): boolean => error instanceof Refusal && error.status === 401

/** Pages that came over plain HTTP have no locks: there the server bears two tabs that refresh at once. */
const oneTabAtATime = <T>(work: () => Promise<T>): Promise<T> =>
  'locks' in navigator ? navigator.locks.request(SHARED, work) : work()

const BROWSERS = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\//, 'Firefox'],
  [/Chrome\//, 'Chrome'],
  [/Safari\//, 'Safari'],
] as const
const SYSTEMS = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS/, 'macOS'],
  [/Linux/, 'Linux'],
] as const

/** How this device calls itself in the list of devices. */
export const deviceName = (agent: string): string => {
  const find = (names: readonly (readonly [RegExp, string])[]): string | undefined =>
    names.find(([pattern]) => pattern.test(agent))?.[1]
  const parts = [find(BROWSERS), find(SYSTEMS)].filter(part => part !== undefined)
  return parts.join(' · ') || agent.slice(0, 100)
}
