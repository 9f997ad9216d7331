-- People, rooms, and what goes with them. README.md tells what each table is for.
--
-- Ids are text that the server made: opaque, never used twice. `collate "C"` compares bytes, so that an index serves both
-- the order of a list and the search for a prefix, on every installation alike. Times are kept to the millisecond, which
-- is what the server knows.

create table users (
  id text collate "C" primary key,
  -- As it was signed up with; with its key it is empty once the account is deleted, so that the name is free again.
  name text,
  name_key text collate "C" unique,
  display_name text not null,
  status_text text not null default '',
  password_hash text,
  is_admin boolean not null default false,
  created_at timestamptz(3) not null default now(),
  last_seen_at timestamptz(3),
  deleted_at timestamptz(3),
  constraint users_deleted check (
    num_nonnulls(name, name_key, password_hash) = case when deleted_at is null then 3 else 0 end
    and not (is_admin and deleted_at is not null)
  )
);
create index users_admins on users (id) where is_admin;

create table sessions (
  id text collate "C" primary key,
  user_id text collate "C" not null references users on delete cascade,
  -- `device`: renewed by refresh tokens. `connection`: begun by CONNECT with a password, ends with its connection.
  kind text not null,
  device text not null default '',
  address text not null default '',
  -- The newest refresh token, and since when it is the newest.
  generation integer not null default 0,
  rotated_at timestamptz(3) not null default now(),
  created_at timestamptz(3) not null default now(),
  last_seen_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  constraint sessions_kind check (kind in ('device', 'connection')),
  constraint sessions_generation check (generation >= 0)
);
create index sessions_user on sessions (user_id, created_at, id);
create index sessions_expiry on sessions (expires_at);

-- What access tokens are signed with, the newest first. The private key is encrypted with SESSION_SECRET.
create table signing_keys (
  id text collate "C" primary key,
  public_key jsonb not null,
  private_key bytea not null,
  created_at timestamptz(3) not null default now()
);

-- Rights that ended. Rows outlive what they speak of, so nothing is referenced.
create table access_changes (
  id bigint generated always as identity primary key,
  at timestamptz(3) not null default clock_timestamp(),
  kind text not null,
  user_id text collate "C",
  room_id text collate "C",
  session_id text collate "C",
  -- The other side of a block.
  other_id text collate "C",
  constraint access_changes_kind check (
    kind in ('user', 'session', 'room', 'visibility', 'member', 'role', 'ban', 'block')
  ),
  constraint access_changes_subject check (
    case kind
      when 'user' then user_id is not null
      when 'session' then user_id is not null and session_id is not null
      when 'block' then user_id is not null and other_id is not null
      when 'room' then room_id is not null
      when 'visibility' then room_id is not null
      else user_id is not null and room_id is not null
    end
  )
);
create index access_changes_at on access_changes (at);

-- One row for two people, whoever asked first: `low` is the lesser of the two ids.
create table friendships (
  low_id text collate "C" not null references users on delete cascade,
  high_id text collate "C" not null references users on delete cascade,
  requester_id text collate "C" not null,
  state text not null default 'requested',
  created_at timestamptz(3) not null default now(),
  accepted_at timestamptz(3),
  primary key (low_id, high_id),
  constraint friendships_order check (low_id < high_id),
  constraint friendships_requester check (requester_id in (low_id, high_id)),
  constraint friendships_state check (
    state in ('requested', 'accepted') and (state = 'accepted') = (accepted_at is not null)
  )
);
create index friendships_high on friendships (high_id, low_id);

create table blocks (
  user_id text collate "C" not null references users on delete cascade,
  blocked_id text collate "C" not null references users on delete cascade,
  created_at timestamptz(3) not null default now(),
  primary key (user_id, blocked_id),
  constraint blocks_self check (user_id <> blocked_id)
);
create index blocks_blocked on blocks (blocked_id, user_id);

create table rooms (
  id text collate "C" primary key,
  visibility text not null,
  -- Direct rooms have no name: each of the two sees the other's.
  name text,
  name_key text collate "C",
  -- Of a direct room: whose it is, so that there is one for each two people.
  pair text collate "C" unique,
  about text not null default '',
  -- Of all members; kept by whoever adds or removes one, with this row locked.
  member_count integer not null default 0,
  max_members integer not null default 100,
  -- Empty once that account's row is gone.
  created_by text collate "C" references users on delete set null,
  created_at timestamptz(3) not null default now(),
  last_message_at timestamptz(3) not null default now(),
  constraint rooms_visibility check (visibility in ('public', 'private', 'direct')),
  constraint rooms_name check (num_nonnulls(name, name_key) = case when visibility = 'direct' then 0 else 2 end),
  constraint rooms_pair check ((pair is not null) = (visibility = 'direct')),
  constraint rooms_members check (
    member_count between 0 and max_members and max_members between 1 and 50000
    and (visibility <> 'direct' or max_members = 2)
  )
);
create index rooms_public on rooms (name_key, id) where visibility = 'public';

create table members (
  room_id text collate "C" not null references rooms on delete cascade,
  user_id text collate "C" not null references users on delete cascade,
  role text not null default 'member',
  -- The user's, which never changes: the list of a room's members goes by it.
  name_key text collate "C" not null,
  joined_at timestamptz(3) not null default now(),
  primary key (room_id, user_id),
  constraint members_role check (role in ('owner', 'admin', 'member'))
);
create index members_user on members (user_id, room_id);
create index members_name on members (room_id, name_key, user_id);
create unique index members_owner on members (room_id) where role = 'owner';

create table bans (
  room_id text collate "C" not null references rooms on delete cascade,
  user_id text collate "C" not null references users on delete cascade,
  banned_by text collate "C" references users on delete set null,
  created_at timestamptz(3) not null default now(),
  primary key (room_id, user_id)
);
create index bans_user on bans (user_id, room_id);

create table invitations (
  id text collate "C" primary key,
  room_id text collate "C" not null references rooms on delete cascade,
  inviter_id text collate "C" not null references users on delete cascade,
  invitee_id text collate "C" not null references users on delete cascade,
  -- A pending one whose time has passed counts as expired, whether or not that has been written down.
  state text not null default 'pending',
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  decided_at timestamptz(3),
  constraint invitations_state check (
    state in ('pending', 'accepted', 'declined', 'revoked', 'expired') and (state = 'pending') = (decided_at is null)
  ),
  constraint invitations_self check (inviter_id <> invitee_id)
);
create unique index invitations_pending on invitations (room_id, invitee_id) where state = 'pending';
create index invitations_due on invitations (expires_at) where state = 'pending';
create index invitations_invitee on invitations (invitee_id, created_at desc, id);
create index invitations_room on invitations (room_id, created_at desc, id);
create index invitations_inviter on invitations (inviter_id, created_at);

create table invitation_links (
  id text collate "C" primary key,
  room_id text collate "C" not null references rooms on delete cascade,
  -- SHA-256 of the 128 bits in the link, in hex: the link itself is shown once.
  token_hash text collate "C" not null unique,
  created_by text collate "C" references users on delete set null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3),
  -- Empty: any number.
  max_uses integer,
  uses integer not null default 0,
  revoked_at timestamptz(3),
  constraint invitation_links_uses check (uses >= 0 and max_uses >= 1 and uses <= max_uses)
);
create index invitation_links_room on invitation_links (room_id, created_at, id);

create table notifications (
  id text collate "C" primary key,
  user_id text collate "C" not null references users on delete cascade,
  kind text not null,
  -- What it is about, in the writer's words: a repeat changes nothing.
  subject text collate "C" not null,
  actor_id text collate "C" references users on delete cascade,
  room_id text collate "C" references rooms on delete cascade,
  created_at timestamptz(3) not null default now(),
  read_at timestamptz(3),
  constraint notifications_kind check (kind in ('invited', 'requested', 'mentioned')),
  unique (user_id, kind, subject)
);
create index notifications_user on notifications (user_id, created_at desc, id);
create index notifications_unread on notifications (user_id) where read_at is null;
create index notifications_actor on notifications (actor_id);
create index notifications_room on notifications (room_id);

-- What a POST with an Idempotency-Key was answered. `scope` is whoever sent it: a user, or an address before there is one.
create table idempotency_keys (
  scope text collate "C" not null,
  key text collate "C" not null,
  -- Of method, path and body: the same key with another request is refused.
  request_hash text not null,
  status integer not null,
  body text not null,
  -- All ids in the body: what is said of somebody is found when they go.
  ids text[] not null,
  created_at timestamptz(3) not null default now(),
  primary key (scope, key)
);
create index idempotency_keys_ids on idempotency_keys using gin (ids);
create index idempotency_keys_age on idempotency_keys (created_at);

-- What an admin did. Rows outlive whom they speak of.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz(3) not null default clock_timestamp(),
  actor_id text collate "C" not null,
  act text not null,
  user_id text collate "C",
  room_id text collate "C",
  address text not null default '',
  detail jsonb not null default '{}'
);

-- The transactional outbox: what SQL has decided and a room's log has yet to show. Gone once the log has it.
create table outbox (
  id bigint generated always as identity primary key,
  -- The entry's own, in the record's headers: a reader that has seen it passes over a repeat.
  entry_id text collate "C" not null,
  room_id text collate "C" not null,
  act text not null,
  sender text,
  -- Pairs of name and value, in order.
  headers json,
  body bytea,
  created_at timestamptz(3) not null default now(),
  -- Until then some node is at it.
  claimed_until timestamptz(3),
  constraint outbox_act check (
    act in ('append', 'remove') and num_nonnulls(sender, headers, body) = case act when 'append' then 3 else 0 end
  )
);
create index outbox_room on outbox (room_id, id);
