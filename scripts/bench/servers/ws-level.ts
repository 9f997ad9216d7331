/**
 * What RECEIPTs cost without anything of ours: `ws` before LevelDB. What has arrived while a batch is being written is the
 * next one; each SEND of a batch is answered when that is durable.
 */
import type { WebSocket } from 'ws'
import { openBareLevel } from './bare-level.ts'
import { serveWebSockets } from './listening.ts'

const level = await openBareLevel()
let waiting: WebSocket[] = []
let writing = false

const write = async (): Promise<void> => {
  writing = true
  while (waiting.length > 0) {
    const senders = waiting
    waiting = []
    let offset = await level.write(senders.length)
    for (const ws of senders) ws.send(`RECEIPT\nreceipt-id:r\nmessage-id:0-${offset++}\n\n\0`)
  }
  writing = false
}

const take = (ws: WebSocket, frame: Buffer): void => {
  const head = frame.toString('latin1', 0, frame.indexOf('\n\n'))
  if (head.startsWith('CONNECT')) return ws.send('CONNECTED\nversion:1.2\n\n\0')
  waiting.push(ws)
  if (writing) return
  writing = true
  setImmediate(() => void write())
}

serveWebSockets(
  ws => frame => take(ws, frame),
  () => level.close(),
)
