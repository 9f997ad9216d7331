import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { selfSigned } from '../testkit/certificate.ts'
import { scratch, startNode, until } from '../testkit/node.ts'
import { Probe, transports, wire } from '../testkit/probe.ts'

const folder = await scratch(t)
const { cert, key } = selfSigned()
const files = { TLS_CERT: join(folder, 'cert.pem'), TLS_KEY: join(folder, 'key.pem') }
await writeFile(files.TLS_CERT, cert)
await writeFile(files.TLS_KEY, key)
const node = { ...(await startNode(t, files)), ca: cert }

wire(t, '[S-02] [checklist 67] TLS on both transports, with one behaviour', async (t, transport) => {
  const destination = `/topic/secret-${transport}`
  const readers = await Promise.all(transports.map(each => Probe.connect(t, each, node)))
  for (const reader of readers) await reader.request('SUBSCRIBE', { id: 's', destination })
  const sender = await Probe.connect(t, transport, node, { 'heart-beat': '0,10000' })
  const body = Buffer.alloc(300_000, 'é')
  for (let i = 0; i < 20; i++) await sender.request('SEND', { destination, i }, body)
  for (const reader of readers) {
    for (const [i, message] of (await reader.messages(20)).entries()) {
      t.equal(message.headers['i'], String(i))
      t.ok(message.body.equals(body))
    }
  }
  sender.send('SEND', {})
  t.match((await sender.error()).headers, { code: 'MISSING_HEADER' })
  const leaver = await Probe.connect(t, transport, node)
  leaver.send('DISCONNECT', { receipt: 'bye' })
  t.equal((await leaver.next('RECEIPT')).headers['receipt-id'], 'bye')
  await leaver.ended()
})

wire(t, 'a renewed certificate is used for new connections, the open ones go on', async (t, transport) => {
  const here = await scratch(t)
  const own = { TLS_CERT: join(here, 'cert.pem'), TLS_KEY: join(here, 'key.pem') }
  const write = async (each: typeof first): Promise<void> => {
    await writeFile(own.TLS_CERT, each.cert)
    await writeFile(own.TLS_KEY, each.key)
  }
  const [first, second] = [selfSigned(), selfSigned()]
  await write(first)
  const renewing = await startNode(t, own)
  const old = await Probe.connect(t, transport, { ...renewing, ca: first.cert })
  await write({ cert: second.cert, key: Buffer.from('half of it is not there yet') })
  await until(() => renewing.lines.some(line => line.includes('the old one stays')))
  await Probe.connect(t, transport, { ...renewing, ca: first.cert })
  await write(second)
  await until(() => renewing.lines.some(line => line.includes('renewed certificate')))
  await Probe.connect(t, transport, { ...renewing, ca: second.cert })
  await t.rejects(Probe.connect(t, transport, { ...renewing, ca: first.cert }))
  await old.settled()
})

wire(t, '[S-02] a client that does not speak TLS gets nothing, and does no harm', async (t, transport) => {
  const socket = connect(transport === 'tcp' ? node.stompPort! : node.port, '127.0.0.1')
  socket.on('error', () => {})
  let received = ''
  socket.on('data', chunk => (received += String(chunk)))
  socket.write('CONNECT\naccept-version:1.2\n\n\0')
  await once(socket, 'close')
  t.notMatch(received, /CONNECTED/)
  await Probe.connect(t, transport, node)
  t.match(node.url, /^https:/)
})
