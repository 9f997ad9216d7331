import type { Target } from '../../server/testkit/probe.ts'
import type { Act, Client } from './acts.ts'
import { ExpectedConnection, type ExpectedReceipt, type ModelLimits } from './connection.ts'
import { expectLogin } from './login.ts'
import { Peer } from './peer.ts'
import type { Room, Sent } from './room.ts'
import { valueOf, type ServerFrame } from './server-stream.ts'
import { recoveredLines, type ExpectedSubscription } from './subscription.ts'
import { Speech } from './speech.ts'
import { encode } from './wire.ts'

/** What all clients of a case share. */
export interface Scene {
  readonly target: Target
  readonly limits: ModelLimits
  /** Rooms that a witness watches. */
  readonly rooms: readonly Room[]
  readonly roomOf: (name: string) => Room
  /** A number that no other message of the case has. */
  readonly number: () => number
  /** Resolves when `condition` holds, looked at whenever something has come to anyone. */
  readonly until: (condition: () => boolean, what: () => string) => Promise<void>
  readonly notify: () => void
}

/** One client of a case: does its acts on a connection, and holds what comes back against what has to come. */
export class FuzzClient {
  readonly #scene: Scene
  readonly #client: Client
  readonly #speech: Speech
  #peer!: Peer
  expected!: ExpectedConnection
  #greeted = false
  #error: ServerFrame | undefined
  #left = false
  #given = false
  #cut = 0
  /** Message-ids that RECEIPTs gave, until the messages have been seen. */
  #claims: [Sent, string][] = []
  /** Earlier connections that left: what they sent has to come some time. */
  readonly #gone: ExpectedConnection[] = []
  received = 0
  connections = 0
  #sent = 0

  constructor(scene: Scene, client: Client) {
    this.#scene = scene
    this.#client = client
    this.#speech = new Speech(scene, client.version)
  }

  get alive(): boolean {
    return !this.#left && !this.#given && this.expected.ending === undefined
  }

  /** Frames that it sent, as far as the server has to read them. */
  get sent(): number {
    return this.#sent + this.expected.frames
  }

  get #version() {
    return this.#client.version
  }

  async connect(): Promise<void> {
    const { target, limits, roomOf, notify, until } = this.#scene
    this.#peer = await Peer.open(this.#client.transport, target)
    this.#peer.onChange = notify
    this.#sent += this.expected?.frames ?? 0
    this.expected = new ExpectedConnection(limits, roomOf)
    this.#greeted = this.#left = this.#given = false
    this.#error = undefined
    const accept = this.#version === '1.0' ? '' : `accept-version:1.0,${this.#version}\n`
    const hello = Buffer.from(`CONNECT\n${accept}host:here\n${this.#client.hello}\n\0`)
    const answer = expectLogin(hello, limits)
    if (answer.kind !== 'connected') throw new Error('the hello of a client is refused')
    this.expected.login(answer.version, answer.user)
    this.#sent++
    this.connections++
    await this.#peer.send(hello)
    if (this.#client.hasty) return
    await until(
      () => this.#look() && this.#greeted,
      () => `CONNECTED, ${this.#state()}`,
    )
  }

  /** Does what can be done of `act` now. */
  async act(act: Act): Promise<void> {
    if (act.kind === 'pause') return this.#peer.pause(true)
    if (act.kind === 'knock') return this.#knock(Buffer.from(act.bytes, 'latin1'))
    if (act.kind === 'vanish') return this.alive ? this.#giveUp() : undefined
    if (act.kind === 'leave') return this.alive ? this.#leave() : undefined
    const bytes = this.#speech.bytesOf(act, this.expected)
    if (bytes) await this.#send(bytes)
  }

  async #send(bytes: Buffer): Promise<void> {
    if (this.#left || this.#given) return
    this.expected.receive(bytes)
    if (this.expected.unsure) return this.#giveUp()
    const { cuts } = this.#client
    await this.#peer.send(bytes, cuts[this.#cut++ % cuts.length])
  }

  #leave(): void {
    this.#left = true
    // A frame that has begun is nothing, but whether something was wrong in it already is open.
    if (!this.expected.doubtful) this.#gone.push(this.expected)
    this.#peer.leave()
  }

  #giveUp(): void {
    this.#given = true
    this.#peer.destroy()
  }

  /** Ends a round: what has begun comes to an end, and a RECEIPT shows that all before has been done. */
  async finish(): Promise<void> {
    for (const rest of [Buffer.from('\n\n\0'), Buffer.alloc(5000)]) {
      if (this.alive && this.expected.midFrame) await this.#send(rest)
    }
    if (!this.alive) return
    const touched = this.expected.touched.size > 0 ? [...this.expected.touched] : [this.#scene.rooms[0]!]
    this.expected.touched.clear()
    for (const room of touched) {
      await this.#send(this.#speech.sync(room))
    }
    this.expected.touched.clear()
  }

  /** Resolves when every answer of the round has come, or the end that has to. */
  async settle(): Promise<void> {
    const { until } = this.#scene
    this.#peer.pause(false)
    if (this.#given || this.#left)
      return until(
        () => this.#peer.closed,
        () => `the end of a client that left, ${this.#state()}`,
      )
    if (this.expected.ending) {
      await until(
        () => this.#look() && this.#peer.closed,
        () => `the end, ${this.#state()}`,
      )
      return this.#checkEnd()
    }
    await until(
      () => this.#look() && this.expected.receipts.length === 0,
      () => `receipts, ${this.#state()}`,
    )
    for (const subscription of this.expected.endings) subscription.ended = true
  }

  /** Resolves when its subscriptions have all of the rooms up to the counts given. */
  async deliver(counts: ReadonlyMap<Room, number>): Promise<void> {
    if (!this.alive) return
    const behind = (): ExpectedSubscription | undefined =>
      [...this.expected.subscriptions.values()].find(each => !each.hasAll(counts.get(each.options.room) ?? 0))
    await this.#scene.until(
      () => this.#look() && !behind(),
      () => `messages of ${behind()?.options.room.name}, ${this.#state()}`,
    )
    for (const each of [...this.expected.endings, ...this.expected.subscriptions.values()]) each.checkStart()
    this.expected.endings = []
    for (const room of counts.keys()) {
      const [lost] = room.missing(this.expected)
      if (lost) throw new Error(`lost in ${room.name}: ${JSON.stringify(lost.toString().slice(0, 300))}`)
    }
    this.checkClaims()
  }

  /** Whether everything has come of connections that left. */
  hasNothingMissing(): boolean {
    return this.#gone.every(each => this.#scene.rooms.every(room => room.missing(each).length === 0))
  }

  checkClaims(): void {
    this.#claims = this.#claims.filter(([{ index, room }, id]) => {
      if (index === undefined) return true
      if (room.entries[index]!.id !== id)
        throw new Error(`a RECEIPT said ${id}, the message is ${room.entries[index]!.id}`)
      return false
    })
  }

  close(): void {
    this.#peer.destroy()
  }

  // ── What comes back ──

  /** Looks at everything that has come; stops at a message that the witness has not seen yet. Always true. */
  #look(): boolean {
    const { fault, frames, closed } = this.#peer
    if (fault) throw fault
    while (frames.length > 0 && this.#take(frames[0]!)) frames.shift()
    if (closed && frames.length === 0 && !this.expected.ending && !this.#left && !this.#given) {
      throw new Error(`the connection ended by itself, ${this.#state()}`)
    }
    return true
  }

  #take(frame: ServerFrame): boolean {
    if (this.#error) throw new Error(`${frame.command} after ERROR`)
    if (!this.#greeted && frame.command !== 'CONNECTED')
      throw new Error(`${frame.command} before CONNECTED: ${show(frame)}`)
    if (frame.command === 'MESSAGE' && !this.#takeMessage(frame)) return false
    this.received++
    if (frame.command === 'CONNECTED') this.#takeConnected(frame)
    else if (frame.command === 'RECEIPT') this.#takeReceipt(frame)
    else if (frame.command === 'ERROR') this.#takeError(frame)
    return true
  }

  #takeConnected(frame: ServerFrame): void {
    if (this.#greeted) throw new Error('CONNECTED twice')
    this.#greeted = true
    const names = frame.lines
      .map(line => line.slice(0, line.indexOf(':')))
      .sort()
      .join()
    if (names !== 'heart-beat,server,session,user-name,version') throw new Error(`CONNECTED with ${names}`)
    const { version, user } = this.expected
    if (valueOf(frame, 'version') !== version || valueOf(frame, 'user-name') !== user)
      throw new Error(`not ${user}: ${show(frame)}`)
  }

  #takeReceipt(frame: ServerFrame): void {
    const id = valueOf(frame, 'receipt-id')
    const { receipts } = this.expected
    const at = receipts.findIndex(({ receipt }) => encode(receipt, this.#version) === id)
    if (at < 0) throw new Error(`nobody asked for ${show(frame)}, ${this.#state()}`)
    const [receipt] = receipts.splice(at, 1) as [ExpectedReceipt]
    const { sent, subscribed, ended } = receipt
    // That of a repeat may come before.
    if (sent && sent.key === undefined && receipts.slice(0, at).some(earlier => earlier.sent?.room === sent.room)) {
      throw new Error(
        `RECEIPT ${id} before those of earlier SENDs to ${sent.room.name}: ${JSON.stringify(receipts.slice(0, at).map(r => [r.receipt, r.sent?.key?.slice(0, 5), r.sent?.room === sent.room]))}`,
      )
    }
    if (receipt.last && receipts.length > 0)
      throw new Error(`the RECEIPT of DISCONNECT is not the last, ${this.#state()}`)
    const messageId = valueOf(frame, 'message-id')
    const lines = [
      `receipt-id:${id}`,
      ...(sent && messageId !== undefined ? [`message-id:${messageId}`] : []),
      ...(subscribed ? recoveredLines(subscribed.room, subscribed.after) : []),
    ]
    if (lines.sort().join('\n') !== [...frame.lines].sort().join('\n'))
      throw new Error(`not ${lines.join()}: ${show(frame)}`)
    if (sent && messageId === undefined) throw new Error(`RECEIPT of SEND without message-id`)
    if (sent) this.#claims.push([sent, messageId!])
    if (ended) ended.ended = true
  }

  #takeMessage(frame: ServerFrame): boolean {
    const id = valueOf(frame, 'subscription')
    const destination = valueOf(frame, 'destination')
    const { subscriptions, endings } = this.expected
    const meant = [...endings.filter(each => !each.ended), ...subscriptions.values()].find(({ options }) => {
      const known = options.id === undefined ? undefined : encode(options.id, this.#version)
      return known === id && encode(options.room.destination, this.#version) === destination
    })
    // After an ending that closes all subscriptions some may have been on their way.
    if (!meant) throw new Error(`for no subscription: ${show(frame)}, ${this.#state()}`)
    if (!meant.options.room.indexOf.has(valueOf(frame, 'message-id')!)) return false
    meant.take(frame)
    return true
  }

  #takeError(frame: ServerFrame): void {
    this.#error = frame
    const { ending } = this.expected
    if (ending?.kind !== 'error') throw new Error(`not expected: ${show(frame)}, ${this.#state()}`)
    checkError(frame, ending.codes)
    const id = valueOf(frame, 'receipt-id')
    const asked = ending.receipt === undefined ? undefined : encode(ending.receipt, this.#version)
    if (id !== asked && (ending.exact || id !== undefined))
      throw new Error(`receipt-id is not ${asked}: ${show(frame)}`)
  }

  #checkEnd(): void {
    const { ending, receipts } = this.expected
    if (ending?.kind === 'error' && !this.#error) throw new Error(`ended without ERROR ${[...ending.codes].join()}`)
    if (ending?.kind === 'disconnect' && receipts.length > 0)
      throw new Error(`ended without receipts, ${this.#state()}`)
    const code = ending?.kind === 'error' ? 1008 : 1000
    if (this.#peer.transport === 'websocket' && this.#peer.code !== code)
      throw new Error(`closed with ${this.#peer.code}, not ${code}`)
  }

  #state(): string {
    const { version, receipts, ending, unsure } = this.expected
    const waiting = receipts.map(({ receipt }) => JSON.stringify(receipt)).join()
    const end = ending?.kind === 'error' ? [...ending.codes].join('/') : ending?.kind
    return `${this.#client.transport} ${version}, waits for receipts [${waiting}], ending ${end}, unsure ${unsure}, frames [${this.#peer.frames.slice(0, 3).map(show).join('; ')}]`
  }

  /** A connection of its own that says something before it is CONNECTED. */
  async #knock(bytes: Buffer): Promise<void> {
    const { target, limits, until, notify } = this.#scene
    const peer = await Peer.open(this.#client.transport, target)
    peer.onChange = notify
    const answer = expectLogin(bytes, limits)
    this.#sent++
    this.connections++
    await peer.send(bytes, this.#client.cuts[0])
    if (answer.kind === 'nothing') return peer.destroy()
    await until(
      () => peer.frames.length > 0 || peer.closed,
      () => `an answer to ${JSON.stringify(bytes.toString())}`,
    )
    const [frame] = peer.frames
    if (!frame || peer.fault) throw new Error(`no answer to ${JSON.stringify(bytes.toString())}`, { cause: peer.fault })
    if (answer.kind === 'refused') {
      checkError(frame, answer.codes)
      await until(
        () => peer.closed,
        () => 'the end of a client that was refused',
      )
      if (peer.frames.length > 1) throw new Error('something after ERROR')
    } else if (
      frame.command !== 'CONNECTED' ||
      valueOf(frame, 'version') !== answer.version ||
      valueOf(frame, 'user-name') !== answer.user
    ) {
      throw new Error(`not connected as ${answer.user}: ${show(frame)}`)
    }
    peer.destroy()
  }
}

const show = ({ command, lines, body }: ServerFrame): string =>
  `${command} ${JSON.stringify(lines)} ${JSON.stringify(body.toString('latin1').slice(0, 60))}`

const ERROR_HEADERS = new Set([
  'code',
  'message',
  'receipt-id',
  'content-type',
  'content-length',
  'version',
  'retry-after-ms',
])

/** [S-65] */
const checkError = (frame: ServerFrame, codes: ReadonlySet<string>): void => {
  const code = valueOf(frame, 'code')
  if (frame.command !== 'ERROR' || !codes.has(code ?? ''))
    throw new Error(`not ERROR ${[...codes].join('/')}: ${show(frame)}`)
  const names = frame.lines.map(line => line.slice(0, line.indexOf(':')))
  if (new Set(names).size !== names.length || names.some(name => !ERROR_HEADERS.has(name)) || frame.body.length === 0) {
    throw new Error(`an odd ERROR: ${show(frame)}`)
  }
  if ((valueOf(frame, 'version') !== undefined) !== (code === 'UNSUPPORTED_VERSION'))
    throw new Error(`version: ${show(frame)}`)
}
