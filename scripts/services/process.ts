import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/** Whether nobody listens on this port of the loopback address. */
export const isFree = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })

/**
 * Ports below those that the system gives to outgoing connections. From among those, a client that keeps trying to reach
 * a service that is down would one day be given the service's own port, connect to itself and keep the service from it.
 */
export const freePort = async (taken = new Set<number>()): Promise<number> => {
  for (;;) {
    const port = randomInt(15_000, 32_000)
    if (taken.has(port)) continue
    taken.add(port)
    if (await isFree(port)) return port
  }
}

/**
 * A process that outlives this one just long enough to end, when its input ends, what it was last told of: with `signal`,
 * which also reaches what is stopped.
 */
export const startWatch = (signal: 'KILL' | 'QUIT' = 'KILL'): { tell(pids: readonly number[]): void } => {
  const kill = `kill -${signal} $pids; kill -CONT $pids`
  const script = `pids=; while read -r line; do pids=$line; done; [ -z "$pids" ] || { ${kill}; }`
  const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
  child.unref()
  child.stdin.on('error', () => undefined)
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref()
  return { tell: pids => void child.stdin.write(`${pids.join(' ')}\n`) }
}
