import { createConnection, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

const PRODUCE = 0

/** A TCP proxy before a broker that can do to its connections what networks do. */
export interface Proxy {
  readonly port: number
  /** The port that it leads to; connections that come while it is 0 are ended. */
  target: number
  /**
   * While true, what comes from either side stays here. What a client has sent by then reaches the broker when this ends,
   * also where the client is gone.
   */
  hold: boolean
  /** Ends the connection, once, when the broker's answer to a write arrives: nobody gets the answer. */
  cutNextAnswer(): Promise<void>
  /** Ends the connection, once, instead of passing a write on: the broker never gets it. */
  cutNextWrite(): Promise<void>
  /** Ends all connections. */
  cut(): void
  close(): Promise<void>
}

export const startProxy = async (): Promise<Proxy> => {
  const cuts = new Set<() => void>()
  const held: (() => void)[] = []
  let holding = false
  let cutting: (() => void) | undefined
  let dropping: (() => void) | undefined
  const pass = (work: () => void): void => {
    if (holding) held.push(work)
    else work()
  }
  const server = createServer(client => {
    if (proxy.target === 0) return void client.destroy()
    const broker = createConnection(proxy.target, '127.0.0.1')
    let writes = false
    const cut = (): void => {
      client.destroy()
      broker.destroy()
    }
    cuts.add(cut)
    for (const socket of [client, broker]) {
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
    }
    client.on('data', (chunk: Buffer) => {
      // A connection is used for writes alone or not at all, and its first chunk begins with a request.
      if (chunk.length > 6 && chunk.readInt16BE(4) === PRODUCE) writes = true
      if (writes && dropping) {
        dropping()
        dropping = undefined
        return cut()
      }
      pass(() => void broker.write(chunk))
    })
    broker.on('data', (chunk: Buffer) => {
      if (writes && cutting) {
        cutting()
        cutting = undefined
        return cut()
      }
      pass(() => void client.write(chunk))
    })
    client.on('close', () => pass(() => void broker.end()))
    broker.on('close', () => {
      cuts.delete(cut)
      client.destroy()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const each of cuts) each()
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
    cutNextWrite: () => new Promise(resolve => (dropping = resolve)),
    cut,
    async close() {
      cut()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return proxy
}
