import { sql } from 'kysely'
import type { Db } from '../database/database.ts'
import type { Role, Visibility } from '../database/schema.ts'
import type { RoomId } from '../ports/room-log.ts'
import type { Rights } from './known-rights.ts'
import { may } from './rights.ts'

/** Pairs that one statement asks for. */
const MOST = 500

interface Question {
  readonly room: RoomId
  readonly user: string
  readonly resolve: (rights: Rights) => void
  readonly reject: (error: unknown) => void
}

interface Answer {
  /** Null: no such room. */
  readonly visibility: Visibility | null
  readonly role: Role | null
  readonly banned: boolean
  /** In a direct room: one of the two has blocked the other. */
  readonly blocked: boolean
}

const NONE: Rights = { read: false, send: false, moderate: false }

const rightsOf = ({ visibility, role, banned, blocked }: Answer): Rights => {
  if (visibility === null) return NONE
  const mine = banned ? 'banned' : (role ?? 'outsider')
  return {
    read: may('read', visibility, mine),
    send: may('send', visibility, mine) && !blocked,
    moderate: may('moderate', visibility, mine),
  }
}

/** Asks the database who may do what. All that is asked in one turn of the event loop is one statement: many come back at once. */
export class RightsInSql {
  readonly #db: Db
  #asked: Question[] = []

  constructor(db: Db) {
    this.#db = db
  }

  /** What `user` may do in `room`, which may not exist. Rejects with DATABASE_UNAVAILABLE. */
  ask(room: RoomId, user: string): Promise<Rights> {
    return new Promise((resolve, reject) => {
      if (this.#asked.push({ room, user, resolve, reject }) === 1) setImmediate(() => this.#askAll())
    })
  }

  #askAll(): void {
    const asked = this.#asked
    this.#asked = []
    for (let at = 0; at < asked.length; at += MOST) void this.#askSome(asked.slice(at, at + MOST))
  }

  async #askSome(questions: readonly Question[]): Promise<void> {
    try {
      const rows = await this.#read(questions)
      for (const [i, { resolve }] of questions.entries()) resolve(rightsOf(rows[i]!))
    } catch (error) {
      for (const { reject } of questions) reject(error)
    }
  }

  async #read(questions: readonly Question[]): Promise<readonly Answer[]> {
    const rooms = questions.map(({ room }) => room)
    const users = questions.map(({ user }) => user)
    const { rows } = await sql<Answer>`
      select r.visibility, m.role, b.user_id is not null as banned,
        r.visibility = 'direct' and exists (
          select from members o join blocks k on k.user_id in (o.user_id, asked.user_id)
            and k.blocked_id in (o.user_id, asked.user_id)
          where o.room_id = r.id and o.user_id <> asked.user_id
        ) as blocked
      from unnest(${rooms}::text[], ${users}::text[]) with ordinality as asked (room_id, user_id, place)
      left join rooms r on r.id = asked.room_id
      left join members m on m.room_id = r.id and m.user_id = asked.user_id
        and exists (select from users where id = asked.user_id and deleted_at is null)
      left join bans b on b.room_id = r.id and b.user_id = asked.user_id
      order by asked.place`.execute(this.#db)
    return rows
  }
}
