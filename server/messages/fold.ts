import { sql } from 'kysely'
import { LAST_TIME, rowsOf, transaction, type Db, type Tx } from '../database/database.ts'
import { ENTRY_ID } from '../database/outbox.ts'
import type { MessageKind } from '../database/schema.ts'
import type { Telling } from '../people/index.ts'
import { messageId } from '../ports/message-id.ts'
import type { Epoch, LogRecord, Offset, RoomId } from '../ports/room-log.ts'
import { Changes } from './changes.ts'
import { mentionedIn, notifyMentioned, type Mention } from './mentions.ts'
import { registerEpochs } from './places.ts'
import { readRecord } from './record.ts'

/** What a room's log holds behind what has been copied. */
export interface Page {
  readonly room: RoomId
  readonly epoch: Epoch
  /** Up to here it had been copied when the page was read. */
  readonly from: Offset
  /** Up to here it will have been. */
  readonly next: Offset
  readonly records: readonly LogRecord[]
}

export interface Folded {
  /** The rooms whose pages are in the archive now. With the others another node is busy, or it has been faster. */
  readonly rooms: ReadonlySet<RoomId>
  /** Whom to tell. */
  readonly telling: readonly Telling[]
}

/**
 * Puts pages of different rooms into the archive, and moves the place up to which each is copied: all of it or nothing. What
 * was copied since a page was read is not copied again.
 */
export const fold = (db: Db, pages: readonly Page[]): Promise<Folded> =>
  transaction(db, async tx => {
    const users = await holdSenders(tx, pages)
    await registerEpochs(tx, pages)
    const generations = await hold(tx, pages)
    const held = pages.filter(({ room }) => generations.has(room))
    if (held.length === 0) return { rooms: new Set(), telling: [] }
    const contents = new Contents(users)
    for (const page of held) contents.add(page, generations.get(page.room)!)
    await insert(tx, contents.rows)
    await contents.changes.apply(tx)
    await moveOn(tx, held, contents.latest)
    return { rooms: new Set(generations.keys()), telling: await notifyMentioned(tx, contents.mentions) }
  })

/** Whether the account of somebody who once had one is gone. */
type Users = ReadonlyMap<string, { readonly gone: boolean }>

/** No id is longer, and none has what SQL cannot say. */
const ID = /^[^\0]{1,64}$/

/** Who of the senders has, or had, an account. It cannot end meanwhile, so that what is erased then is all that they wrote. */
const holdSenders = async (tx: Tx, pages: readonly Page[]): Promise<Users> => {
  const senders = new Set(pages.flatMap(({ records }) => records.map(({ sender }) => sender)))
  const rows = await tx
    .selectFrom('users')
    .select(['id', 'deleted_at'])
    .where('id', '=', sql<string>`any(${[...senders].filter(sender => ID.test(sender))}::text[])`)
    .orderBy('id')
    .forKeyShare()
    .execute()
  return new Map(rows.map(({ id, deleted_at }) => [id, { gone: deleted_at !== null }]))
}

/**
 * Takes those rooms for this transaction that nobody else has, and that are copied as far as they were when their pages were
 * read. It waits for nobody. Resolves with the generation of each.
 */
const hold = async (tx: Tx, pages: readonly Page[]): Promise<Map<RoomId, number>> => {
  const wanted = pages.map(({ room, epoch, from }) => ({ room_id: room, epoch, next_offset: String(from) }))
  const { rows } = await sql<{ room_id: RoomId; generation: number }>`
    select e.room_id, e.generation
    from ${rowsOf(wanted, PLACE)} as page
    join room_epochs e on e.room_id = page.room_id and e.epoch = page.epoch and e.next_offset = page.next_offset
    join rooms r on r.id = e.room_id
    for no key update of e, r skip locked`.execute(tx)
  return new Map(rows.map(({ room_id, generation }) => [room_id, generation]))
}

const PLACE = 'room_id text, epoch text, next_offset bigint'
const MESSAGE = `room_id text, generation integer, at_offset bigint, kind text, sender text, to_user text, body text,
  headers json, entry_id text, created_at timestamptz, deleted_at timestamptz`

/** As MESSAGE names it. */
interface MessageRow {
  readonly room_id: RoomId
  readonly generation: number
  readonly at_offset: string
  readonly kind: MessageKind
  readonly created_at: string
  readonly sender?: string
  readonly to_user?: string | null
  readonly body?: string
  readonly headers?: readonly (readonly [name: string, value: string])[]
  readonly entry_id?: string | null
  readonly deleted_at?: string
}

/** Headers that have columns of their own, or are of no use once it is known what the record says. */
const TOLD = new Set(['type', 'to', ENTRY_ID])
/** An outsider may write any time. */
const iso = (time: number): string => new Date(Math.min(Math.max(time, 0), LAST_TIME)).toISOString()

/** What pages come to. */
class Contents {
  readonly rows: MessageRow[] = []
  readonly changes = new Changes()
  readonly mentions: Mention[] = []
  /** When the last message for everybody came, by room. */
  readonly latest = new Map<RoomId, string>()
  readonly #users: Users

  constructor(users: Users) {
    this.#users = users
  }

  add(page: Page, generation: number): void {
    for (const record of page.records) this.#read(page, generation, record)
  }

  #read({ room, epoch }: Page, generation: number, record: LogRecord): void {
    const { offset, time, sender, headers } = record
    const user = this.#users.get(sender)
    const said = user ? readRecord(record, epoch) : ({ kind: 'unreadable' } as const)
    const place = { room_id: room, generation, at_offset: String(offset) }
    const at = iso(time)
    if (said.kind === 'nothing') return
    if (said.kind === 'unreadable') {
      this.rows.push({ ...place, kind: 'unreadable', created_at: at })
    } else if ('ref' in said) {
      // What is left of somebody who is gone changes no more.
      if (!user!.gone || said.kind === 'delete') this.changes.add(said, { ...place, sender, at })
    } else if (said.kind === 'message' && user!.gone) {
      this.rows.push({ ...place, kind: 'message', sender, to_user: said.to, created_at: at, deleted_at: at })
    } else {
      const { kind, body, to, entry } = said
      const rest = [...headers].filter(([name]) => !TOLD.has(name))
      const own = { sender, to_user: to, body, entry_id: entry, ...(rest.length > 0 && { headers: rest }) }
      this.rows.push({ ...place, kind, created_at: at, ...own })
      if (kind === 'system') return
      if (to === null && (this.latest.get(room) ?? '') < at) this.latest.set(room, at)
      const message = messageId(epoch, offset)
      for (const key of mentionedIn(body)) {
        this.mentions.push({ ...place, message, sender, to_user: to, name_key: key })
      }
    }
  }
}

const insert = async (tx: Tx, rows: readonly MessageRow[]): Promise<void> => {
  if (rows.length === 0) return
  // What is there already is what the transactional outbox has appended twice.
  await sql`
    insert into messages (
      room_id, generation, at_offset, kind, sender, to_user, body, headers, entry_id, created_at, changed_offset, deleted_at
    )
    select room_id, generation, at_offset, kind, sender, to_user, coalesce(body, ''), headers, entry_id, created_at,
      at_offset, deleted_at
    from ${rowsOf(rows, MESSAGE)} as said
    on conflict do nothing`.execute(tx)
}

/** Notes how far the rooms are copied, and when the last message of each came: no later than now, and never back. */
const moveOn = async (tx: Tx, pages: readonly Page[], latest: ReadonlyMap<RoomId, string>): Promise<void> => {
  const places = pages.map(({ room, epoch, next }) => ({ room_id: room, epoch, next_offset: String(next) }))
  await sql`
    update room_epochs e set next_offset = page.next_offset
    from ${rowsOf(places, PLACE)} as page
    where e.room_id = page.room_id and e.epoch = page.epoch`.execute(tx)
  if (latest.size === 0) return
  const times = [...latest].map(([room_id, at]) => ({ room_id, at }))
  await sql`
    update rooms set last_message_at = least(said.at, now())
    from ${rowsOf(times, 'room_id text, at timestamptz')} as said
    where rooms.id = said.room_id and rooms.last_message_at < least(said.at, now())`.execute(tx)
}
