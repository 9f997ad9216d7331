/**
 * What the bare limits are measured with: `ws` and as little STOMP as the load generator needs, sending the bytes of our
 * MESSAGE frames. `one-send`: one `send` a client and message. `gathered`: all of an event-loop turn in one write a socket.
 */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { serveWebSockets } from './listening.ts'

interface Subscriber {
  readonly ws: WebSocket
  readonly socket: Socket
}
interface Room {
  readonly destination: string
  readonly subscribers: Set<Subscriber>
  messages: number
  parts: Buffer[]
}

const EPOCH = randomBytes(8).toString('hex')
const BINARY_OR_TEXT = 0x81
const gathering = process.argv[2] === 'gathered'
const rooms = new Map<string, Room>()

const roomOf = (destination: string): Room => {
  let room = rooms.get(destination)
  if (!room) rooms.set(destination, (room = { destination, subscribers: new Set(), messages: 0, parts: [] }))
  return room
}

const messageOf = (room: Room, body: Buffer): Buffer => {
  const head =
    `MESSAGE\nsubscription:sub-0\ndestination:${room.destination}\nmessage-id:${EPOCH}-${room.messages++}\n` +
    `timestamp:${Date.now()}\nsender:anonymous\ncontent-length:${body.length}\n\n`
  const message = Buffer.allocUnsafe(head.length + body.length + 1)
  message.write(head, 'latin1')
  message.set(body, head.length)
  message[message.length - 1] = 0
  return message
}

/** As a WebSocket message; between 126 and 65,535 bytes, as all of ours are. */
const framed = (message: Buffer): Buffer => {
  const head = Buffer.from([BINARY_OR_TEXT, 126, 0, 0])
  head.writeUInt16BE(message.length, 2)
  return Buffer.concat([head, message])
}

const flush = (room: Room): void => {
  const bytes = Buffer.concat(room.parts)
  room.parts = []
  for (const { ws, socket } of room.subscribers) if (ws.readyState === ws.OPEN) socket.write(bytes)
}

const broadcast = (room: Room, body: Buffer): void => {
  const message = messageOf(room, body)
  if (!gathering) {
    for (const { ws } of room.subscribers) ws.send(message, { binary: false })
    return
  }
  if (room.parts.push(framed(message)) === 1) setImmediate(flush, room)
}

const headerOf = (head: string, name: string): string => new RegExp(`\n${name}:([^\n]*)`).exec(head)?.[1] ?? ''

const take = (subscriber: Subscriber, frame: Buffer): void => {
  const bodyAt = frame.indexOf('\n\n') + 2
  const head = frame.toString('latin1', 0, bodyAt)
  if (head.startsWith('SEND')) broadcast(roomOf(headerOf(head, 'destination')), frame.subarray(bodyAt, -1))
  else if (head.startsWith('CONNECT')) subscriber.ws.send('CONNECTED\nversion:1.2\n\n\0')
  else if (head.startsWith('SUBSCRIBE')) {
    const { subscribers } = roomOf(headerOf(head, 'destination'))
    subscribers.add(subscriber)
    subscriber.ws.on('close', () => subscribers.delete(subscriber))
    subscriber.ws.send(`RECEIPT\nreceipt-id:${headerOf(head, 'receipt')}\n\n\0`)
  }
}

serveWebSockets((ws, socket) => {
  const subscriber = { ws, socket }
  return frame => take(subscriber, frame)
})
