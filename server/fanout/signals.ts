import { randomBytes } from 'node:crypto'
import type { Meter } from '../ports/meter.ts'
import { roomChannel, type RoomSignal, type Signals } from '../ports/signals.ts'
import type { RoomId } from '../ports/room-log.ts'
import { encodeFrame } from '../stomp/encoder.ts'
import type { Version } from '../stomp/frame.ts'
import { lay, type Framing } from '../stomp/framing.ts'
import { signalsOf } from './destination.ts'
import type { Outlet } from './subscription.ts'

/** One client's subscription to the signals of a room. */
export interface SignalReader {
  readonly user: string
  readonly version: Version
  readonly framing: Framing
  /** As the MESSAGE names it. */
  readonly subscription: string
  readonly outlet: Outlet
  /** Whether it has ended: also while `subscribe` is under way. */
  ended(): boolean
  /** Whether they may send to the room. */
  maySend(): boolean | Promise<boolean>
}

type Said = Pick<RoomSignal, 'type' | 'sender' | 'contentType' | 'body'>

/**
 * What is fleeting in rooms: from one client to those on all nodes that subscribed to it, at most once and past the log. A
 * client that is not keeping up does without it.
 */
export class RoomSignals {
  readonly #signals: Signals
  readonly #meter: Meter
  readonly #name = randomBytes(6).toString('hex')
  #said = 0
  /** The frames of a signal, for those that look alike: they are told of it one after the other. */
  readonly #frames = new WeakMap<RoomSignal, Map<Framing, Map<string, Buffer>>>()

  constructor(signals: Signals, meter: Meter) {
    this.#signals = signals
    this.#meter = meter
  }

  say(room: RoomId, said: Said): void {
    const signal: RoomSignal = { ...said, id: `${this.#name}-${++this.#said}`, time: Date.now() }
    this.#signals.publish(roomChannel(room), signal)
  }

  /** Resolves with how to leave when whatever is said from then on is told, as long as the reader has not ended. */
  subscribe(room: RoomId, reader: SignalReader): Promise<() => void> {
    const tell = (signal: RoomSignal): void => {
      if (reader.ended()) return
      if (reader.outlet.open) reader.outlet.push(this.#frame(room, signal, reader), 1)
      else this.#meter.add('signalsDropped', 1, 'slow')
    }
    return this.#signals.subscribe(roomChannel(room), event => {
      const signal = event as RoomSignal
      if (signal.except?.includes(reader.user)) return
      if (signal.inside) void ifInside(reader, () => tell(signal))
      else tell(signal)
    })
  }

  #frame(room: RoomId, signal: RoomSignal, { framing, version, subscription }: SignalReader): Buffer {
    let all = this.#frames.get(signal)
    if (!all) this.#frames.set(signal, (all = new Map()))
    let laid = all.get(framing)
    if (!laid) all.set(framing, (laid = new Map()))
    const key = `${version} ${subscription}`
    let bytes = laid.get(key)
    if (!bytes) laid.set(key, (bytes = lay(framing, messageOf(room, signal, version, subscription), true)))
    return bytes
  }
}

/** Where nobody can say whether they may, they are not told. */
const ifInside = async (reader: SignalReader, tell: () => void): Promise<void> => {
  try {
    if (await reader.maySend()) tell()
  } catch {
    // What is fleeting is not tried again.
  }
}

const messageOf = (room: RoomId, signal: RoomSignal, version: Version, subscription: string): Buffer => {
  const { id, type, time, sender, contentType, body } = signal
  const headers = Object.entries({
    subscription,
    'destination': signalsOf(room),
    'message-id': id,
    type,
    'timestamp': String(time),
    ...(sender !== undefined && { sender }),
    ...(contentType !== undefined && { 'content-type': contentType }),
  })
  return encodeFrame('MESSAGE', headers, Buffer.from(body), version)
}
