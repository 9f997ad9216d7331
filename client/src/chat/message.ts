/** A room's name: 1 to 120 of `A-Z a-z 0-9 . _ - / :`. */
export type RoomId = string

export const isRoomId = (text: string): boolean => /^[A-Za-z0-9._\-/:]{1,120}$/.test(text)

/** One message of a room, as the room's log has it. */
export interface Message {
  /** `<epoch>-<offset>`, the same for everyone, on every node. */
  readonly id: string
  /** The user who sent it; empty where the server knows none. */
  readonly sender: string
  /** When the log took it, epoch ms. */
  readonly time: number
  readonly body: string
  /** Absent where the sender did not say: then it is text. */
  readonly contentType?: string
  /** What else it is than a message, such as `system`: what the server says of the room. */
  readonly type?: string
  /** The key of an own message that was sent from here: the same from pending to delivered. */
  readonly key?: string
  /** It cannot be read any more: its sender's account is gone. */
  readonly erased?: true
  /** Messages before this one can no longer be had. */
  readonly gap?: true
}

/** Why something failed. `code` is one of the server's error codes, or UNCERTAIN. */
export interface Problem {
  readonly code: string
  /** What the server said, in English. */
  readonly message: string
  /** What the server says to do. */
  readonly advice: string
}

/** A message of ours that the server has not confirmed yet. */
export interface Outgoing {
  /** The idempotency key: repeats under it are one message. */
  readonly key: string
  readonly room: RoomId
  readonly body: string
  /** When it was written, epoch ms. */
  readonly created: number
  /** When it was first put on the wire, epoch ms. */
  readonly attempted?: number
  /** The server refused it; it waits for `retry` or `discard`. */
  readonly failed?: Problem
}

/** A message's place in its room's log. */
export interface Place {
  readonly epoch: string
  readonly offset: bigint
}

/** Reads a message-id; undefined where it is not of the form `<epoch>-<offset>`. */
export const placeOf = (id: string): Place | undefined => {
  const match = /^([A-Za-z0-9]{1,64})-(\d{1,19})$/.exec(id)
  return match?.[1] && match[2] ? { epoch: match[1], offset: BigInt(match[2]) } : undefined
}
