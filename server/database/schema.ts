import type { ColumnType, Expression, Generated, Insertable, Selectable } from 'kysely'

/**
 * A point in time: read as epoch ms; written as `at(ms)`, or as SQL's own `now()` with `sql<number>`. A bare number where a
 * time is compared passes the compiler, and is refused by the database every time.
 */
type Time = ColumnType<number, Expression<number>, Expression<number>>
/** The same, set by the database where it is left out. */
type Clocked = ColumnType<number, Expression<number> | undefined, Expression<number>>
type NullableTime = ColumnType<number | null, Expression<number> | null | undefined, Expression<number> | null>
/** May be left out: then it is empty. */
type Nullable<T> = ColumnType<T | null, T | null | undefined, T | null>
/** Numbered by the database, in an order that is not that of commits. */
type Numbered = ColumnType<bigint, never, never>
/** Never changed once it is written. */
type Fixed<T> = ColumnType<T, T, never>
type FixedOrNull<T> = ColumnType<T | null, T | null | undefined, never>

export interface Users {
  id: Fixed<string>
  /** Null once the account is deleted, with `name_key` and `password_hash`. */
  name: string | null
  name_key: string | null
  display_name: string
  status_text: Generated<string>
  password_hash: string | null
  is_admin: Generated<boolean>
  created_at: Clocked
  last_seen_at: NullableTime
  deleted_at: NullableTime
}

interface Sessions {
  id: Fixed<string>
  user_id: Fixed<string>
  /** `device`: renewed by refresh tokens; `connection`: ends with the connection that began it. */
  kind: Fixed<'device' | 'connection'>
  device: Generated<string>
  address: Generated<string>
  /** Of the newest refresh token. */
  generation: Generated<number>
  /** When that one became the newest. */
  rotated_at: Clocked
  created_at: Clocked
  last_seen_at: Clocked
  expires_at: Time
}

interface SigningKeys {
  id: Fixed<string>
  /** A JWK; written by `JSON.stringify`. */
  public_key: ColumnType<Record<string, string>, string, never>
  /** Encrypted with SESSION_SECRET. */
  private_key: Fixed<Buffer>
  created_at: Clocked
}

export type AccessChangeKind = 'user' | 'session' | 'room' | 'visibility' | 'member' | 'role' | 'ban' | 'block'

interface AccessChanges {
  id: Numbered
  /** When the row was written, not when it was committed. */
  at: Clocked
  kind: Fixed<AccessChangeKind>
  user_id: FixedOrNull<string>
  room_id: FixedOrNull<string>
  session_id: FixedOrNull<string>
  other_id: FixedOrNull<string>
}

/** `low_id` is the lesser of the two by code units. */
interface Friendships {
  low_id: Fixed<string>
  high_id: Fixed<string>
  requester_id: string
  state: Generated<'requested' | 'accepted'>
  created_at: Clocked
  accepted_at: NullableTime
}

interface Blocks {
  user_id: Fixed<string>
  blocked_id: Fixed<string>
  created_at: Clocked
}

export type Visibility = 'public' | 'private' | 'direct'

interface Rooms {
  id: Fixed<string>
  visibility: Visibility
  /** Null, with `name_key`, in direct rooms. */
  name: Nullable<string>
  name_key: Nullable<string>
  /** Of a direct room: the ids of the two, in order. Null in any other. */
  pair: FixedOrNull<string>
  about: Generated<string>
  /** Kept by whoever adds or removes members, with the room's row locked. */
  member_count: Generated<number>
  max_members: Generated<number>
  created_by: Nullable<string>
  created_at: Clocked
  last_message_at: Clocked
}

export type Role = 'owner' | 'admin' | 'member'

interface Members {
  room_id: Fixed<string>
  user_id: Fixed<string>
  role: Generated<Role>
  /** The user's. */
  name_key: Fixed<string>
  joined_at: Clocked
}

interface Bans {
  room_id: Fixed<string>
  user_id: Fixed<string>
  banned_by: Nullable<string>
  created_at: Clocked
}

interface Invitations {
  id: Fixed<string>
  room_id: Fixed<string>
  inviter_id: string
  invitee_id: Fixed<string>
  /** A pending one past `expires_at` counts as expired. */
  state: Generated<'pending' | 'accepted' | 'declined' | 'revoked' | 'expired'>
  created_at: Clocked
  expires_at: Time
  decided_at: NullableTime
}

interface InvitationLinks {
  id: Fixed<string>
  room_id: Fixed<string>
  /** SHA-256 of the link's 128 bits, in hex. */
  token_hash: Fixed<string>
  created_by: Nullable<string>
  created_at: Clocked
  expires_at: NullableTime
  max_uses: Nullable<number>
  uses: Generated<number>
  revoked_at: NullableTime
}

interface Notifications {
  id: Fixed<string>
  user_id: Fixed<string>
  kind: Fixed<'invited' | 'requested' | 'mentioned'>
  /** What it is about, in the writer's words; unique with `user_id` and `kind`. */
  subject: Fixed<string>
  actor_id: Nullable<string>
  room_id: Nullable<string>
  created_at: Clocked
  read_at: NullableTime
}

interface IdempotencyKeys {
  scope: Fixed<string>
  key: Fixed<string>
  request_hash: Fixed<string>
  status: Fixed<number>
  body: Fixed<string>
  ids: Fixed<string[]>
  created_at: Clocked
}

interface Audit {
  id: Numbered
  at: Clocked
  actor_id: Fixed<string>
  act: Fixed<string>
  user_id: FixedOrNull<string>
  room_id: FixedOrNull<string>
  address: Generated<string>
  /** Written by `JSON.stringify`. */
  detail: ColumnType<Record<string, unknown>, string | undefined, never>
}

interface Outbox {
  id: Numbered
  entry_id: Fixed<string>
  room_id: Fixed<string>
  act: Fixed<'append' | 'remove'>
  sender: FixedOrNull<string>
  /** Pairs of name and value, in order; written by `JSON.stringify`. */
  headers: ColumnType<[name: string, value: string][] | null, string | null | undefined, never>
  body: FixedOrNull<Buffer>
  created_at: Clocked
  claimed_until: NullableTime
}

/** A life of a room's log. */
interface RoomEpochs {
  room_id: Fixed<string>
  generation: Fixed<number>
  epoch: Fixed<string>
  /** What lies before it is in `messages`. */
  next_offset: Generated<bigint>
}

export type MessageKind = 'message' | 'system' | 'unreadable'

interface Messages {
  room_id: Fixed<string>
  generation: Fixed<number>
  at_offset: Fixed<bigint>
  kind: Fixed<MessageKind>
  /** Null where it is unreadable. */
  sender: FixedOrNull<string>
  to_user: FixedOrNull<string>
  body: Generated<string>
  /** Pairs of name and value, in order; written by `JSON.stringify`. */
  headers: ColumnType<[name: string, value: string][] | null, string | null | undefined, null>
  entry_id: FixedOrNull<string>
  created_at: Time
  changed_offset: bigint
  edited_at: NullableTime
  deleted_at: NullableTime
}

interface Reactions {
  room_id: Fixed<string>
  generation: Fixed<number>
  at_offset: Fixed<bigint>
  user_id: Fixed<string>
  emoji: Fixed<string>
  created_at: Time
}

interface Reads {
  room_id: Fixed<string>
  user_id: Fixed<string>
  generation: number
  at_offset: bigint
}

/** One of the two is given, or both. */
interface Erasures {
  id: Numbered
  user_id: FixedOrNull<string>
  room_id: FixedOrNull<string>
  created_at: Clocked
}

/** Every table. `int8` is read as bigint (counts too: `count(*)::int` is a number), times as epoch ms, bytea as Buffer. */
export interface Schema {
  users: Users
  sessions: Sessions
  signing_keys: SigningKeys
  access_changes: AccessChanges
  friendships: Friendships
  blocks: Blocks
  rooms: Rooms
  members: Members
  bans: Bans
  invitations: Invitations
  invitation_links: InvitationLinks
  notifications: Notifications
  idempotency_keys: IdempotencyKeys
  audit: Audit
  outbox: Outbox
  room_epochs: RoomEpochs
  messages: Messages
  reactions: Reactions
  reads: Reads
  erasures: Erasures
}

export type Row<Table extends keyof Schema> = Selectable<Schema[Table]>
export type NewRow<Table extends keyof Schema> = Insertable<Schema[Table]>
