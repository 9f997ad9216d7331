import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocketServer, type WebSocket } from 'ws'
import { noFaults } from './checker.ts'
import { headerOf } from './client.ts'
import { fanOut, type FanOutPlan } from './fan-out.ts'

/** How often subscriber `who` gets message `which`. */
type Copies = (who: number, which: number) => number

const SUBSCRIBERS = 40
/** A broadcast that may leave messages out and send them twice. */
const broadcaster = async (t: Test, copies: Copies): Promise<FanOutPlan> => {
  const subscribers: WebSocket[] = []
  let messages = 0
  const broadcast = (destination: string, body: string): void => {
    const which = messages++
    const head = `MESSAGE\nsubscription:sub-0\ndestination:${destination}\nmessage-id:e-${which}\n\n`
    for (const [who, ws] of subscribers.entries()) {
      for (let i = copies(who, which); i > 0; i--) ws.send(`${head}${body}\0`)
    }
  }
  const take = (ws: WebSocket, text: string): void => {
    const bodyAt = text.indexOf('\n\n') + 2
    const head = text.slice(0, bodyAt)
    if (head.startsWith('SEND')) return broadcast(headerOf(head, 'destination')!, text.slice(bodyAt, -1))
    if (head.startsWith('CONNECT')) return ws.send('CONNECTED\nversion:1.2\n\n\0')
    subscribers.push(ws)
    ws.send(`RECEIPT\nreceipt-id:${headerOf(head, 'receipt')}\n\n\0`)
  }
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  server.on('connection', ws => ws.on('message', (data: Buffer) => take(ws, data.toString())))
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    endpoint: { url: `ws://127.0.0.1:${port}/` },
    prefix: '/topic/',
    rooms: 1,
    subscribers: SUBSCRIBERS,
    publishers: 2,
    receipts: true,
    foreign: false,
    steps: [{ name: 'few', perSecond: 4_000, seconds: 0.2 }],
  }
}

t.test('a server that delivers everything once has no fault', async t => {
  const plan = await broadcaster(t, () => 1)
  const { faults, steps, subscribers } = await fanOut(plan)
  t.same(faults, noFaults())
  t.equal(subscribers, SUBSCRIBERS)
  t.equal(steps['few']?.deliveries, 20 * SUBSCRIBERS)
})

// Every second subscriber is looked at frame by frame, of the others lengths are counted: there are some of each kind.
for (const who of [0, 1, 2]) {
  t.test(`what subscriber ${who} misses, or gets twice, is found`, async t => {
    const lossy = await broadcaster(t, (each, which) => (which === 3 && each === who ? 0 : 1))
    t.equal((await fanOut({ ...lossy, patience: 100 })).faults.lost, 1)
    const twice = await broadcaster(t, (each, which) => (which === 5 && each === who ? 2 : 1))
    t.equal((await fanOut(twice)).faults.repeated, 1)
  })
}
