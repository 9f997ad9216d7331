import type { Test } from 'tap'
import { Probe, type Received, type Target, type TransportName } from './probe.ts'

/** Where clients may connect now. */
type Nodes = () => readonly Target[]

/** A client of a room, by which way and as whom it comes. */
interface Client {
  readonly transport: TransportName
  readonly nodes: Nodes
  readonly room: string
  readonly login: string
  readonly passcode?: string
}

const RETRY_MS = 50
/** A reader waits for the next message as long as a test takes. */
const READ_MS = 600_000

/** Connects to one of `nodes`, going on to the next until one takes it. */
const connectSomewhere = async (t: Test, { transport, nodes, login, passcode }: Client): Promise<Probe> => {
  for (let turn = 0; ; turn++) {
    const all = nodes()
    try {
      return await Probe.connect(t, transport, all[turn % all.length]!, {
        login,
        ...(passcode !== undefined && { passcode }),
      })
    } catch (error) {
      if (turn > 400) throw error
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** A client that comes back with `after` whenever its connection ends, as the specification of this server wants it. */
export class Follower {
  readonly ids: string[] = []
  readonly bodies: string[] = []
  /** How often it had to come back. */
  resumed = 0
  /** RECEIPTs and MESSAGEs that said `recovered:false`. */
  unrecovered = 0
  /** Resolves when it is subscribed for the first time; rejects with why it cannot be. */
  readonly subscribed: Promise<void>
  readonly #wanted = new Set<{ body: string; resolve: () => void }>()
  /** Rejects where nobody takes it any more. */
  readonly #running: Promise<void>
  #stopped = false
  #probe: Probe | undefined

  constructor(t: Test, options: Client & { readonly after?: string }) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#running = this.#run(t, options, resolve)
    this.subscribed = Promise.race([promise, this.#running])
  }

  async #run(t: Test, options: Client & { readonly after?: string }, subscribed: () => void): Promise<void> {
    const { room, after } = options
    let refused = true
    while (!this.#stopped) {
      this.#probe = await connectSomewhere(t, options)
      try {
        const last = this.ids.at(-1) ?? after
        const receipt = await this.#probe.request('SUBSCRIBE', {
          id: 'sub-0',
          destination: `/topic/${room}`,
          ...(last === undefined ? {} : { after: last }),
        })
        this.#note(receipt)
        subscribed()
        refused = false
        this.#probe.patience = READ_MS
        for (;;) this.#got(await this.#probe.next('MESSAGE'))
      } catch (error) {
        // What was never taken is no break that it comes back from.
        if (refused) throw error
        this.resumed++
      }
    }
  }

  #note({ headers }: Received): void {
    if (headers['recovered'] === 'false') this.unrecovered++
  }

  #got(message: Received): void {
    this.#note(message)
    const body = message.body.toString()
    this.ids.push(message.headers['message-id']!)
    this.bodies.push(body)
    for (const wanted of this.#wanted) if (wanted.body === body) wanted.resolve()
  }

  /** Resolves when `body` has come. */
  async until(body: string): Promise<void> {
    if (this.bodies.includes(body)) return
    await Promise.race([new Promise<void>(resolve => this.#wanted.add({ body, resolve })), this.#running])
  }

  stop(): void {
    this.#stopped = true
    this.#probe?.end()
  }
}

/** A client that sends numbered messages one after the other, each until a RECEIPT says that it is kept. */
export class Sender {
  /** Bodies that were acknowledged, with the message-id of each. */
  readonly acknowledged = new Map<string, string>()
  /** How often it got no RECEIPT. */
  refused = 0
  readonly #done: Promise<void>
  #stopped = false

  constructor(t: Test, options: Client & { readonly most?: number }) {
    this.#done = this.#run(t, options)
  }

  async #run(t: Test, options: Client & { readonly most?: number }): Promise<void> {
    const { room, login, most = Infinity } = options
    let probe = await connectSomewhere(t, options)
    for (let n = 0; n < most && !this.#stopped; n++) {
      const body = `${login}-${n}`
      try {
        const receipt = await probe.request('SEND', { destination: `/topic/${room}` }, body)
        this.acknowledged.set(body, receipt.headers['message-id']!)
      } catch {
        // Whether this one was kept is unknown, so nothing is asked of it; the next one goes elsewhere.
        this.refused++
        probe = await connectSomewhere(t, options)
      }
    }
    probe.end()
  }

  /** Resolves when `count` messages have been acknowledged. */
  async until(count: number): Promise<void> {
    while (this.acknowledged.size < count) await new Promise(resolve => setTimeout(resolve, 20))
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  /** Resolves when all `most` are sent. */
  async finished(): Promise<void> {
    await this.#done
  }
}
