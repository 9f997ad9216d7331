import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'

/** How often a slow reader reads, ms. */
const PACE_MS = 250
const FAST_BYTES = 65_536

/** A TCP proxy before a node, behind which clients are as slow, or as far away, as is wanted. */
export interface Narrows {
  readonly port: number
  /** How many bytes a second each client takes. 0: it has stopped; Infinity: whatever comes. */
  rate: number
  /** While true the node hears nothing of the clients any more, nor of their end. */
  silent: boolean
  close(): Promise<void>
}

/** Starts a proxy that leads to `port`, and at first holds nothing up. */
export const openNarrows = async (port: number): Promise<Narrows> => {
  let rate = Infinity
  const sockets = new Set<Socket>()
  const resume = new Set<() => void>()
  const fast = Buffer.alloc(FAST_BYTES)
  let slow = Buffer.alloc(1)
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer({ allowHalfOpen: true }, client => {
    const node = connect({
      port,
      host: '127.0.0.1',
      onread: {
        // Reading this much at once and no more, the system's buffers fill as those of a slow client do.
        buffer: () => (rate === Infinity ? fast : slow),
        callback: (bytes, chunk) => {
          const more = client.write(Buffer.from(chunk.subarray(0, bytes)))
          return more && rate === Infinity
        },
      },
    })
    const go = (): void => void node.resume()
    keep(client)
    keep(node)
    resume.add(go)
    client.on('data', chunk => {
      if (!narrows.silent) node.write(chunk)
    })
    client.on('drain', () => {
      if (rate === Infinity) go()
    })
    client.on('end', () => {
      if (!narrows.silent) node.end()
    })
    client.on('close', () => {
      if (!narrows.silent) node.destroy()
    })
    node.on('close', () => {
      resume.delete(go)
      client.destroy()
    })
  })
  const pace = setInterval(() => {
    if (rate > 0 && rate < Infinity) for (const go of resume) go()
  }, PACE_MS)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const narrows: Narrows = {
    port: typeof address === 'object' && address ? address.port : 0,
    silent: false,
    get rate() {
      return rate
    },
    set rate(value) {
      rate = value
      if (rate < Infinity) slow = Buffer.alloc(Math.max(1, Math.floor((rate * PACE_MS) / 1000)))
      else for (const go of resume) go()
    },
    async close() {
      clearInterval(pace)
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return narrows
}

/** One that is gone after the test. */
export const startNarrows = async (t: Test, port: number): Promise<Narrows> => {
  const narrows = await openNarrows(port)
  t.teardown(() => narrows.close())
  return narrows
}
