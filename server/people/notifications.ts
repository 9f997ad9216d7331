import { sql, type SqlBool } from 'kysely'
import { at, rowsOf, type Db, type Tx } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import type { Row } from '../database/schema.ts'
import type { Telling } from './telling.ts'

type NotificationKind = Row<'notifications'>['kind']

/** What somebody is to be notified of. */
export interface News {
  readonly kind: NotificationKind
  /** What it is about, such as the id of an invitation: the same kind and subject is notified of once. */
  readonly subject: string
  /** Whose doing it is. */
  readonly actor: string
  readonly room?: string
}

/**
 * How many unread notifications one person may cause another: whoever floods somebody is not heard any more, and all others are.
 * Transactions that overlap do not see each other's: by as many as run at once it may be more.
 */
export const UNREAD_BY_ACTOR = 20
/** More unread ones than this are not counted. */
export const UNREAD_MOST = 999

/**
 * Keeps a notification for `user`. Resolves with what to tell when the transaction is committed; undefined: nothing, where
 * they have one of that kind and subject, where one of the two has blocked the other, or where the actor has had so many.
 */
export const notify = async (tx: Tx, user: string, news: News): Promise<Telling | undefined> =>
  (await notifyAll(tx, [{ user, ...news }]))[0]

const COLUMNS = 'id text, "user" text, kind text, subject text, actor text, room text, place integer'

/** The same for many, in one statement; those that come first count first. */
export const notifyAll = async (tx: Tx, news: readonly (News & { readonly user: string })[]): Promise<Telling[]> => {
  if (news.length === 0) return []
  const asked = news.map((each, place) => ({ ...each, id: newId(), place }))
  const { rows } = await sql<{ id: string; user_id: string; kind: NotificationKind }>`
    insert into notifications (id, user_id, kind, subject, actor_id, room_id)
    select fresh.id, fresh.user, fresh.kind, fresh.subject, fresh.actor, fresh.room
    from (
      select asked.*, row_number() over (partition by asked.user, asked.actor order by asked.place) as nth
      from ${rowsOf(asked, COLUMNS)} as asked
      where not exists (
        select from blocks b where b.user_id = asked.user and b.blocked_id = asked.actor
      ) and not exists (
        select from blocks b where b.user_id = asked.actor and b.blocked_id = asked.user
      ) and not exists (
        select from notifications n
        where n.user_id = asked.user and n.kind = asked.kind and n.subject = asked.subject
      )
    ) as fresh
    where fresh.nth + (
      select count(*) from notifications n
      where n.user_id = fresh.user and n.actor_id = fresh.actor and n.read_at is null
    ) <= ${UNREAD_BY_ACTOR}
    order by fresh.user, fresh.place
    on conflict (user_id, kind, subject) do nothing
    returning id, user_id, kind`.execute(tx)
  const unread = await unreadOfAll(
    tx,
    rows.map(({ user_id }) => user_id),
  )
  return rows.map(({ id, user_id, kind }) => newsOf(user_id, { id, kind, unread: unread.get(user_id)! }))
}

const newsOf = (user: string, body: { id?: string; kind?: string; unread: number }): Telling => ({
  user,
  event: { type: 'notification', body },
})

/** Takes back what is of no interest any more. Resolves with what to tell, as `notify` does. */
export const withdraw = async (
  tx: Tx,
  user: string,
  { kind, subject }: Pick<News, 'kind' | 'subject'>,
): Promise<Telling | undefined> => {
  const gone = await tx
    .deleteFrom('notifications')
    .where('user_id', '=', user)
    .where('kind', '=', kind)
    .where('subject', '=', subject)
    .executeTakeFirst()
  return gone.numDeletedRows === 0n ? undefined : unreadNews(tx, user)
}

/** What `user` is told where what they have not read is different. */
export const unreadNews = async (tx: Tx, user: string): Promise<Telling> =>
  newsOf(user, { unread: await unreadOf(tx, user) })

/** How many notifications `user` has not read, at most `UNREAD_MOST`. */
export const unreadOf = async (db: Db | Tx, user: string): Promise<number> => (await unreadOfAll(db, [user])).get(user)!

const unreadOfAll = async (db: Db | Tx, users: readonly string[]): Promise<Map<string, number>> => {
  const { rows } = await sql<{ id: string; count: number }>`
    select asked.id, (
      select count(*)::int from (
        select from notifications where user_id = asked.id and read_at is null limit ${UNREAD_MOST}
      ) as unread
    ) as count
    from unnest(${[...new Set(users)]}::text[]) as asked (id)`.execute(db)
  return new Map(rows.map(({ id, count }) => [id, count]))
}

export interface Notification {
  id: string
  kind: NotificationKind
  subject: string
  /** Whose doing it was; their account may be gone. */
  actor: string | null
  room: string | null
  /** Epoch ms. */
  createdAt: number
  read: boolean
}

/** Epoch ms, and the id that settles the order of those of the same time. */
export type NotificationPlace = readonly [createdAt: number, id: string]

/** The notifications of `user`, the newest first: one more than `limit`. */
export const notificationsOf = async (
  db: Db,
  user: string,
  { after, limit }: { readonly after: NotificationPlace | undefined; readonly limit: number },
): Promise<Notification[]> => {
  const rows = await db
    .selectFrom('notifications')
    .selectAll()
    .where('user_id', '=', user)
    .$if(after !== undefined, query =>
      query.where(
        sql<SqlBool>`created_at <= ${at(after![0])} and (created_at < ${at(after![0])} or id > ${after![1]})`,
      ),
    )
    .orderBy('created_at', 'desc')
    .orderBy('id')
    .limit(limit + 1)
    .execute()
  return rows.map(({ id, kind, subject, actor_id, room_id, created_at, read_at }) => ({
    id,
    kind,
    subject,
    actor: actor_id,
    room: room_id,
    createdAt: created_at,
    read: read_at !== null,
  }))
}

/** Marks notifications of `user` as read: these, or all. Resolves with what to tell, undefined where nothing has changed. */
export const markRead = async (tx: Tx, user: string, ids: readonly string[] | 'all'): Promise<Telling | undefined> => {
  if (ids.length === 0) return undefined
  const marked = await tx
    .updateTable('notifications')
    .set({ read_at: sql<number>`now()` })
    .where('user_id', '=', user)
    .where('read_at', 'is', null)
    .$if(ids !== 'all', query => query.where('id', 'in', [...ids]))
    .executeTakeFirst()
  return marked.numUpdatedRows === 0n ? undefined : unreadNews(tx, user)
}
