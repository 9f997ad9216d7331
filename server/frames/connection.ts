import type { Config } from '../config.ts'
import type { HoofbeatError } from '../errors.ts'
import type { Hub } from '../fanout/hub.ts'
import type { Rooms } from '../fanout/rooms.ts'
import type { RoomSignals } from '../fanout/signals.ts'
import type { Outlet, Subscription } from '../fanout/subscription.ts'
import type { Access, Identity } from '../ports/access.ts'
import type { UserEvents } from '../ports/events.ts'
import type { Meter } from '../ports/meter.ts'
import type { NewRecord, Position, RoomId } from '../ports/room-log.ts'
import type { UserEvent } from '../ports/signals.ts'
import type { Frame, Version } from '../stomp/frame.ts'
import type { Framing } from '../stomp/framing.ts'
import type { Transactions } from './transactions.ts'

/** What the frame handlers use of the node that their connection is on. */
export interface Surroundings {
  readonly config: Config
  readonly access: Access
  readonly hub: Hub
  readonly rooms: Rooms
  readonly signals: RoomSignals
  /** Absent where nothing is known of users: then their queue stays empty. */
  readonly events?: UserEvents | undefined
  readonly meter: Meter
  /** As `RoomLog.append`. */
  append(room: RoomId, records: readonly NewRecord[]): Promise<Position[]>
}

/** A SUBSCRIBE of this connection, from the frame on: also while it is under way. */
export interface Subscribed {
  readonly destination: string
  /** A room's, once it stands; the user's own queue has none. */
  subscription?: Subscription
  /** Ends one that has no place in the log, once it stands. */
  stop?: () => void
  /** UNSUBSCRIBE has come, or the right to it has ended: whatever is under way ends itself. */
  ended: boolean
}

/** What CONNECT settles. `heartBeat` as agreed, ms. */
export interface Login {
  readonly version: Version
  readonly identity: Identity
  readonly heartBeat: { readonly send: number; readonly receive: number; readonly header: string }
}

/** The user's own queue `events`, as far as a connection subscribed to it. */
interface OwnEvents {
  /** Hands an event to the subscription known by `key`; where the outlet has had enough, not. */
  deliver(key: string, event: UserEvent): void
  /** Hands an event to every subscription, as `deliver` does; `always`: also where the outlet has had enough. */
  tellEvent(event: UserEvent, always?: boolean): void
}

/** What the frame handlers use of their connection. */
export interface Connection {
  readonly around: Surroundings
  readonly address: string
  readonly framing: Framing
  readonly version: Version
  readonly identity: Identity
  readonly outlet: Outlet
  readonly subscriptions: Map<string, Subscribed>
  readonly transactions: Transactions
  readonly own: OwnEvents
  /** Takes effect at once: CONNECTED is written, later frames are read in the new version. Throws TOO_MANY_CONNECTIONS. */
  login(login: Login): void
  /** Replaces the identity by a later one of the same user. */
  renew(identity: Identity): void
  /** Tells the user's own queue 30 s before the identity ends; where that has been, again at once. */
  watchNotice(): void
  /**
   * Runs `work` after all earlier work of this connection for `room`, at once where there is none. Not at all, if the
   * connection has failed.
   */
  inOrder<T>(room: RoomId, work: () => T | Promise<T>): T | Promise<T>
  /** Counts a SEND against the user's rate: past it no more is read for a while. */
  spend(): void
  /** Whether this user may say one more thing that is fleeting now; counts it. */
  maySignal(): boolean
  /** Drops the MESSAGE frames of a destination that wait for the transport. */
  drop(destination: string): void
  /** Whether this user and address may make one more room now; counts it. */
  mayMakeRoom(): boolean
  /** Resolves when everything that was under way before is done. */
  settled(): Promise<void>
  /** Ends the connection with an ERROR. */
  fail(error: HoofbeatError): void
}

/** What a frame came to. `headers` go onto its RECEIPT; `close`: the connection ends after it. */
export interface Outcome {
  readonly headers?: Readonly<Record<string, string>>
  readonly close?: true
}

/** Handles one frame: returns its outcome at once, or when it is done. Throws and rejects with what ERROR says. */
export type FrameHandler = (connection: Connection, frame: Frame) => Outcome | Promise<Outcome>

export const DONE: Outcome = {}
