import { sql, type RawBuilder } from 'kysely'
import t from 'tap'
import { testDatabases } from '../testkit/database.ts'
import { transaction } from './database.ts'

const user = (id: string) =>
  sql`insert into users (id, name, name_key, display_name, password_hash) values (${id}, ${id}, ${id}, ${id}, 'x')`
const room = (id: string, visibility = 'private', most = 3) => {
  const [name, pair] = visibility === 'direct' ? [null, id] : [id, null]
  return sql`insert into rooms (id, visibility, name, name_key, pair, max_members)
    values (${id}, ${visibility}, ${name}, ${name}, ${pair}, ${most})`
}
const member = (room: string, user: string, role = 'member') =>
  sql`insert into members (room_id, user_id, role, name_key) values (${room}, ${user}, ${role}, ${user})`
const invitation = (id: string, state = 'pending') => {
  const decided = state === 'pending' ? null : new Date()
  return sql`insert into invitations (id, room_id, inviter_id, invitee_id, state, expires_at, decided_at)
    values (${id}, 'r', 'ann', 'bob', ${state}, now(), ${decided})`
}

await testDatabases(t, async (t, { db, kind }) => {
  await t.test('what can never be', async t => {
    for (const id of ['ann', 'bob', 'cyd']) await user(id).execute(db)
    await room('r').execute(db)
    await member('r', 'ann', 'owner').execute(db)
    await invitation('i').execute(db)
    await invitation('declined', 'declined').execute(db)
    await sql`insert into friendships (low_id, high_id, requester_id) values ('ann', 'bob', 'bob')`.execute(db)
    await sql`insert into invitation_links (id, room_id, token_hash, max_uses, uses) values ('l', 'r', 'h', 1, 1)`.execute(
      db,
    )

    const never: [constraint: string, statement: RawBuilder<unknown>][] = [
      ['users_name_key_key', sql`update users set name_key = 'ann' where id = 'bob'`],
      ['users_deleted', sql`update users set deleted_at = now() where id = 'bob'`],
      ['users_deleted', sql`update users set name = null, name_key = null, password_hash = null where id = 'bob'`],
      ['members_pkey', member('r', 'ann')],
      ['members_owner', member('r', 'bob', 'owner')],
      ['members_role', member('r', 'bob', 'king')],
      ['rooms_visibility', room('s', 'secret')],
      ['rooms_members', sql`update rooms set member_count = 4 where id = 'r'`],
      ['rooms_members', sql`update rooms set member_count = -1 where id = 'r'`],
      ['rooms_members', room('s', 'public', 50_001)],
      ['rooms_members', room('s', 'direct', 3)],
      ['rooms_pair', sql`update rooms set pair = 'ann bob' where id = 'r'`],
      ['rooms_pair', sql`insert into rooms (id, visibility, max_members) values ('s', 'direct', 2)`],
      ['rooms_name', sql`update rooms set name = null, name_key = null where id = 'r'`],
      ['invitations_pending', invitation('j')],
      ['invitations_state', sql`update invitations set state = 'accepted' where id = 'i'`],
      ['invitations_self', sql`update invitations set invitee_id = inviter_id where id = 'i'`],
      ['invitation_links_uses', sql`update invitation_links set uses = 2 where id = 'l'`],
      ['friendships_pkey', sql`insert into friendships (low_id, high_id, requester_id) values ('ann', 'bob', 'ann')`],
      ['friendships_order', sql`insert into friendships (low_id, high_id, requester_id) values ('cyd', 'bob', 'cyd')`],
      ['friendships_requester', sql`update friendships set requester_id = 'cyd'`],
      ['friendships_state', sql`update friendships set state = 'accepted'`],
      ['blocks_self', sql`insert into blocks (user_id, blocked_id) values ('ann', 'ann')`],
      ['access_changes_subject', sql`insert into access_changes (kind, user_id) values ('member', 'ann')`],
      ['access_changes_kind', sql`insert into access_changes (kind, user_id) values ('mood', 'ann')`],
      ['outbox_act', sql`insert into outbox (entry_id, room_id, act) values ('e', 'r', 'append')`],
    ]
    for (const [constraint, statement] of never) {
      t.match(await statement.execute(db).catch((error: unknown) => error), { constraint })
    }
  })

  await t.test('an owner hands the room on', async t => {
    await member('r', 'bob').execute(db)
    await transaction(db, async tx => {
      await sql`update members set role = 'member' where room_id = 'r' and role = 'owner'`.execute(tx)
      await sql`update members set role = 'owner' where room_id = 'r' and user_id = 'bob'`.execute(tx)
    })
    const { rows } = await sql`select user_id from members where role = 'owner'`.execute(db)
    t.same(rows, [{ user_id: 'bob' }])
  })

  await t.test('a deleted account leaves its id and nothing else, and its name is free', async t => {
    await sql`update users set deleted_at = now(), name = null, name_key = null, password_hash = null, display_name = ''
      where id = 'cyd'`.execute(db)
    await sql`update users set name = 'cyd', name_key = 'cyd' where id = 'bob'`.execute(db)
    const { rows } = await sql`select id from users where name_key is null`.execute(db)
    t.same(rows, [{ id: 'cyd' }])
  })

  await t.test('a deleted room takes along all that is of it', async t => {
    await sql`delete from rooms where id = 'r'`.execute(db)
    for (const table of ['members', 'bans', 'invitations', 'invitation_links']) {
      const { rows } = await sql`select 1 from ${sql.table(table)}`.execute(db)
      t.same(rows, [], table)
    }
  })

  await t.test('names sort and are found by their bytes, by index, whatever the database’s own order', async t => {
    for (const name of ['zoe', 'Zed', 'anna', 'ann-1', 'änne', '안나']) await user(name).execute(db)
    const { rows } = await sql<{
      name_key: string
    }>`select name_key from users where name_key is not null order by name_key`.execute(db)
    const names = rows.map(({ name_key }) => name_key)
    t.same(
      names,
      names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    )
    const plan = await transaction(db, async tx => {
      for (const way of ['seqscan', 'bitmapscan', 'sort']) await sql.raw(`set local enable_${way} = off`).execute(tx)
      return sql`explain select id from users where name_key like 'ann%' order by name_key limit 10`.execute(tx)
    })
    t.match(JSON.stringify(plan.rows), /Index Cond: \(\(name_key >= 'ann'::text\) AND \(name_key < 'ano'::text\)\)/)
    t.notMatch(JSON.stringify(plan.rows), /Sort/)
    if (kind === 'embedded') return
    const { rows: own } = await sql<{ own: boolean }>`select 'Zed' > 'anna' as own`.execute(db)
    t.same(own, [{ own: true }], 'the PostgreSQL of the tests has another order')
  })
})
