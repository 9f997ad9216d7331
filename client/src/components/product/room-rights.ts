import type { RoomInfo } from '../../api-types.ts'
import { text } from '../../text/text.ts'

/** What a room is called: a direct one after the other person. */
export const titleOf = ({ name, other, visibility }: Pick<RoomInfo, 'name' | 'other' | 'visibility'>): string =>
  visibility === 'direct' ? (other?.displayName ?? text.goneUser) : (name ?? '')

/** Whether one may change a room's name and topic, make links, kick and ban. */
export const leads = ({ role, visibility }: RoomInfo): boolean =>
  visibility !== 'direct' && (role === 'owner' || role === 'admin')

export const mayInvite = (room: RoomInfo): boolean =>
  leads(room) || (room.visibility === 'public' && room.role === 'member')
