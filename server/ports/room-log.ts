/** A room's name: 1 to 120 of `A-Z a-z 0-9 . _ - / :`. */
export type RoomId = string
/** A record's place in its room's log. Grows with every record of the room; may skip numbers. */
export type Offset = bigint
/** One life of a room's log, as `[A-Za-z0-9]+`. A room that is removed and made again has another one. */
export type Epoch = string

export interface NewRecord {
  /** The authenticated user that sent it. Empty where nobody is known (written by an outsider). */
  readonly sender: string
  /** The user headers of the SEND frame, unescaped, in order. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
  /**
   * Makes a repeat safe: within the driver's idempotency window, a record of the same room, sender and key is not kept
   * again; `append` answers the position of the first one. At most 64 characters.
   */
  readonly key?: string
}

export interface LogRecord {
  readonly offset: Offset
  /** When the log took it, epoch ms. */
  readonly time: number
  readonly sender: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

export interface Position {
  readonly epoch: Epoch
  readonly offset: Offset
}

export interface Bounds {
  readonly epoch: Epoch
  /** The earliest offset that can still be read (or `next`, where there is none). */
  readonly first: Offset
  /** The offset after the newest record. */
  readonly next: Offset
}

/** Receives what is tailed. Both methods return at once and never throw. */
export interface Sink {
  /** Records of the room, in order, each exactly once, never empty. The callee may keep them. */
  records(batch: readonly LogRecord[]): void
  /**
   * The tail is over and nothing more comes. Without `error` it was stopped or the driver closed.
   * NO_SUCH_ROOM: the room was removed. Any other error: there is a break, tail again from where you are.
   */
  end(error?: Error): void
}

export interface Tail {
  readonly epoch: Epoch
  /** The first offset that the tail delivers, if it exists: at or after the one asked for. */
  readonly next: Offset
  /** After it returns the sink is not called any more, `end` included. */
  stop(): void
}

/**
 * A log a room: the only way by which a message gets from one client to another.
 *
 * All methods reject with `LOG_UNAVAILABLE` where the log cannot be reached, and with `NO_SUCH_ROOM` where the room does
 * not exist (except `create` and `remove`).
 */
export interface RoomLog {
  /**
   * Makes those of `rooms` that do not exist. When it resolves every one can be appended to, tailed and read.
   * Rejects with TOO_MANY_ROOMS, having made none of them, where that would pass the driver's `roomsMax`.
   */
  create(rooms: readonly RoomId[]): Promise<void>

  /**
   * Appends `records` together or not at all, and resolves with their positions when they are durable.
   * The order of calls for a room is the order of their records; but while it is found out whether a key was used already,
   * only calls with the same sender wait for that one. A rejection with LOG_UNAVAILABLE leaves open whether
   * they were kept; any other rejection means that they were not. FRAME_TOO_LARGE: they do not fit into one write.
   */
  append(room: RoomId, records: readonly NewRecord[]): Promise<Position[]>

  /**
   * Hands every record from `from` on (`'end'`: every one appended from now on) to `sink`, in batches, in order, each
   * once, through any outage of the log. Resolves when the start is fixed: what is appended after that is delivered.
   * A `from` before the earliest kept offset, or after the end, starts at the earliest: compare `Tail.next`.
   * Records are as new as the driver can make them: a record reaches the sink as soon as it is durable.
   */
  tail(room: RoomId, from: Offset | 'end', sink: Sink): Promise<Tail>

  /**
   * The records from `from` on, in order, at most `limit` and about 1 MiB, at least one where there is any: an empty
   * answer means that no record at or after `from` was in the log. Whatever this driver has shown before through any of
   * its methods counts as in the log. A `from` before the earliest kept offset reads from the earliest.
   */
  read(room: RoomId, from: Offset, limit: number): Promise<LogRecord[]>

  /** Where the log begins and ends now. `next` is beyond everything this driver has shown before. */
  bounds(room: RoomId): Promise<Bounds>

  /**
   * Removes the room, or (with `before`) the records before that offset. A room that does not exist is fine.
   * Tails of a removed room end with NO_SUCH_ROOM. Records that lie before `before` may be seen a little longer.
   */
  remove(room: RoomId, before?: Offset): Promise<void>
}
