import t from 'tap'
import { openAccess } from '../drivers/open.ts'
import type { Access, AccessChange } from '../ports/access.ts'
import { startBridge } from '../testkit/node.ts'
import { Probe, wire, type Received } from '../testkit/probe.ts'

/** What a MESSAGE shows of what was written. */
const seen = ({ headers, body }: Received): string => (headers['erased'] === 'true' ? 'erased' : body.toString())

wire(t, '[S-76] once a node is told of it, it shows nothing more of what somebody wrote', async (t, transport) => {
  const gone = new Set<string>()
  const listeners: ((change: AccessChange) => void)[] = []
  const access: Access = {
    ...openAccess().port,
    erased: user => gone.has(user),
    changes: listener => void listeners.push(listener),
  }
  const bridge = await startBridge(t, {}, { access })
  const connect = (login: string): Promise<Probe> => Probe.connect(t, transport, bridge, { login })
  const [ann, bob, cat] = (await Promise.all(['ann', 'bob', 'cat'].map(connect))) as [Probe, Probe, Probe]
  const destination = '/topic/a'
  await ann.request('SUBSCRIBE', { id: 's', destination })
  for (const text of ['one', 'two', 'three']) await cat.request('SEND', { destination, 'x': 'y' }, text)
  const shown = await ann.messages(3)
  t.same(shown.map(seen), ['one', 'two', 'three'])
  await bob.request('SUBSCRIBE', { id: 's', destination, last: 3, ack: 'client', window: 1 })
  const first = await bob.next('MESSAGE')
  t.equal(seen(first), 'one')

  gone.add('cat')
  for (const listener of listeners) listener({ user: 'cat', erased: true })
  // The node looks at what has changed in a turn of its own.
  await new Promise(setImmediate)
  bob.send('ACK', { id: first.headers['ack']! })
  t.equal(seen(await bob.next('MESSAGE')), 'erased', 'behind a window that was full')
  const late = await connect('dan')
  await late.request('SUBSCRIBE', { id: 'last', destination, last: 3 })
  const last = await late.messages(3)
  t.same(last.map(seen), ['erased', 'erased', 'erased'])
  t.same(
    last.map(({ headers }) => [headers['message-id'], headers['sender'], headers['x']]),
    shown.map(({ headers }) => [headers['message-id'], 'cat', undefined]),
  )
  await late.request('SUBSCRIBE', { id: 'after', destination, after: shown[0]!.headers['message-id']! })
  t.same((await late.messages(2)).map(seen), ['erased', 'erased'])
  await ann.request('SEND', { destination }, 'by another')
  t.equal(seen(await ann.next('MESSAGE')), 'by another')
})
