import type { Test } from 'tap'
import type { Db } from '../../database/database.ts'
import { people, roomOf } from '../../rooms/testkit/people.ts'
import { testDatabase } from '../../testkit/database.ts'
import { startNode, type TestNode } from '../../testkit/node.ts'
import { person, productEnv, type Person } from '../../testkit/product.ts'

/** What somebody can be. To the room: nothing, or one of the four; `blocked`: by `World.other`, and nothing to the room. */
export const roles = [
  'stranger',
  'member',
  'admin',
  'owner',
  'banned',
  'blocked',
  'site admin',
  'ended session',
  'signed out',
] as const
export type Role = (typeof roles)[number]

export const staff: readonly Role[] = ['admin', 'owner']
export const inside: readonly Role[] = ['member', ...staff]
export const outside: readonly Role[] = ['stranger', 'blocked', 'site admin']
export const signedIn: readonly Role[] = [...inside, ...outside, 'banned']

export const visibilities = ['private', 'public'] as const
export type Visibility = (typeof visibilities)[number]

/** Who sees that there is such a room. */
export const readers: Readonly<Record<Visibility, readonly Role[]>> = {
  private: inside,
  public: [...inside, ...outside],
}

export interface World {
  readonly node: TestNode
  readonly db: Db
  /** Whoever is signed out is nobody. */
  readonly people: ReadonlyMap<Role, Person>
  /** A member of each room, and an admin of each, whom things are done to. */
  readonly target: Person
  readonly targetAdmin: Person
  /** Somebody else, who has blocked `blocked`. */
  readonly other: Person
  /** A direct room of `blocked` and somebody who has blocked them since. */
  readonly direct: { readonly room: string; readonly blocker: Person }
}

/** One role, about to do something. */
export interface Cell extends World {
  readonly role: Role
  /** A room that nobody else uses; empty where it is about none. */
  readonly room: string
}

/** One node, and somebody of each role. */
export const openWorld = async (t: Test): Promise<World> => {
  const { db, env } = await testDatabase(t, 'postgres')
  const node = await startNode(t, { ...productEnv, ...env, LOGIN_TRIES: '1000' })
  const all = new Map<Role, Person>()
  for (const role of roles) if (role !== 'signed out') all.set(role, await person(node, role.replace(' ', '.')))
  const ended = all.get('ended session')!
  await ended.does(node, 'DELETE', '/session')
  await db.updateTable('users').set({ is_admin: true }).where('id', '=', all.get('site admin')!.id).execute()
  const [target, targetAdmin] = [await person(node, 'target'), await person(node, 'target-admin')]
  const [other, blocker] = [await person(node, 'other'), await person(node, 'blocker')]
  const blocked = all.get('blocked')!
  const { id } = await blocked.does(node, 'POST', '/direct-rooms', { user: blocker.id })
  for (const each of [other, blocker]) await each.does(node, 'PUT', `/blocks/${blocked.id}`)
  return { node, db, people: all, target, targetAdmin, other, direct: { room: id as string, blocker } }
}

/** The room in which `role` is about to do something, and who is what there. */
export const cellOf = async (world: World, role: Role, visibility: Visibility): Promise<Cell> => {
  const { db, target, targetAdmin } = world
  const id = (of: Role): string => world.people.get(of)!.id
  const room = await roomOf(db, id('owner'), {
    visibility,
    members: [id('member'), target.id],
    admins: [id('admin'), targetAdmin.id],
  })
  await db
    .insertInto('bans')
    .values({ room_id: room, user_id: id('banned'), banned_by: id('owner') })
    .execute()
  return { ...world, role, room }
}

/** Somebody who has just come, as rows of the database alone. */
export const newcomer = async ({ db }: World): Promise<string> => (await people(db, 'newcomer'))[0]
