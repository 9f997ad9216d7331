import { createClient } from 'redis'
import { BEGIN, CLAIM, KNOW, REMEMBER, SETTLE } from './scripts.ts'

export interface SessionOptions {
  readonly url: string
  /** ms; a Redis that takes longer to answer counts as gone. */
  readonly answerWithin: number
}
const scripts = { claim: CLAIM, settle: SETTLE, remember: REMEMBER, know: KNOW, begin: BEGIN }
type Script = keyof typeof scripts

const clientOf = ({ url, answerWithin }: SessionOptions) =>
  createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    // A connection that ends is not made again: what comes after it may be another Redis.
    socket: { reconnectStrategy: false, connectTimeout: answerWithin },
  })
type Client = ReturnType<typeof clientOf>

/** What a Redis says of itself in INFO. */
const readInfo = (text: string): Map<string, string> =>
  new Map(Array.from(text.matchAll(/^(\w+):(.*?)\r?$/gm), ([, name, value]) => [name!, value!]))

/**
 * One connection to one Redis, as long as it lasts: it is never made again under the same name, so whatever is asked of a
 * session is asked of the Redis whose life it knows.
 */
export class Session {
  /** The key under which this Redis keeps since when it remembers. Another run, or another primary, has another. */
  readonly sinceKey: string
  /** What it says it does when its memory is full. */
  readonly policy: string
  /** Its clock was ahead of ours by this when it was asked, ms. */
  readonly ahead: number
  /** Since when it has forgotten nothing, epoch ms, as it said at last. */
  since: number
  readonly #client: Client
  readonly #shas: Readonly<Record<Script, string>>
  readonly #options: SessionOptions
  readonly #ended: PromiseWithResolvers<Error>

  private constructor(
    client: Client,
    options: SessionOptions,
    known: Pick<Session, 'sinceKey' | 'policy' | 'ahead' | 'since'>,
    shas: Readonly<Record<Script, string>>,
    ended: PromiseWithResolvers<Error>,
  ) {
    this.#client = client
    this.#options = options
    this.#shas = shas
    this.#ended = ended
    this.sinceKey = known.sinceKey
    this.policy = known.policy
    this.ahead = known.ahead
    this.since = known.since
  }

  /** Connects, or rejects with what is in the way. */
  static async open(options: SessionOptions): Promise<Session> {
    const { answerWithin } = options
    const client = clientOf(options)
    const ended = Promise.withResolvers<Error>()
    client.on('error', error => ended.resolve(error as Error))
    client.on('end', () => ended.resolve(new Error('the connection ended')))
    const late = setTimeout(() => ended.resolve(new Error(`no answer in ${answerWithin} ms`)), answerWithin)
    try {
      return await Promise.race([Session.#begin(client, options, ended), ended.promise.then(reject)])
    } catch (error) {
      if (client.isOpen) client.destroy()
      throw error
    } finally {
      clearTimeout(late)
    }
  }

  static async #begin(client: Client, options: SessionOptions, ended: PromiseWithResolvers<Error>): Promise<Session> {
    await client.connect()
    const info = readInfo(await client.info())
    if (info.get('role') !== 'master') throw new Error(`this Redis is a ${info.get('role')}, not a primary`)
    // A replica that is made the primary goes on with what it has got, under another replication id.
    const sinceKey = `hoofbeat:since:${info.get('run_id')}:${info.get('master_replid')}`
    const names = Object.keys(scripts) as Script[]
    const loaded = await Promise.all(names.map(async name => [name, await client.scriptLoad(scripts[name])] as const))
    const shas = Object.fromEntries(loaded) as Record<Script, string>
    const reply = await client.evalSha(shas.begin, { keys: [sinceKey], arguments: [] })
    const [since, now] = reply as unknown as [number, number]
    const policy = info.get('maxmemory_policy') ?? ''
    return new Session(client, options, { sinceKey, policy, since, ahead: now - Date.now() }, shas, ended)
  }

  /** Resolves with the reason when it is over. */
  get ended(): Promise<Error> {
    return this.#ended.promise
  }

  /** Runs a script. Where that rejects the session is over, and the script may have run or not. */
  async run(script: Script, keys: string[], args: string[]): Promise<unknown> {
    const late = setTimeout(
      () => this.end(new Error(`no answer in ${this.#options.answerWithin} ms`)),
      this.#options.answerWithin,
    )
    try {
      return await this.#client.evalSha(this.#shas[script], { keys, arguments: args })
    } catch (error) {
      this.end(error as Error)
      throw error
    } finally {
      clearTimeout(late)
    }
  }

  end(reason: Error): void {
    this.#ended.resolve(reason)
    if (this.#client.isOpen) this.#client.destroy()
  }
}

const reject = (error: Error): never => {
  throw error
}
