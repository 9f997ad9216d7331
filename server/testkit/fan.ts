import { setImmediate as immediate } from 'node:timers/promises'
import type { HoofbeatError } from '../errors.ts'
import { Hub, type HubOptions, type Joined } from '../fanout/hub.ts'
import type { Start } from '../fanout/start.ts'
import type { Look } from '../fanout/style.ts'
import type { Subscription } from '../fanout/subscription.ts'
import type { RoomLog } from '../ports/room-log.ts'
import { bare } from '../stomp/framing.ts'
import { ModelLog } from './model-log.ts'
import { Reader } from './reader.ts'

/** Someone who subscribed: what they were told and what they got. */
export interface Fan extends Joined {
  readonly reader: Reader
  /** Why it ended by itself. */
  readonly ends: HoofbeatError[]
  readonly subscription: Subscription
}

export interface FanOptions {
  readonly reader?: Reader
  readonly look?: Partial<Look>
  readonly window?: number
  readonly cumulative?: boolean
  readonly mayRead?: () => Promise<boolean>
}

/** A hub on a log, what it counted and what it logged. */
export class FanOut<Log extends RoomLog = ModelLog> {
  readonly log: Log
  readonly hub: Hub
  readonly counted = new Map<string, number>()
  readonly logged: string[] = []
  readonly gone: string[] = []

  constructor(log: Log, options: Partial<HubOptions> = {}) {
    this.log = log
    const note = (_fields: object, message: string): void => void this.logged.push(message)
    const logger = { debug: note, info: note, warn: note, error: note }
    const onGone = (room: string): void => void this.gone.push(room)
    this.hub = new Hub({
      log,
      meter: this.meter,
      logger,
      recentBytes: 1 << 20,
      idleMs: 0,
      retryMs: 0,
      onGone,
      ...options,
    })
  }

  readonly meter = {
    add: (name: string, amount = 1): void => void this.counted.set(name, (this.counted.get(name) ?? 0) + amount),
    observe: (): void => {},
  }

  async join(room: string, start: Start = 'now', options: FanOptions = {}): Promise<Fan> {
    const { reader = new Reader(), look, window, cumulative, mayRead } = options
    const ends: HoofbeatError[] = []
    const joined = await this.hub.subscribe(room, start, {
      style: { version: '1.2', framing: bare, subscription: 'sub-0', acks: window !== undefined, ...look },
      outlet: reader,
      meter: this.meter,
      ...(window === undefined ? {} : { window }),
      ...(cumulative === undefined ? {} : { cumulative }),
      ...(mayRead === undefined ? {} : { mayRead }),
      onEnd: error => void ends.push(error),
    })
    return { ...joined, reader, ends }
  }
}

/** Resolves when `condition` holds; a turn at a time, and not for ever. */
export const until = async (condition: () => boolean, what = 'it'): Promise<void> => {
  for (const end = performance.now() + 20_000; !condition();) {
    if (performance.now() > end) throw new Error(`waited for ${what}`)
    await immediate()
  }
}

/** Some turns: enough for all that is ready to be done. */
export const turns = async (count = 10): Promise<void> => {
  for (let i = 0; i < count; i++) await immediate()
}

/** A hub on a model log that has `rooms`. */
export const fanOut = (rooms: readonly string[] = ['room'], options: Partial<HubOptions> = {}): FanOut => {
  const log = new ModelLog()
  for (const room of rooms) log.make(room)
  return new FanOut(log, options)
}
