/** The nodes together, as an admin sees them. */

export { followOrders, type Node } from './orders.ts'
export { fleetRoutes } from './routes.ts'
