import type { Offset } from './room-log.ts'

/** Stands for one use of an idempotency key: one life of a room, one sender, one key. At most 64 of `A-Z a-z 0-9 _ -`. */
export type ClaimId = string

/** Somebody's intent to write what an id stands for. No two claims are the same, also of one writer for one id. */
export interface Claim {
  readonly token: string
  /** When it was made by the clock of the claims, epoch ms. What is written for it has this very time. */
  readonly at: number
}

/** What became of a try to claim ids. */
export type Claiming =
  /** Those of the ids that are not `settled` are ours, by this claim. */
  | { readonly kind: 'taken'; readonly claim: Claim; readonly settled: ReadonlyMap<ClaimId, Offset> }
  /** At least one is claimed by somebody else, since `age` ms; nothing was taken. */
  | { readonly kind: 'held'; readonly by: Claim; readonly age: number }
  /**
   * Claims that were made before `since` (epoch ms by the clock of the claims, `age` ms ago) are forgotten, and the room
   * is not `known`: whether an id is free nobody can say. Nothing was taken.
   */
  | { readonly kind: 'young'; readonly since: number; readonly age: number }

/**
 * Who is writing, or has written, what an idempotency key stands for: shared by all nodes that write to the same log.
 * A claim is remembered for the window that the driver was opened with, counted from when it was made.
 *
 * It may forget everything at any time, as long as it knows that it has. One that serves a single process may also be full: it
 * then forgets its oldest claims, open ones too, and `since` stays, as a look back into the log would not end. A key holds there
 * until so many others were used. All methods reject with `LOG_UNAVAILABLE` where
 * it cannot be reached for as long as the driver was told to wait; then what was asked may have been done, or not.
 */
export interface Claims {
  /** Since when nothing was forgotten, epoch ms, as last heard; undefined while it cannot be reached. */
  readonly since: number | undefined

  /**
   * Claims those of `ids` that are not settled, in one step: all of them or none.
   * @param room the life of the room that all of them are about
   * @param lost tokens of claims that have written nothing and never will: what they hold is free
   */
  claim(room: string, ids: readonly ClaimId[], lost?: readonly string[]): Promise<Claiming>

  /**
   * Says where the ids that `claim` holds were written, or (undefined) that they were not and never will be by this
   * claim. What is not held by it any more stays as it is.
   */
  settle(claim: Claim, outcomes: ReadonlyMap<ClaimId, Offset | undefined>): Promise<void>

  /** Settles ids that nobody holds, as written at `time` (epoch ms). Others stay as they are. */
  remember(written: ReadonlyMap<ClaimId, { readonly offset: Offset; readonly time: number }>): Promise<void>

  /** Of this room nothing is forgotten any more: `remember` has had it all. In vain if it has forgotten after `since`. */
  known(room: string, since: number): Promise<void>
}
