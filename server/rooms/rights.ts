import type { Role, Visibility } from '../database/schema.ts'

/** How somebody stands to a room. Who is banned is nothing else. */
export type Standing = Role | 'outsider' | 'banned'

const rank: Readonly<Record<Standing, number>> = { banned: 0, outsider: 1, member: 2, admin: 3, owner: 4 }

interface Rule {
  /** What one has to be at least, in each kind of room. Absent: nobody may. */
  readonly least: Partial<Readonly<Record<Visibility, Standing>>>
  /** What one may be at most. */
  readonly most?: Standing
  /** An act upon somebody: what that one may be. They stand below whoever acts, always. */
  readonly upon?: readonly Standing[]
}

const everywhere = (least: Standing): Rule['least'] => ({ public: least, private: least, direct: least })
/** A direct room belongs to both alike: nobody is above the other. */
const notDirect = (least: Standing): Rule['least'] => ({ public: least, private: least })

const rules = {
  /** Its messages, its settings, its members. */
  'read': { least: { public: 'outsider', private: 'member', direct: 'member' } },
  'send': { least: everywhere('member') },
  /** Say how far one has read. */
  'mark': { least: everywhere('member') },
  'join': { least: { public: 'outsider' }, most: 'outsider' },
  'leave': { least: notDirect('member'), most: 'admin' },
  'rename': { least: notDirect('admin') },
  'describe': { least: notDirect('admin') },
  'set-visibility': { least: notDirect('owner') },
  'set-cap': { least: notDirect('owner') },
  'delete': { least: notDirect('owner') },
  'invite': { least: { public: 'member', private: 'admin' } },
  /** Make, see and revoke links. */
  'link': { least: notDirect('admin') },
  /** See who is invited or banned, revoke what others have sent, delete what others have written. */
  'moderate': { least: notDirect('admin') },
  'kick': { least: notDirect('admin'), upon: ['member', 'admin'] },
  'ban': { least: notDirect('admin'), upon: ['banned', 'outsider', 'member', 'admin'] },
  'unban': { least: notDirect('admin') },
  'promote': { least: notDirect('owner'), upon: ['member'] },
  'demote': { least: notDirect('owner'), upon: ['admin'] },
  'hand-on': { least: notDirect('owner'), upon: ['member', 'admin'] },
} as const satisfies Record<string, Rule>

export type Act = keyof typeof rules
export const acts = Object.keys(rules) as readonly Act[]

/**
 * Whether someone who stands as `mine` may do `act` in a room of this visibility, upon someone who stands as `theirs` where
 * it is an act upon somebody. The only place where that is decided: HTTP and STOMP both ask here.
 */
export const may = (act: Act, visibility: Visibility, mine: Standing, theirs?: Standing): boolean => {
  const { least, most = 'owner', upon }: Rule = rules[act]
  const lowest = least[visibility]
  if (lowest === undefined || rank[mine] < rank[lowest] || rank[mine] > rank[most]) return false
  return upon === undefined || (theirs !== undefined && upon.includes(theirs) && rank[theirs] < rank[mine])
}
