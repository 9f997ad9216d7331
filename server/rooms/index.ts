/** Rooms: who is in them, what they may do there, and what the rooms' logs are told of it. */

import type { Api } from '../http/api.ts'
import type { Counters } from '../ports/counters.ts'
import { invitationRoutes } from './invitation-routes.ts'
import { linkRoutes } from './link-routes.ts'
import { memberRoutes } from './member-routes.ts'
import { quotas, type QuotaLimits } from './quotas.ts'
import { roomRoutes, type RouteParts } from './routes.ts'

export { roomRights } from './access.ts'
export { forgetInRooms, leaveBehind } from './coming-and-going.ts'
export { expireInvitations } from './expiry.ts'
export { logOfRooms } from './log.ts'
export { readingRoutes } from './reading-routes.ts'
export { removeRoom } from './removal.ts'

export type RoomsOptions = Omit<RouteParts, 'spend'> & { readonly counters: Counters; readonly config: QuotaLimits }

/** Below /api. */
export const roomsApi =
  (options: RoomsOptions) =>
  (api: Api): void => {
    const parts: RouteParts = { ...options, spend: quotas(options.counters, options.config) }
    roomRoutes(api, parts)
    memberRoutes(api, parts)
    invitationRoutes(api, parts)
    linkRoutes(api, parts)
  }
