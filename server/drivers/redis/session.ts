import { createClient } from 'redis'

export interface SessionOptions<Script extends string> {
  readonly url: string
  /** ms; a Redis that takes longer to answer counts as gone. */
  readonly answerWithin: number
  /** In Lua, each with its name. */
  readonly scripts: Readonly<Record<Script, string>>
}

/** All others are made after this one: for each with options of its own the library would make a class of its own, in ms. */
const model = createClient({ RESP: 2, disableOfflineQueue: true, maintNotifications: 'disabled' })

/** A connection that ends is not made again: what comes after it may be another Redis. */
const clientOf = ({ url, answerWithin }: Pick<SessionOptions<never>, 'url' | 'answerWithin'>) =>
  model.duplicate({ url, socket: { reconnectStrategy: false, connectTimeout: answerWithin } })
export type Client = ReturnType<typeof clientOf>

/** What a Redis says of itself in INFO. */
const readInfo = (text: string): Map<string, string> =>
  new Map(Array.from(text.matchAll(/^(\w+):(.*?)\r?$/gm), ([, name, value]) => [name!, value!]))

/**
 * One connection to one Redis, as long as it lasts: it is never made again under the same name, so whatever is asked of a
 * session is asked of the Redis whose life it knows.
 */
export class Session<Script extends string = never> {
  /** What this Redis said of itself at the start. */
  readonly info: ReadonlyMap<string, string>
  readonly #client: Client
  readonly #shas: ReadonlyMap<Script, string>
  readonly #answerWithin: number
  readonly #ended: PromiseWithResolvers<Error>

  private constructor(
    client: Client,
    answerWithin: number,
    info: ReadonlyMap<string, string>,
    shas: ReadonlyMap<Script, string>,
    ended: PromiseWithResolvers<Error>,
  ) {
    this.#client = client
    this.#answerWithin = answerWithin
    this.info = info
    this.#shas = shas
    this.#ended = ended
  }

  /** Connects to a primary, or rejects with what is in the way. */
  static async open<Script extends string>(options: SessionOptions<Script>): Promise<Session<Script>> {
    const { answerWithin } = options
    const client = clientOf(options)
    const ended = Promise.withResolvers<Error>()
    client.on('error', error => ended.resolve(error as Error))
    client.on('end', () => ended.resolve(new Error('the connection ended')))
    const late = setTimeout(() => ended.resolve(new Error(`no answer in ${answerWithin} ms`)), answerWithin)
    const opening = Promise.race([Session.#begin(client, options, ended), ended.promise.then(reject)])
    const over = (error: unknown): never => {
      if (client.isOpen) client.destroy()
      throw error
    }
    return opening.catch(over).finally(() => clearTimeout(late))
  }

  static async #begin<Script extends string>(
    client: Client,
    { answerWithin, scripts }: SessionOptions<Script>,
    ended: PromiseWithResolvers<Error>,
  ): Promise<Session<Script>> {
    await client.connect()
    const info = readInfo(await client.info())
    if (info.get('role') !== 'master') throw new Error(`this Redis is a ${info.get('role')}, not a primary`)
    const names = Object.keys(scripts) as Script[]
    const loaded = await Promise.all(names.map(async name => [name, await client.scriptLoad(scripts[name])] as const))
    return new Session(client, answerWithin, info, new Map(loaded), ended)
  }

  /** Resolves with the reason when it is over. */
  get ended(): Promise<Error> {
    return this.#ended.promise
  }

  /** Runs a script. Where that rejects the session is over, and the script may have run or not. */
  run(script: Script, keys: string[], args: string[]): Promise<unknown> {
    return this.ask(client => client.evalSha(this.#shas.get(script)!, { keys, arguments: args }))
  }

  /** Asks Redis for something. Where that rejects the session is over. */
  async ask<T>(question: (client: Client) => Promise<T>): Promise<T> {
    const late = setTimeout(() => this.end(new Error(`no answer in ${this.#answerWithin} ms`)), this.#answerWithin)
    const over = (error: unknown): never => {
      this.end(error as Error)
      throw error
    }
    return question(this.#client)
      .catch(over)
      .finally(() => clearTimeout(late))
  }

  end(reason: Error): void {
    this.#ended.resolve(reason)
    if (this.#client.isOpen) this.#client.destroy()
  }
}

const reject = (error: Error): never => {
  throw error
}
