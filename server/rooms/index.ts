/** Rooms: who is in them, what they may do there, and what the rooms' logs are told of it. */

import type { Api } from '../http/api.ts'
import { leaveEverything } from './coming-and-going.ts'
import { invitationRoutes } from './invitation-routes.ts'
import { memberRoutes } from './member-routes.ts'
import { roomRoutes, type RouteParts } from './routes.ts'

export { roomRights } from './access.ts'
export { logOfRooms } from './log.ts'
export { removeRoom } from './removal.ts'
/** What is done, in the same transaction, when an account is deleted. */
export { leaveEverything as forgetInRooms }

/** Below /api. */
export const roomsApi =
  (parts: RouteParts) =>
  (api: Api): void => {
    roomRoutes(api, parts)
    memberRoutes(api, parts)
    invitationRoutes(api, parts)
  }
