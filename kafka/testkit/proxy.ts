import { createConnection, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

const PRODUCE = 0

/** A TCP proxy before a broker that can do to its connections what networks do. */
export interface Proxy {
  readonly port: number
  /** Where it leads to; connections that come before this is known are ended. */
  target: number
  /** While true, what is sent to the broker and what it answers stays in the proxy. */
  hold: boolean
  /** Ends the connection, once, when the broker's answer to a write arrives: nobody gets the answer. */
  cutNextAnswer(): Promise<void>
  /** Ends all connections. */
  cut(): void
  close(): Promise<void>
}

export const startProxy = async (): Promise<Proxy> => {
  const sockets = new Set<Socket>()
  const held: (() => void)[] = []
  let holding = false
  let cutting: (() => void) | undefined
  const pass = (work: () => void): void => {
    if (holding) held.push(work)
    else work()
  }
  const server = createServer(client => {
    if (proxy.target === 0) return void client.destroy()
    const broker = createConnection(proxy.target, '127.0.0.1')
    let writes = false
    for (const socket of [client, broker]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        broker.destroy()
      })
    }
    client.on('data', (chunk: Buffer) => {
      // A connection is used for writes alone or not at all, and its first chunk begins with a request.
      if (chunk.length > 6 && chunk.readInt16BE(4) === PRODUCE) writes = true
      pass(() => void broker.write(chunk))
    })
    broker.on('data', (chunk: Buffer) => {
      if (writes && cutting) {
        cutting()
        cutting = undefined
        client.destroy()
        return
      }
      pass(() => void client.write(chunk))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const proxy: Proxy = {
    port: (server.address() as AddressInfo).port,
    target: 0,
    get hold() {
      return holding
    },
    set hold(value) {
      holding = value
      if (!value) for (const work of held.splice(0)) work()
    },
    cutNextAnswer: () => new Promise(resolve => (cutting = resolve)),
    cut,
    async close() {
      cut()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return proxy
}
