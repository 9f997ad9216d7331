import { readFile } from 'node:fs/promises'
import { isIPv4, type Socket } from 'node:net'

/** Linux's tables of this machine's TCP sockets; other systems have none. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6']

/** Local port, remote address with port, state, and bytes sent but not acknowledged, where there are any. */
const BEHIND = /:([0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4}) [0-9A-F]{2} (?!00000000)([0-9A-F]{8}):/g

type Queues = ReadonlyMap<string, number>
let reading: Promise<Queues | undefined> | undefined

/**
 * How many bytes the system still holds for the peer of `socket`, because it has not acknowledged them; undefined where
 * nobody knows. Node tells of a write only when all of it has gone, and Linux wakes a writer only when a third of what it
 * holds has: of a peer that takes a kilobyte a second both may hear nothing for many minutes. Those who ask in one turn
 * of the event loop share one reading of the tables.
 */
export const unacknowledged = async (socket: Socket): Promise<number | undefined> => {
  const key = keyOf(socket)
  reading ??= readQueues().finally(() => (reading = undefined))
  const queues = await reading
  return queues && (queues.get(key) ?? 0)
}

const readQueues = async (): Promise<Queues | undefined> => {
  const texts = await Promise.all(TABLES.map(table => readFile(table, 'latin1').catch(() => '')))
  if (texts.every(text => text === '')) return undefined
  const queues = new Map<string, number>()
  for (const text of texts) for (const [, key, bytes] of text.matchAll(BEHIND)) queues.set(key!, parseInt(bytes!, 16))
  return queues
}

const keyOf = ({ localPort = 0, remoteAddress = '', remotePort = 0 }: Socket): string =>
  `${hex(localPort, 4)} ${words(bytesOf(remoteAddress))}:${hex(remotePort, 4)}`

const hex = (number: number, digits: number): string => number.toString(16).toUpperCase().padStart(digits, '0')

/** Addresses are there as words of four bytes, each as a number of this machine. */
const words = (bytes: Buffer): string => {
  let text = ''
  for (let at = 0; at < bytes.length; at += 4) text += hex(bytes.readUInt32LE(at), 8)
  return text
}

const bytesOf = (address: string): Buffer => {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  const mapped = /^::ffff:([\d.]+)$/i.exec(address)?.[1]
  if (mapped) return Buffer.concat([Buffer.alloc(10), Buffer.from([255, 255]), bytesOf(mapped)])
  const [head = '', tail] = address.replace(/%.*/, '').split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  return Buffer.concat([before, Buffer.alloc(Math.max(0, 16 - before.length - after.length)), after])
}

const groupsOf = (text: string): Buffer =>
  Buffer.from(
    text
      .split(':')
      .map(group => (group === '' ? '' : group.padStart(4, '0')))
      .join(''),
    'hex',
  )
