/**
 * A database of some size, made in SQL: 100,000 people, 10,000 rooms, and what goes with them. Who is where follows from
 * numbers alone, so that loads know it too.
 */
import pg from 'pg'

const USERS = 100_000
const ROOMS = 10_000
/** Of each room but the great one and the direct ones. */
const MEMBERS = 106
/** The first room's. */
const GREAT = 50_000
/** The last rooms are of two people. */
const DIRECT = 1_000
/** They are members of `BUSY_ROOMS` rooms, from the second one on. */
const BUSY_USERS = 50
export const BUSY_ROOMS = 500
/** Of those after them, each is a member of `LISTED_ROOMS` rooms and a few more. */
const LISTED_USERS = 50
const LISTED_ROOMS = 60
/** Messages in each room, and in the first `LONG_ROOMS` after the great one. */
const MESSAGES = 20
const LONG = 2_000
const LONG_ROOMS = 50
/** People who come, each a friend of all those who see them. */
const COMERS = { from: 1_001, count: 30 }
const FRIENDS = { from: 2_001, count: 100 }

export const PASSWORD = 'correct horse'

export const userName = (number: number): string => `user${String(number).padStart(7, '0')}`
export const roomId = (number: number): string => `r${String(number).padStart(7, '0')}`

const range = ({ from, count }: { readonly from: number; readonly count: number }): number[] =>
  Array.from({ length: count }, (_, i) => from + i)

export const busy = range({ from: 1, count: BUSY_USERS })
export const listed = range({ from: 1 + BUSY_USERS, count: LISTED_USERS })
export const comers = range(COMERS)
export const friends = range(FRIENDS)
/** The members of a room that is neither the great one nor direct, its owner first; busy and listed users are left out. */
export const membersOf = (room: number): number[] =>
  Array.from({ length: MEMBERS }, (_, k) => ((room * 7_919 + k * 104_729) % USERS) + 1).filter(
    (user, k) => k === 0 || user > BUSY_USERS + LISTED_USERS,
  )

const user = (number: string): string => `'u' || lpad((${number})::text, 7, '0')`
const name = (number: string): string => `'user' || lpad((${number})::text, 7, '0')`
const room = (number: string): string => `'r' || lpad((${number})::text, 7, '0')`
const numbers = (from: number, to: number, as: string): string => `generate_series(${from}, ${to}) as ${as}`
const member = `(r * 7919 + k * 104729) % ${USERS} + 1`
/** Who has written the message at `o`: the members in turn. */
const writer = `case when r = 1 then o + 1 when r > ${ROOMS - DIRECT} then r + o % 2
  else (r * 7919 + o % ${MEMBERS} * 104729) % ${USERS} + 1 end`
/** Of the busy and the listed, how many messages of a room they have not read: of every tenth room more than are counted. */
const behind = '(case when r % 10 = 0 then 1100 else (i * 7 + r * 13) % 100 end)'
const length = `(case when r between 2 and ${LONG_ROOMS + 1} then ${LONG} else ${MESSAGES} end)`

/** `$1` in the first: the hash of everybody's password. */
const statements: readonly string[] = [
  `insert into users (id, name, name_key, display_name, password_hash, created_at)
    select ${user('i')}, ${name('i')}, ${name('i')}, 'User ' || i, $1, now() - interval '30 days'
    from ${numbers(1, USERS, 'i')}`,
  `insert into rooms (id, visibility, name, name_key, max_members, created_by, created_at, last_message_at)
    select ${room('r')}, case when r = 1 or r % 3 = 0 then 'public' else 'private' end, 'Room ' || r, 'room ' || r,
      50000, ${user('1')}, now() - interval '20 days', now() - r * interval '1 minute'
    from ${numbers(1, ROOMS - DIRECT, 'r')}`,
  `insert into rooms (id, visibility, pair, max_members, member_count, created_by, created_at, last_message_at)
    select ${room('r')}, 'direct', ${user('r')} || ' ' || ${user('r + 1')}, 2, 2, ${user('r')}, now() - interval '20 days', now() - r * interval '1 minute'
    from ${numbers(ROOMS - DIRECT + 1, ROOMS, 'r')}`,
  `insert into members (room_id, user_id, role, name_key)
    select ${room('1')}, ${user('i')}, case when i = 1 then 'owner' else 'member' end, ${name('i')}
    from ${numbers(1, GREAT, 'i')}`,
  `insert into members (room_id, user_id, role, name_key)
    select ${room('r')}, ${user(member)}, case when k = 0 then 'owner' else 'member' end, ${name(member)}
    from ${numbers(2, ROOMS - DIRECT, 'r')}, ${numbers(0, MEMBERS - 1, 'k')}`,
  `insert into members (room_id, user_id, name_key)
    select ${room('r')}, ${user('r + k')}, ${name('r + k')}
    from ${numbers(ROOMS - DIRECT + 1, ROOMS, 'r')}, ${numbers(0, 1, 'k')}`,
  `insert into members (room_id, user_id, name_key)
    select ${room('r')}, ${user('i')}, ${name('i')}
    from ${numbers(1, BUSY_USERS, 'i')}, ${numbers(2, BUSY_ROOMS + 1, 'r')} on conflict do nothing`,
  `insert into members (room_id, user_id, name_key)
    select ${room('r')}, ${user('i')}, ${name('i')}
    from ${numbers(BUSY_USERS + 1, BUSY_USERS + LISTED_USERS, 'i')}, ${numbers(2, LISTED_ROOMS + 1, 'r')}
    on conflict do nothing`,
  `insert into room_epochs (room_id, generation, epoch, next_offset)
    select ${room('r')}, 1, 'e' || r, ${length} from ${numbers(1, ROOMS, 'r')}`,
  `insert into messages (room_id, generation, at_offset, kind, sender, body, created_at, changed_offset)
    select ${room('r')}, 1, o, 'message', ${user(writer)}, 'This is message ' || o || ' of room ' || r,
      now() - interval '19 days' + o * interval '10 minutes', o
    from ${numbers(1, ROOMS, 'r')}, lateral generate_series(0, ${length} - 1) as o`,
  `insert into reads (room_id, user_id, generation, at_offset)
    select room_id, user_id, 1, ${MESSAGES / 2} from members
    where room_id > ${room('1')} and substr(room_id, 2)::integer % 2 = 0`,
  `insert into reads (room_id, user_id, generation, at_offset)
    select ${room('r')}, ${user('i')}, 1, greatest(-1, ${length} - 1 - ${behind})
    from ${numbers(1, BUSY_USERS + LISTED_USERS, 'i')}, ${numbers(2, BUSY_ROOMS + 1, 'r')}
    where i <= ${BUSY_USERS} or r <= ${LISTED_ROOMS + 1}
    on conflict (room_id, user_id) do update set at_offset = excluded.at_offset`,
  `update rooms set member_count = counted.members
    from (select room_id, count(*) as members from members group by room_id) as counted where counted.room_id = id`,
  `insert into friendships (low_id, high_id, requester_id, state, accepted_at)
    select ${user('i')}, ${user('i + d')}, ${user('i')}, 'accepted', now()
    from ${numbers(1, USERS - 5, 'i')}, ${numbers(1, 5, 'd')}`,
  `insert into friendships (low_id, high_id, requester_id, state, accepted_at)
    select ${user('c')}, ${user('f')}, ${user('c')}, 'accepted', now()
    from ${numbers(COMERS.from, COMERS.from + COMERS.count - 1, 'c')},
      ${numbers(FRIENDS.from, FRIENDS.from + FRIENDS.count - 1, 'f')}`,
  `insert into friendships (low_id, high_id, requester_id)
    select ${user('i')}, ${user('i + 50')}, ${user('i')} from ${numbers(1, USERS - 50, 'i')}`,
  `insert into blocks (user_id, blocked_id)
    select ${user('i')}, ${user('i + 100')} from ${numbers(1, USERS - 100, 'i')}`,
  `insert into sessions (id, user_id, kind, device, expires_at)
    select 's' || i || '-' || d, ${user('i')}, 'device', 'a device', now() + interval '20 days'
    from ${numbers(1, USERS, 'i')}, ${numbers(1, 2, 'd')}`,
  `insert into invitations (id, room_id, inviter_id, invitee_id, state, created_at, expires_at, decided_at)
    select 'i' || i, ${room('i % 9000 + 1')}, ${user('i')}, ${user('i + 200')},
      case when i % 4 = 0 then 'pending' else 'declined' end, now() - interval '2 days', now() + interval '5 days',
      case when i % 4 = 0 then null else now() end
    from ${numbers(1, USERS - 200, 'i')}`,
  `insert into invitation_links (id, room_id, token_hash, created_by)
    select 'l' || r || '-' || d, ${room('r')}, md5(r || '-' || d), ${user('1')}
    from ${numbers(1, ROOMS - DIRECT, 'r')}, ${numbers(1, 3, 'd')}`,
  `insert into bans (room_id, user_id, banned_by)
    select ${room('r')}, ${user(`r + ${GREAT} + d`)}, ${user('1')}
    from ${numbers(1, ROOMS - DIRECT, 'r')}, ${numbers(1, 5, 'd')}
    where not exists (select from members m where m.room_id = ${room('r')} and m.user_id = ${user(`r + ${GREAT} + d`)})`,
  `insert into notifications (id, user_id, kind, subject, actor_id, read_at)
    select 'n' || i || '-' || d, ${user('i')}, 'mentioned', 'm' || d, ${user('i')}, case when d > 1 then now() end
    from ${numbers(1, USERS, 'i')}, ${numbers(1, 5, 'd')}`,
  `insert into idempotency_keys (scope, key, request_hash, status, body, ids)
    select ${user('i')}, 'a key', 'a hash', 201, '{}', array[${user('i')}] from ${numbers(1, USERS, 'i')}`,
  `insert into access_changes (at, kind, user_id, room_id)
    select now() - interval '1 hour' - i * interval '1 second', 'member', ${user(`i % ${USERS} + 1`)}, ${room('2')}
    from ${numbers(1, 2 * USERS, 'i')}`,
  `insert into audit (actor_id, act) select ${user('1')}, 'announce' from ${numbers(1, USERS, 'i')}`,
  `update users set is_admin = true where id = ${user('1')}`,
]

/** Fills a database that the migrations have made. Resolves with how many memberships there are. */
export const populate = async (url: string, hash: string): Promise<number> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    // What follows from numbers refers to nothing that is not there; to look for it takes most of the time.
    await client.query("set session_replication_role = 'replica'")
    for (const [i, text] of statements.entries()) await client.query(text, i === 0 ? [hash] : [])
    await client.query('vacuum analyze')
    const { rows } = await client.query<{ members: string }>('select count(*) as members from members')
    return Number(rows[0]!.members)
  } finally {
    await client.end()
  }
}
