import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { figure, startBridge, until } from '../testkit/node.ts'
import { Arrivals } from './arrivals.ts'

const busy = (ms: number): void => {
  for (const end = performance.now() + ms; performance.now() < end;);
}

t.test('a turn has little time for newcomers; the others come in later ones, in order', async t => {
  const arrivals = new Arrivals()
  t.notOk(arrivals.full)
  busy(20)
  t.ok(arrivals.full, 'until the turn is over')
  const came: number[] = []
  const most = 30
  for (let i = 0; i < most; i++) {
    arrivals.whenRoom(() => {
      came.push(i)
      busy(1)
    })
  }
  const never = (): void => void came.push(-1)
  arrivals.whenRoom(never)
  arrivals.whenRoom(never)
  arrivals.forget(never)
  const turns: number[] = []
  await until(() => turns.push(came.length) > 0 && came.length === most)
  t.same(
    came,
    Array.from({ length: most }, (_, i) => i),
  )
  t.ok(
    turns.every((count, i) => count - (turns[i - 1] ?? 0) <= 6),
    'whoever looks in each turn has seen them come by a few',
  )
  await until(() => !arrivals.full)
})

const CROWD = 400
const handshake = [
  'GET /ws HTTP/1.1',
  'host: localhost',
  'upgrade: websocket',
  'connection: upgrade',
  'sec-websocket-version: 13',
  'sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==',
]
const first = {
  websocket: `${handshake.join('\r\n')}\r\n\r\n`,
  tcp: 'CONNECT\naccept-version:1.2\nhost:localhost\n\n\0',
}

for (const transport of ['websocket', 'tcp'] as const) {
  t.test(`a crowd that says its first word in one turn comes in over many (${transport})`, async t => {
    const node = await startBridge(t)
    const port = transport === 'tcp' ? node.stompPort : node.port
    const sockets: Socket[] = []
    t.teardown(() => sockets.forEach(socket => socket.destroy()))
    let answered = 0
    for (let i = 0; i < CROWD; i++) {
      const socket = connect(port, '127.0.0.1')
      sockets.push(socket)
      socket.once('data', () => answered++)
      await once(socket, 'connect')
    }
    for (const socket of sockets) socket.write(first[transport])
    // One goes again before it is let in.
    sockets.at(-1)!.resetAndDestroy()
    const seen: number[] = []
    await until(() => seen.push(answered) > 0 && answered >= CROWD - 1)
    const steps = seen.map((count, i) => count - (seen[i - 1] ?? 0))
    t.ok(Math.max(...steps) < CROWD - 1, `at most ${Math.max(...steps)} in a turn`)
    await until(async () => (await figure(node, 'hoofbeat_connections', () => true)) === CROWD - 1)
  })
}
