import type { AccessChange as Change } from '../database/access-changes.ts'
import type { Db } from '../database/database.ts'
import type { Access, AccessChange, Identity } from '../ports/access.ts'
import type { NewRecord, RoomId, RoomLog } from '../ports/room-log.ts'
import { RightsInSql } from './ask-rights.ts'
import { wrote } from './authorship.ts'
import { KnownRights, type Rights } from './known-rights.ts'

export interface RoomRightsOptions {
  readonly db: Db
  /** Where it is looked up who wrote a message. */
  readonly log: RoomLog
  /** How many rights are kept in memory. */
  readonly cached: number
}

/** The rooms' half of Access. Both questions reject with DATABASE_UNAVAILABLE where only the database could answer and is away. */
export interface RoomRights extends Pick<Access, 'mayRead' | 'maySend'> {
  /** Forgets what `change` has ended. Whoever asks for rights because of it asks after that. */
  ended(change: Pick<Change, 'kind' | 'user' | 'room' | 'other'>): void
}

/** What is being asked for, and whether rights have ended meanwhile. */
interface Question {
  readonly room: RoomId
  readonly user: string
  stale: boolean
}

const concerns = ({ user, room }: AccessChange, question: Question): boolean =>
  (user === undefined || user === question.user) && (room === undefined || room === question.room)

/**
 * Who may read and send where, from what is in SQL. What it knows it answers at once; a no is never taken from memory, so that
 * rights that begin need not be told of. A right counts from the moment of asking until `ended` is told of its end.
 */
export const roomRights = ({ db, log, cached }: RoomRightsOptions): RoomRights => {
  const known = new KnownRights(cached)
  const inSql = new RightsInSql(db)
  const open = new Set<Question>()

  const ask = async (user: string, room: RoomId): Promise<Rights> => {
    for (;;) {
      const question: Question = { user, room, stale: false }
      open.add(question)
      const rights = await inSql.ask(room, user).finally(() => open.delete(question))
      // What was read may be from before the end of a right that this node has been told of already.
      if (question.stale) continue
      if (rights.read) known.set(room, user, rights)
      return rights
    }
  }

  const holds = (right: keyof Rights, { user }: Identity, room: RoomId): boolean | Promise<boolean> =>
    known.get(room, user)?.[right] === true || ask(user, room).then(rights => rights[right])

  /** Both, one after the other: each may be known at once. */
  const both = async (one: boolean | Promise<boolean>, other: () => boolean | Promise<boolean>): Promise<boolean> =>
    (await one) && (await other())

  return {
    mayRead: (who, room) => holds('read', who, room),
    maySend(who, room, { headers }: NewRecord) {
      if (headers.size === 0) return holds('send', who, room)
      // A whisper would be given to all.
      if (headers.has('to')) return false
      const type = headers.get('type')
      const own = () => wrote(log, who.user, room, headers.get('ref') ?? '')
      if (type === undefined || type === 'message' || type === 'reaction') return holds('send', who, room)
      if (type === 'edit') return both(holds('send', who, room), own)
      if (type !== 'delete') return false
      const othersToo = async () => (await holds('moderate', who, room)) || own()
      return both(holds('send', who, room), othersToo)
    },
    ended({ kind, user, room, other }) {
      // Sessions are not the rooms' business.
      if (kind === 'session') return
      // Of a block, which room is theirs is not known here: both sides are asked for again.
      for (const side of other === undefined ? [user] : [user, other]) {
        const what: AccessChange = { ...(side !== undefined && { user: side }), ...(room !== undefined && { room }) }
        for (const question of open) if (concerns(what, question)) question.stale = true
        known.forget(what)
      }
    },
  }
}
