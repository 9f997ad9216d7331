import { sql } from 'kysely'
import { rowsOf, type Tx } from '../database/database.ts'
import type { Said } from './record.ts'

/** A record that changes an earlier message of its room. Offsets are written out, as JSON has no bigint. */
interface Change {
  readonly room_id: string
  readonly generation: number
  readonly ref: string
  readonly sender: string
  readonly at_offset: string
  /** When the log took it, as ISO 8601 has it. */
  readonly at: string
  /** Of an edit the new text, of a reaction the emoji. */
  readonly body?: string
  readonly op?: 'add' | 'remove'
}

export type ChangeSaid = Extract<Said, { readonly ref: unknown }>

/** What changes messages, of several rooms, gathered in the order of the logs and then applied at once. */
export class Changes {
  readonly #edits = new Map<string, Change>()
  readonly #reactions = new Map<string, Change>()
  readonly #deletions = new Map<string, Change>()

  add({ ref, ...said }: ChangeSaid, by: Omit<Change, 'ref' | 'body' | 'op'>): void {
    const message = `${by.room_id} ${ref}`
    // Nothing changes any more.
    if (this.#deletions.has(message)) return
    const change = { ...by, ref: String(ref) }
    if (said.kind === 'delete') this.#deletions.set(message, change)
    // Only its author may, and who that is SQL knows: of each who tries the last one.
    else if (said.kind === 'edit') this.#edits.set(`${message} ${by.sender}`, { ...change, body: said.body })
    else {
      const { emoji, op } = said
      this.#reactions.set(`${message} ${by.sender} ${emoji}`, { ...change, body: emoji, op })
    }
  }

  /** Changes what there is; the messages of the same records are in the archive already. */
  async apply(tx: Tx): Promise<void> {
    if (this.#edits.size > 0) await edit(tx, [...this.#edits.values()])
    if (this.#reactions.size > 0) await react(tx, [...this.#reactions.values()])
    if (this.#deletions.size > 0) await remove(tx, [...this.#deletions.values()])
  }
}

const changesOf = (changes: readonly Change[]) =>
  rowsOf(
    changes,
    'room_id text, generation integer, ref bigint, sender text, at_offset bigint, at timestamptz, body text, op text',
  )

/** A message that is there and can still be changed. */
const target = sql`m.room_id = change.room_id and m.generation = change.generation and m.at_offset = change.ref
  and m.kind = 'message' and m.deleted_at is null`

/** So written, the sender is no way to find the row: somebody may have written most of a room. */
const edit = async (tx: Tx, edits: readonly Change[]): Promise<void> => {
  await sql`
    update messages m set body = change.body, edited_at = change.at, changed_offset = change.at_offset
    from ${changesOf(edits)} as change
    where ${target} and (m.sender = change.sender) is true`.execute(tx)
}

/** Of messages that whoever reacts may see. */
const react = async (tx: Tx, reactions: readonly Change[]): Promise<void> => {
  await sql`
    insert into reactions (room_id, generation, at_offset, user_id, emoji, created_at)
    select change.room_id, change.generation, change.ref, change.sender, change.body, change.at
    from ${changesOf(reactions)} as change join messages m on ${target}
    where change.op = 'add' and (m.to_user is null or change.sender in (m.to_user, m.sender))
    on conflict do nothing`.execute(tx)
  await sql`
    delete from reactions r using ${changesOf(reactions)} as change
    where change.op = 'remove' and r.room_id = change.room_id and r.generation = change.generation
      and r.at_offset = change.ref and r.user_id = change.sender and r.emoji = change.body`.execute(tx)
  await sql`
    update messages m set changed_offset = greatest(m.changed_offset, change.at_offset)
    from (
      select room_id, generation, ref, max(at_offset) as at_offset from ${changesOf(reactions)} as each group by 1, 2, 3
    ) as change
    where ${target}`.execute(tx)
}

/** Whether they might, was judged when it was sent: by now they may have left. */
const remove = async (tx: Tx, deletions: readonly Change[]): Promise<void> => {
  await sql`
    delete from reactions r using ${changesOf(deletions)} as change
    where r.room_id = change.room_id and r.generation = change.generation and r.at_offset = change.ref`.execute(tx)
  await sql`
    update messages m set body = '', headers = null, deleted_at = change.at, changed_offset = change.at_offset
    from ${changesOf(deletions)} as change
    where ${target}`.execute(tx)
}
