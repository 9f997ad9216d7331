import { setTimeout as delay } from 'node:timers/promises'
import { isEnding } from '../launch.ts'
import { caughtUp } from './caught-up.ts'
import { Clients } from './clients.ts'
import type { Crowd } from './clients.ts'
import { Plot } from './faults.ts'
import type { Durations } from './faults.ts'
import { Fleet } from './fleet.ts'
import { readRooms } from './kafka-reader.ts'
import { Ledger } from './ledger.ts'
import type { Place } from './message.ts'
import { Random } from './random.ts'
import { Recoveries, reportOn, seconds, usageOf } from './report.ts'
import type { Outcome, Print } from './report.ts'
import { World } from './session.ts'

export interface FleetRunOptions {
  readonly seed: string
  readonly cycles: number
  readonly crowd: Crowd
  readonly durations: Durations
  /** The nodes' LOG_TIMEOUT, ms: so long it takes until what became of a key is certain where nobody tells. */
  readonly logTimeout: number
  /** Where brokers and nodes keep their data and logs. */
  readonly folder: string
  readonly print: Print
}

/** Three nodes, three brokers, a crowd of clients, and cycles in which things go wrong and are compared afterwards. */
class FleetRun {
  readonly #options: FleetRunOptions
  readonly #fleet: Fleet
  readonly #clients: Clients
  readonly #ledger: Ledger
  readonly #plot: Plot
  readonly #recoveries = new Recoveries()
  /** How long each node's log was when the cycle began. */
  #logs: readonly string[] = []

  constructor(options: FleetRunOptions, fleet: Fleet, ledger: Ledger, random: Random) {
    this.#options = options
    this.#fleet = fleet
    this.#ledger = ledger
    const world = new World(() => fleet.nodes, random.fork('clients'), ledger)
    this.#clients = new Clients(world, options.crowd)
    this.#plot = new Plot({ fleet, clients: this.#clients, durations: options.durations }, random.fork('faults'))
  }

  async run(): Promise<Outcome> {
    const { cycles, print } = this.#options
    try {
      await this.#clients.ready()
      for (let number = 1; number <= cycles && this.#goesOn; number++) {
        this.#logs = this.#fleet.nodes.map(({ name, log, lines }) => `${name} from line ${lines + 1} of ${log}`)
        const line = await this.#cycle()
        print(`${String(number).padStart(3)}/${cycles}  ${line}`)
      }
      if (this.#goesOn) await this.#last()
    } finally {
      await this.#report()
      await this.#clients.stop()
    }
    return { held: this.#goesOn, tally: this.#ledger.tally }
  }

  get #goesOn(): boolean {
    return this.#ledger.broken.length === 0 && !isEnding()
  }

  async #cycle(): Promise<string> {
    const began = performance.now()
    const faults = this.#plot.cycle()
    const met = await Promise.all(
      faults.map(async ({ fault, after }) => {
        await delay(after)
        this.#ledger.tally.add(`fault ${fault.kind}`)
        return `${fault.kind} (${await fault.strike()})`
      }),
    )
    const healed = performance.now()
    const places = await caughtUp(this.#clients, this.#ledger)
    const ms = performance.now() - healed
    const what = met.join(' + ')
    if (!places) return `${what}: not everybody caught up`
    this.#recoveries.add(
      faults.map(({ fault }) => fault.kind),
      ms,
    )
    await this.#compare(places)
    const counts = `${this.#ledger.tally.of('acknowledged')} acknowledged, ${this.#ledger.tally.of('delivered')} delivered`
    const compared = performance.now() - healed - ms
    const lasted = `all caught up ${seconds(ms)} later, compared in ${seconds(compared)}, ${seconds(performance.now() - began)} in all`
    return `${what}: ${lasted}; ${counts}`
  }

  async #compare(places: ReadonlyMap<string, Place>): Promise<void> {
    const wanted = Array.from(places, ([room, { offset }]) => ({
      room,
      from: this.#ledger.next(room),
      end: offset + 1,
    }))
    const records = await readRooms(this.#fleet.addresses, wanted)
    for (const { room, end } of wanted) this.#ledger.learn(room, records.get(room) ?? [], end)
    this.#clients.compare(room => this.#ledger.next(room))
  }

  /** Everything that was ever sent is looked at once more, when nothing moves any more. */
  async #last(): Promise<void> {
    await this.#clients.finish()
    const places = await caughtUp(this.#clients, this.#ledger)
    if (!places) return
    await this.#compare(places)
    if (!this.#ledger.settled) this.#ledger.broke('lost', 'a RECEIPT named a place beyond the end of its room')
    const wanted = Array.from(places, ([room, { offset }]) => ({ room, from: 0, end: offset + 1 }))
    for (const [room, records] of await readRooms(this.#fleet.addresses, wanted)) this.#ledger.reread(room, records)
  }

  async #report(): Promise<void> {
    const { print } = this.#options
    print('')
    for (const line of this.#recoveries.lines) print(line)
    print('')
    for (const line of await usageOf(this.#fleet.nodes)) print(line)
    reportOn(this.#ledger, print)
    if (this.#ledger.broken.length > 0) for (const place of this.#logs) print(`see ${place}`)
  }
}

/** Resolves with what it has come to. */
export const runFleet = async (options: FleetRunOptions): Promise<Outcome> => {
  const ledger = new Ledger()
  const random = new Random(options.seed)
  const onCrash = (node: string, code: number): void =>
    ledger.broke('stuck', `${node} ended by itself, exit code ${code}`)
  const { folder, logTimeout } = options
  const fleet = await Fleet.start({ folder, nodes: 3, random, logTimeout, onCrash })
  try {
    return await new FleetRun(options, fleet, ledger, random).run()
  } finally {
    await fleet.close()
  }
}
