import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../services/process.ts'
import { caughtUp } from './caught-up.ts'
import { Clients } from './clients.ts'
import type { Crowd } from './clients.ts'
import { nodeEnvironment } from './fleet.ts'
import { Ledger } from './ledger.ts'
import { readFolder } from './level-reader.ts'
import { NodeProcess } from './node-process.ts'
import { Random } from './random.ts'
import { Recoveries, reportOn, usageOf } from './report.ts'
import type { Outcome, Print } from './report.ts'
import type { Tally } from './tally.ts'
import { World } from './session.ts'

export interface EmbeddedOptions {
  readonly seed: string
  /** Where the node writes its own log. */
  readonly folder: string
  /** Where the node keeps the rooms' log. */
  readonly data: string
  readonly print: Print
}

/** One node that keeps its log itself, and clients that load it. */
export class Embedded {
  readonly ledger = new Ledger()
  readonly node: NodeProcess
  readonly clients: Clients
  readonly random: Random
  readonly #data: string

  private constructor(
    seed: string,
    data: string,
    node: (onCrash: (code: number) => void) => NodeProcess,
    crowd: Crowd,
  ) {
    this.#data = data
    this.random = new Random(seed)
    this.node = node(code => this.ledger.broke('stuck', `the node ended by itself, exit code ${code}`))
    const world = new World(() => [this.node], this.random.fork('clients'), this.ledger)
    this.clients = new Clients(world, crowd)
  }

  get tally(): Tally {
    return this.ledger.tally
  }

  static async start({ seed, folder, data }: EmbeddedOptions, crowd: Crowd): Promise<Embedded> {
    await mkdir(folder, { recursive: true })
    const taken = new Set<number>()
    const [port, stompPort] = [await freePort(taken), await freePort(taken)]
    const env = { ...nodeEnvironment, DATA_DIR: data }
    const log = join(folder, 'node.log')
    const embedded = new Embedded(
      seed,
      data,
      onCrash => new NodeProcess({ name: 'node', port, stompPort, env, log, onCrash }),
      crowd,
    )
    await embedded.node.start()
    await embedded.clients.ready()
    return embedded
  }

  /** Resolves when so many more messages were acknowledged. */
  async load(count: number): Promise<void> {
    const enough = this.tally.of('acknowledged') + count
    while (this.tally.of('acknowledged') < enough) await delay(5)
  }

  /** Reads what the folder has, while no node runs on it. */
  async read(): Promise<void> {
    await readFolder(this.#data, this.clients.rooms, this.ledger)
  }

  /** Waits for everybody, and compares what they were given with what was read of the folder. */
  async compare(): Promise<void> {
    if (!(await caughtUp(this.clients, this.ledger))) return
    this.clients.compare(room => this.ledger.next(room))
  }

  /** Compares everything for the last time; resolves with what it has come to. */
  async finish(print: Print): Promise<Outcome> {
    if (this.ledger.broken.length === 0) {
      await this.clients.finish()
      await caughtUp(this.clients, this.ledger)
    }
    for (const line of await usageOf([this.node])) print(line)
    await this.clients.stop()
    const code = await this.node.drain()
    if (code !== 0) this.ledger.broke('stuck', `the node did not end well: exit code ${code}`)
    await this.read()
    this.clients.compare(room => this.ledger.next(room))
    if (!this.ledger.settled) this.ledger.broke('lost', 'a RECEIPT named a place beyond the end of its room')
    reportOn(this.ledger, print)
    if (this.ledger.broken.length > 0) print(`see ${this.node.log}`)
    return { held: this.ledger.broken.length === 0, tally: this.tally }
  }

  async close(): Promise<void> {
    await this.clients.stop()
    await this.node.close()
  }
}

const CROWD: Crowd = {
  rooms: 3,
  keyed: 4,
  receipted: 3,
  bare: 1,
  plain: 3,
  sluggish: 1,
  acknowledging: 2,
  lapsing: 2,
  stompjs: 1,
  strangers: 1,
  every: 10,
}

/** Kills a node with -9 under load, again and again. Resolves with what it has come to. */
export const runKills = async (options: EmbeddedOptions, kills: number): Promise<Outcome> => {
  const { print } = options
  const embedded = await Embedded.start(options, CROWD)
  const { node, random, ledger, tally } = embedded
  const recoveries = new Recoveries()
  try {
    for (let number = 1; number <= kills && ledger.broken.length === 0; number++) {
      await embedded.load(random.integer(1, 600))
      await delay(random.integer(0, 30))
      await node.kill()
      await embedded.read()
      const started = performance.now()
      await node.start()
      await embedded.compare()
      recoveries.add(['kill -9'], performance.now() - started)
      tally.add('fault kill -9')
      if (number % 10 === 0) print(`${number}/${kills} kills, ${tally.of('acknowledged')} messages acknowledged`)
    }
    for (const line of recoveries.lines) print(line)
    return await embedded.finish(print)
  } finally {
    await embedded.close()
  }
}

/** What a full disk shows, in the order in which it must. */
const NO_SPACE = 'the log takes no records: no space'
const SPACE = 'the log takes records again'
const LOOK_EVERY = 50
const LOOKS = 1_200

const status = async (node: NodeProcess): Promise<number> => {
  const response = await fetch(`http://127.0.0.1:${node.port}/health/ready`)
  await response.arrayBuffer()
  return response.status
}

/**
 * Loads a node until its disk is full, then makes room. That the node says what is wrong, in its log, by its health and to
 * its clients, is one more promise. Resolves with what it has come to.
 */
export const runFullDisk = async (options: EmbeddedOptions, makeRoom: () => Promise<void>): Promise<Outcome> => {
  const { print } = options
  const embedded = await Embedded.start(options, CROWD)
  const { node, ledger, tally } = embedded
  const sees = async (what: string, look: () => boolean | Promise<boolean>): Promise<void> => {
    for (let tries = 0; !(await look()); tries++) {
      if (tries > LOOKS) return ledger.broke('stuck', `${what} was waited for in vain`)
      await delay(LOOK_EVERY)
    }
    print(`  ${what}, after ${tally.of('acknowledged')} acknowledged messages`)
  }
  try {
    await sees(`the log says "${NO_SPACE}"`, () => node.said(NO_SPACE))
    await sees('clients are told LOG_UNAVAILABLE', () => tally.of('ERROR LOG_UNAVAILABLE') > 0)
    await sees('/health/ready says 503', async () => (await status(node)) === 503)
    await makeRoom()
    await sees(`the log says "${SPACE}"`, () => node.said(SPACE))
    await sees('/health/ready says 200', async () => (await status(node)) === 200)
    await embedded.load(500)
    print(`  500 more are acknowledged`)
    return await embedded.finish(print)
  } finally {
    await embedded.close()
  }
}
