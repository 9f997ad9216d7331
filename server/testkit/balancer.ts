import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A load balancer as simple as can be: each connection goes to one of `ports`, in turn. Resolves with its own port. */
export const startBalancer = async (t: Test, ports: () => readonly number[]): Promise<number> => {
  const open = new Set<Socket>()
  let turn = 0
  const server = createServer(client => {
    const targets = ports()
    const node = connect(targets[turn++ % targets.length]!, '127.0.0.1')
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
