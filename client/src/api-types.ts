/** What the API takes and answers, as /docs describes it. Times are epoch ms. */

export interface Person {
  readonly id: string
  readonly name: string
  readonly displayName: string
  readonly statusText: string
}

export interface Account extends Person {
  readonly isAdmin: boolean
  readonly createdAt: number
}

/** The answer to who signs in. */
export interface Signed {
  readonly accessToken: string
  readonly expires: number
  readonly session: string
  readonly user: Account
}

/** A session: a device, or a connection that gave the password itself. */
export interface Device {
  readonly id: string
  readonly kind: 'device' | 'connection'
  /** As it named itself. */
  readonly device: string
  readonly address: string
  readonly createdAt: number
  readonly lastSeenAt: number
  readonly current: boolean
}

export type Role = 'owner' | 'admin' | 'member'
export type OpenVisibility = 'public' | 'private'

export interface RoomInfo {
  readonly id: string
  readonly visibility: OpenVisibility | 'direct'
  /** Direct rooms have none. */
  readonly name?: string
  readonly about: string
  readonly memberCount: number
  readonly maxMembers: number
  /** Absent: no member. */
  readonly role?: Role
  /** In a direct room, unless their account is gone. */
  readonly other?: Person
  readonly createdAt: number
  /** Where there is none, when it was made. */
  readonly lastMessageAt: number
  /** As of the message at `lastMessageAt`, 999 at most. Absent: no member. */
  readonly unread?: number
}

export interface Member {
  readonly person: Person
  readonly role: Role
  readonly joinedAt: number
}

export interface Ban {
  readonly person: Person
  readonly bannedAt: number
}

export interface Invitation {
  readonly id: string
  readonly room: { readonly id: string; readonly name: string; readonly about: string }
  readonly inviter: Person
  readonly invitee: Person
  readonly createdAt: number
  readonly expiresAt: number
}

export interface InvitationLink {
  readonly id: string
  readonly state: 'open' | 'revoked' | 'expired' | 'used up'
  readonly uses: number
  /** Absent: any number. */
  readonly maxUses?: number
  /** Absent: until it is revoked. */
  readonly expiresAt?: number
  readonly createdAt: number
}

export interface Friend {
  readonly person: Person
  /** Absent: cannot be told now. */
  readonly online?: boolean
  /** Absent: never seen. */
  readonly lastSeen?: number
  readonly since: number
}

/** How one stands to somebody: `requested` by me, `asked` by them. */
export interface Relation {
  readonly state: 'none' | 'requested' | 'asked' | 'friends'
  readonly blocking: boolean
}

/** Somebody, and since when: of a request, of a block. */
export interface Dated {
  readonly person: Person
  readonly at: number
}

export interface PresenceOf {
  readonly id: string
  readonly online: boolean
  readonly lastSeen?: number
}

export interface Notification {
  readonly id: string
  readonly kind: 'invited' | 'requested' | 'mentioned'
  readonly subject: string
  readonly actor?: Person
  readonly room?: string
  readonly createdAt: number
  readonly read: boolean
}

export interface Page<Item> {
  readonly items: readonly Item[]
  /** The `cursor` of the next page; absent: this is the last. */
  readonly next?: string
}
