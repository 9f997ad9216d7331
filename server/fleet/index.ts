/** The nodes together, as an admin sees them. */

export { writeDown, type AdminAct } from './audit.ts'
export { followOrders, type Node } from './orders.ts'
export { fleetRoutes } from './routes.ts'
