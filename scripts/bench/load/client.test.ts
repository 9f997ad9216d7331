import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { framing } from '../../../server/transport/websocket.ts'
import { lay } from '../../../server/stomp/framing.ts'
import { Client } from './client.ts'
import { frame, masked } from './frames.ts'

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\n\r\n'

/** A server that says yes to an upgrade, and its side of the connection. */
const peer = async (t: Test): Promise<{ client: Client; socket: Socket }> => {
  const { promise, resolve } = Promise.withResolvers<Socket>()
  const server = createServer(socket => {
    socket.setNoDelay(true)
    socket.once('data', () => {
      socket.write(UPGRADED)
      resolve(socket)
    })
  })
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  const client = await Client.connect({ url: `ws://127.0.0.1:${port}/ws` }, true)
  const socket = await promise
  t.teardown(() => {
    client.end()
    socket.destroy()
    server.close()
  })
  return { client, socket }
}

const message = (size: number): Buffer =>
  lay(framing, frame('MESSAGE', { 'content-length': String(size) }, 'x'.repeat(size)), true)

/** Writes pieces one at a time: the next when the client has had the one before. */
const inPieces = async (client: Client, socket: Socket, bytes: Buffer, size: number): Promise<void> => {
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    const expected = client.bytes + piece.length
    socket.write(piece)
    while (client.bytes < expected) await new Promise(setImmediate)
  }
}

// Heads of 2, 4 and 10 bytes; the long ones in pieces that are not too many.
const cases = [
  { sizes: [1, 90, 200, 5], pieces: [1, 2, 3, 7] },
  { sizes: [1, 200, 65_000, 70_000, 5], pieces: [1_460, 200_000] },
]
for (const counting of [true, false]) {
  t.test(`messages of every size are ${counting ? 'counted' : 'read'}, however they are cut`, async t => {
    for (const { sizes, pieces } of cases) {
      for (const piece of pieces) {
        const { client, socket } = await peer(t)
        const seen: number[] = []
        client.onMessage = (_head, _buffer, from, to) => void seen.push(to - from)
        client.counting = counting
        await inPieces(client, socket, Buffer.concat(sizes.map(message)), piece)
        if (counting) t.equal(client.counted, sizes.length, `pieces of ${piece}`)
        else t.same(seen, sizes, `pieces of ${piece}`)
      }
    }
  })
}

t.test('a ping is answered with its own bytes', async t => {
  const { socket } = await peer(t)
  const answer = new Promise<Buffer>(resolve => socket.once('data', resolve))
  socket.write(Buffer.from([0x89, 2, 104, 105]))
  t.same(await answer, masked(Buffer.from('hi'), 0x8a))
})
