import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { selfSigned } from '../testkit/certificate.ts'
import type { UserEvents } from '../ports/events.ts'
import { figure, scratch, startBridge, startNode, until, type TestNode } from '../testkit/node.ts'

const hello = 'CONNECT\naccept-version:1.2\nhost:test\n\n\0'
const sends = Array.from({ length: 200 }, (_, i) => `SEND\ndestination:/topic/a\nreceipt:${i}\n\n${i}\0`).join('')

/** Everything that comes back to who says `text` and shuts down its sending side, until the server ends it too. */
const say = async (socket: Socket, text: string): Promise<string> => {
  let heard = ''
  socket.setEncoding('utf8')
  socket.on('data', chunk => (heard += chunk))
  socket.end(text)
  await once(socket, 'end')
  return heard
}
const receipts = (heard: string): string[] => Array.from(heard.matchAll(/\nreceipt-id:(\d+)\n/g), ([, id]) => id!)
const numbers = Array.from({ length: 200 }, (_, i) => String(i))
const isGone = (node: TestNode): Promise<number> => figure(node, 'hoofbeat_connections', open => open === 0)

void t.test('[S-61] who has only shut down its sending side gets every RECEIPT, then the end', async t => {
  const node = await startNode(t)
  const socket = connect({ host: '127.0.0.1', port: node.stompPort!, allowHalfOpen: true })
  t.same(receipts(await say(socket, hello + sends)), numbers)
  await isGone(node)
})

void t.test('[S-61] over TLS too', async t => {
  const folder = await scratch(t)
  const { cert: ca, key } = selfSigned()
  const files = { TLS_CERT: join(folder, 'cert.pem'), TLS_KEY: join(folder, 'key.pem') }
  await writeFile(files.TLS_CERT, ca)
  await writeFile(files.TLS_KEY, key)
  const node = await startNode(t, files)
  const below = connect({ host: '127.0.0.1', port: node.stompPort!, allowHalfOpen: true })
  const socket = connectTls({ socket: below, servername: 'localhost', ca })
  await once(socket, 'secureConnect')
  t.same(receipts(await say(socket, hello + sends)), numbers)
})

void t.test('[S-61] with nothing said, half a frame, an open subscription, or an ERROR: the end', async t => {
  const node = await startNode(t)
  const open = (): Socket => connect({ host: '127.0.0.1', port: node.stompPort!, allowHalfOpen: true })
  t.equal(await say(open(), ''), '')
  t.match(await say(open(), `${hello}SEND\ndestination:/to`), /^CONNECTED\n[^\0]*\0$/)
  t.match(
    await say(open(), `${hello}SUBSCRIBE\nid:s\ndestination:/topic/a\nreceipt:1\n\n\0`),
    /^CONNECTED\n[^\0]*\0RECEIPT\nreceipt-id:1\n\n\0$/,
  )
  t.match(await say(open(), `${hello}SEND\n\n\0`), /^CONNECTED\n[^\0]*\0ERROR\n[^\0]*code:MISSING_HEADER\n[^\0]*\0$/)
  t.match(await say(open(), `${hello}DISCONNECT\nreceipt:1\n\n\0`), /\0RECEIPT\nreceipt-id:1\n\n\0$/)
  await isGone(node)
})

void t.test('[S-61] what ends it meanwhile ends it: nothing comes after an ERROR', async t => {
  const gate = Promise.withResolvers<void>()
  const events: UserEvents = {
    subscribe: async () => {
      await gate.promise
      return () => {}
    },
  }
  const { node, stompPort } = await startBridge(t, {}, { events })
  const socket = connect({ host: '127.0.0.1', port: stompPort, allowHalfOpen: true })
  socket.once('data', chunk => node.disconnect(/\nsession:(\S+)\n/.exec(String(chunk))![1]!))
  const heard = await say(socket, `${hello}SUBSCRIBE\nid:s\ndestination:/user/queue/events\nreceipt:1\n\n\0`)
  gate.resolve()
  t.match(heard, /^CONNECTED\n[^\0]*\0ERROR\n[^\0]*code:ENDED_BY_ADMIN\n[^\0]*\0$/)
  await until(() => node.gauges().connections === 0)
})
