import type { NewRecord, RoomId } from './room-log.ts'

/** What a CONNECT frame (or a renewal) brings. `token` is a JWT; with `login`, `passcode` may be a password. */
export interface Credentials {
  readonly login?: string
  readonly passcode?: string
  readonly token?: string
  /** Where they come from: tries are counted by it. */
  readonly address?: string
}

/** Who somebody is, and until when that holds. */
export interface Identity {
  /** Has the form that `isUser` asks for. */
  readonly user: string
  /** What people call them, which never changes. Absent where users have no other names. */
  readonly name?: string
  /** When the identity ends, epoch ms. Absent: never. */
  readonly expires?: number
  /** What it was signed in by. Absent where there are no sessions. */
  readonly session?: string
}

/** Rights that ended. `user` absent: anyone's; `room` absent: in any room. */
export interface AccessChange {
  readonly user?: string
  readonly room?: RoomId
  /** This session has ended, with everything that was signed in by it; no other right has. */
  readonly session?: string
  /** What `user` has written is erased from now on: see `Access.erased`. */
  readonly erased?: true
}

/**
 * Whether `name` can be a user: 1 to 128 characters, none of them a control character, none at either end white space.
 * Some clients trim what they read, so white space at the ends would make one user look like another.
 */
export const isUser = (name: string): boolean => /^[^\p{Cc}\p{Cs}]{1,128}$/u.test(name) && name.trim() === name

/** Who somebody is and what they may do. The rights belong to the identity that `authenticate` answered, not to a copy. */
export interface Access {
  /** Rejects with BAD_CREDENTIALS (TOKEN_EXPIRED where that alone is wrong). */
  authenticate(credentials: Credentials): Promise<Identity>
  /** A boolean where that is known at once: every page of a room's history asks. */
  mayRead(who: Identity, room: RoomId): boolean | Promise<boolean>
  /** The same: every SEND asks. */
  maySend(who: Identity, room: RoomId, record: NewRecord): boolean | Promise<boolean>
  /** `listener` is called whenever rights may have ended: check again whoever it concerns. */
  changes(listener: (change: AccessChange) => void): void
  /** The connection for which `authenticate` answered `who` is gone. */
  left?(who: Identity): void
  /**
   * Whether nobody is to be shown any more what `user` has written. Asked for every record that is read; answers at once. It
   * knows of all who were erased before the first `authenticate` resolves, and of others before `changes` tells of them. Absent
   * where nobody ever is.
   */
  erased?(user: string): boolean
}
