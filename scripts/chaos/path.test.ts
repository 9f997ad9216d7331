import { once } from 'node:events'
import { createConnection, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { Path } from './path.ts'
import { Random } from './random.ts'

/** A server that says back what it gets, the path to it, and a client on the path. */
const open = async (t: Test) => {
  const seen: string[] = []
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.push(socket)
    socket.on('data', (chunk: Buffer) => {
      seen.push(chunk.toString())
      socket.write(chunk)
    })
    socket.on('end', () => socket.end('bye'))
    socket.on('error', () => undefined)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const path = await Path.open('a path', (server.address() as AddressInfo).port, new Random('1'))
  const client = createConnection({ port: path.port, host: '127.0.0.1' })
  client.on('error', () => undefined)
  let text = ''
  const listen = (): void => void client.on('data', (chunk: Buffer) => (text += chunk.toString()))
  /** What comes until `length` bytes are there. */
  const read = async (length: number): Promise<string> => {
    while (text.length < length) await once(client, 'data')
    return text
  }
  t.teardown(async () => {
    client.destroy()
    await path.close()
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  await once(client, 'connect')
  return { path, client, seen, read, listen }
}
/** Resolves when it is over, in whichever way. */
const closed = (socket: Socket): Promise<void> => new Promise(resolve => socket.once('close', () => resolve()))
t.test('a clear path passes everything on, ends too', async t => {
  const { client, read, listen } = await open(t)
  listen()
  client.end('hello')
  t.equal(await read(8), 'hellobye')
})

t.test('on a slow path what is sent stays in order', async t => {
  const { path, client, read, listen } = await open(t)
  path.trouble = { is: 'slow', ms: 20 }
  let text = ''
  for (let n = 0; n < 100; n++) {
    text += `${n} `
    client.write(`${n} `)
    await new Promise(setImmediate)
  }
  listen()
  t.equal(await read(text.length), text)
})

t.test('on a dark path nothing arrives, and everything when there is light again', async t => {
  const { path, client, seen, read, listen } = await open(t)
  path.trouble = { is: 'dark', way: 'both' }
  client.write('dark')
  const other = createConnection({ port: path.port, host: '127.0.0.1' })
  // The path may break it off first.
  other.on('error', () => undefined)
  t.teardown(() => other.destroy())
  other.write('other')
  await once(other, 'connect')
  // A way round, over and over, shows that nothing is coming.
  for (let n = 0; n < 20; n++) await new Promise(setImmediate)
  t.same(seen, [])
  path.trouble = { is: 'dark', way: 'back' }
  while (seen.length < 2) await new Promise(setImmediate)
  t.same(seen.toSorted(), ['dark', 'other'], 'only answers are lost')
  t.equal(client.bytesRead, 0)
  path.trouble = { is: 'clear' }
  listen()
  t.equal(await read(4), 'dark')
})

t.test('a lossy path breaks connections, a refusing one takes none', async t => {
  const { path, client } = await open(t)
  path.trouble = { is: 'lossy', chance: 1 }
  client.write('lost')
  await closed(client)
  path.trouble = { is: 'refusing' }
  const refused = createConnection({ port: path.port, host: '127.0.0.1' })
  refused.on('error', () => undefined)
  await closed(refused)
  t.equal(refused.bytesRead, 0)
})

t.test('the same seed gives the same choices', async t => {
  const draw = (seed: string): unknown[] => {
    const random = new Random(seed)
    return [
      random.integer(0, 1_000_000),
      random.pick(['a', 'b', 'c']),
      random.shuffled([1, 2, 3, 4, 5]),
      random.fork('x').next(),
    ]
  }
  t.same(draw('7'), draw('7'))
  t.not(JSON.stringify(draw('7')), JSON.stringify(draw('8')))
})
