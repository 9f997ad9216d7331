import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { unacknowledged } from './send-queues.ts'

/** Both ends of a connection to `address` on a server that listens on `host`. */
const pair = async (t: Test, host: string, address: string): Promise<{ server: Socket; client: Socket }> => {
  const listener = createServer().listen(0, host)
  await once(listener, 'listening')
  const client = connect((listener.address() as AddressInfo).port, address)
  const [server] = (await once(listener, 'connection')) as [Socket]
  t.teardown(() => {
    listener.close()
    client.destroy()
    server.destroy()
  })
  return { server, client }
}

for (const [host, address] of [
  ['127.0.0.1', '127.0.0.1'],
  ['::1', '::1'],
  ['::', '127.0.0.1'],
] as const) {
  t.test(`what the peer has not taken is known, for ${address} on ${host}`, async t => {
    const { server, client } = await pair(t, host, address)
    if (process.platform !== 'linux') return t.equal(await unacknowledged(server), undefined)
    const other = await pair(t, host, address)
    t.equal(await unacknowledged(server), 0)
    // More than the buffers of both sides take.
    const bytes = 64 * 1024 * 1024
    server.write(Buffer.alloc(bytes))
    let held: number | undefined = 0
    while (!held) held = await unacknowledged(server)
    t.ok(held < bytes)
    t.equal(await unacknowledged(other.server), 0, 'another connection is another one')
    let received = 0
    client.on('data', chunk => (received += chunk.length))
    while (received < bytes) await once(client, 'data')
    while (held) held = await unacknowledged(server)
    t.equal(held, 0)
    server.destroy()
    await once(server, 'close')
    t.equal(await unacknowledged(server), 0, 'one that has gone holds nothing')
  })
}
