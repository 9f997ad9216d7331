import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/**
 * A load balancer as simple as can be: each connection goes to one of `ports`, in turn, or nowhere
 * where there are none. Resolves with its own port.
 */
export const startBalancer = async (t: Test, ports: () => readonly number[]): Promise<number> => {
  const open = new Set<Socket>()
  let turn = 0
  const server = createServer(client => {
    const targets = ports()
    const target = targets[turn++ % targets.length]
    if (target === undefined) return void client.destroy()
    const node = connect(target, '127.0.0.1')
    for (const [one, other] of [
      [client, node],
      [node, client],
    ] as const) {
      open.add(one)
      one.pipe(other)
      one.on('error', () => {})
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    for (const socket of open) socket.destroy()
  })
  return (server.address() as { port: number }).port
}
