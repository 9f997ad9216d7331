import { setTimeout as delay } from 'node:timers/promises'
import { SignJWT } from 'jose'
import type { JWTPayload } from 'jose'
import type { Target, TransportName } from '../../server/testkit/probe.ts'
import type { Frame } from './frames.ts'
import type { Ledger } from './ledger.ts'
import { Peer } from './peer.ts'
import type { Random } from './random.ts'
import type { Tally } from './tally.ts'

/** Who a client says it is. */
export interface Token {
  readonly jwt: string
  /** Epoch ms. */
  readonly expires: number
}
export interface SessionEvents {
  token(): Promise<Token>
  connected(peer: Peer, token: Token): void
  frame(frame: Frame): void
  /** The connection is over, also one that never was CONNECTED. Another one follows. */
  lost(): void
}
/** What all clients of a run share. */
export class World {
  readonly nodes: () => readonly Target[]
  readonly random: Random
  readonly ledger: Ledger
  readonly tally: Tally

  constructor(nodes: () => readonly Target[], random: Random, ledger: Ledger) {
    this.nodes = nodes
    this.random = random
    this.ledger = ledger
    this.tally = ledger.tally
  }

  /** A client was sent an ERROR. */
  failed(code = 'none', message = ''): void {
    this.tally.add(`ERROR ${code}`)
    // Whatever is done to a node, this is a mistake of its own.
    if (code === 'INTERNAL') this.ledger.broke('wrong', `a client was told INTERNAL: ${message}`)
  }
}

export const JWT_SECRET = 'what the chaos harness signs its tokens with'
const HEART_BEAT = 2_000
/** What is silent for so long, or does not answer CONNECT, is taken for dead: a node that hangs, or a path that is dark. */
const SILENCE = 6_000

export const sign = async (claims: JWTPayload, expires: number): Promise<Token> => ({
  jwt: await new SignJWT({ ...claims, exp: expires / 1000 })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(Buffer.from(JWT_SECRET)),
  expires,
})

/** Keeps a client connected, to any of the nodes: when a connection ends, another one is tried somewhere. */
export class Session {
  /** While there is one that was CONNECTED. */
  peer: Peer | undefined
  readonly #world: World
  readonly #transport: TransportName
  readonly #events: SessionEvents
  readonly #done: Promise<void>
  #current: Peer | undefined
  #stopped = false

  constructor(world: World, events: SessionEvents) {
    this.#world = world
    this.#transport = world.random.pick(['tcp', 'websocket'])
    this.#events = events
    this.#done = this.#run()
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#current?.cut()
    await this.#done
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const token = await this.#events.token()
      if (this.#stopped) return
      await this.#live(token)
      if (!this.#stopped) await delay(this.#world.random.integer(20, 300))
    }
  }

  async #live(token: Token): Promise<void> {
    const { nodes, random } = this.#world
    const { promise: over, resolve: ended } = Promise.withResolvers<void>()
    const frame = (frame: Frame): void => this.#frame(peer, token, frame)
    const peer = new Peer(random.pick(nodes()), this.#transport, { frame, ended })
    this.#current = peer
    const headers = { 'accept-version': '1.2', 'host': 'chaos', 'heart-beat': `0,${HEART_BEAT}` }
    peer.send('CONNECT', { ...headers, Authorization: `Bearer ${token.jwt}` })
    const watch = setInterval(() => {
      if (performance.now() - peer.heard > SILENCE) peer.cut()
    }, SILENCE / 4)
    await over
    clearInterval(watch)
    this.peer = undefined
    this.#events.lost()
  }

  #frame(peer: Peer, token: Token, frame: Frame): void {
    if (frame.command === 'ERROR') this.#world.failed(frame.headers.get('code'), frame.headers.get('message'))
    if (frame.command === 'CONNECTED') {
      this.peer = peer
      this.#events.connected(peer, token)
    } else this.#events.frame(frame)
  }
}
