/** How the servers that ours is measured beside are reached: as ours says it, and on `ws` at /ws. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'

/** Tells whoever started it where it listens. */
export const announce = (server: Pick<Server, 'address'>): void => {
  const { port } = server.address() as AddressInfo
  process.stdout.write(`${JSON.stringify({ msg: 'listening', port })}\n`)
}

/** Serves `ws` on a free port until it is told to end. `accept` answers what takes the frames of a client. */
export const serveWebSockets = (
  accept: (ws: WebSocket, socket: Socket) => (frame: Buffer) => void,
  close: () => Promise<void> = async () => {},
): void => {
  const server = createServer()
  new WebSocketServer({ server, path: '/ws', perMessageDeflate: false }).on('connection', (ws, { socket }) => {
    const take = accept(ws, socket)
    ws.on('message', frame => take(frame as Buffer))
    ws.on('error', () => {})
  })
  server.listen(0, '127.0.0.1', 4096, () => announce(server))
  process.on('SIGTERM', () => void close().then(() => process.exit(0)))
}
