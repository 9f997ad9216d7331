-- Messages, which are copied here from the rooms' logs, and how far people have read. README.md tells what each table is for.

create table room_epochs (
  room_id text collate "C" not null references rooms on delete cascade,
  -- Counts the lives of the room's log: all of a later one comes after all of an earlier one.
  generation integer not null,
  epoch text collate "C" not null,
  -- What lies before it has been copied.
  next_offset bigint not null default 0,
  primary key (room_id, generation),
  unique (room_id, epoch),
  constraint room_epochs_place check (generation > 0 and next_offset >= 0)
);

-- Their order is that of (generation, at_offset). Nothing is referenced: what goes with a room or an account is too much for
-- the transaction that ends it, see `erasures`.
create table messages (
  room_id text collate "C" not null,
  generation integer not null,
  at_offset bigint not null,
  -- `unreadable`: a record that is no text, or not of this server.
  kind text not null,
  sender text collate "C",
  -- Of a whisper: who may see it, beside its sender.
  to_user text collate "C",
  -- Empty once it is deleted.
  body text not null default '',
  -- Pairs of name and value, in order.
  headers json,
  -- Of what the transactional outbox has appended: a repeat is passed over.
  entry_id text collate "C",
  -- When the log took it, to be shown: it orders nothing.
  created_at timestamptz(3) not null,
  -- Of the record that has changed it last: its own, an edit, a reaction, a deletion.
  changed_offset bigint not null,
  edited_at timestamptz(3),
  deleted_at timestamptz(3),
  primary key (room_id, generation, at_offset),
  constraint messages_kind check (
    kind in ('message', 'system', 'unreadable') and (kind = 'unreadable') = (sender is null)
    and (kind = 'message' or num_nonnulls(to_user, edited_at, deleted_at) = 0)
  )
) partition by hash (room_id);
do $$ begin
  for i in 0 .. 7 loop
    execute format('create table messages_%s partition of messages for values with (modulus 8, remainder %s)', i, i);
  end loop;
end $$;
-- What counts as unread, without a look at the rows themselves.
create index messages_countable on messages (room_id, generation, at_offset) include (sender, to_user)
  where kind = 'message' and deleted_at is null;
create index messages_sender on messages (sender, room_id) where kind = 'message' and deleted_at is null;
create unique index messages_entry on messages (room_id, entry_id) where entry_id is not null;

create table reactions (
  room_id text collate "C" not null,
  generation integer not null,
  at_offset bigint not null,
  user_id text collate "C" not null,
  emoji text collate "C" not null,
  created_at timestamptz(3) not null,
  primary key (room_id, generation, at_offset, user_id, emoji)
);
create index reactions_user on reactions (user_id);

-- The last message that a member has read. Without a row: none. Whoever becomes a member starts at what was copied by then.
create table reads (
  room_id text collate "C" not null,
  user_id text collate "C" not null,
  generation integer not null,
  at_offset bigint not null,
  primary key (room_id, user_id),
  foreign key (room_id, user_id) references members on delete cascade
);

-- Whose messages have yet to go: of an account, or of a room. With both: a room that an account that is gone has yet to leave.
create table erasures (
  id bigint generated always as identity primary key,
  user_id text collate "C",
  room_id text collate "C",
  created_at timestamptz(3) not null default now(),
  constraint erasures_subject check (num_nonnulls(user_id, room_id) > 0)
);
