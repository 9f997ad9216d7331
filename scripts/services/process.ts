import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { open, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** Something that whoever runs the command has to put right. The message is one line and says how. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError'
}

/** Runs a program to its end. Resolves with its exit code and all that it printed; `missing` says how to get it. */
export const run = (
  program: string,
  args: readonly string[],
  missing: string,
): Promise<{ code: number | null; output: string }> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    const take = (chunk: Buffer): void => {
      output += chunk.toString()
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', () => reject(new ServiceError(`${program} was not found: ${missing}`)))
    child.on('close', code => resolve({ code, output }))
  })

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Runs `work` while no other process does so with the same lock file. A lock whose process died is taken over. */
export const exclusively = async (lock: string, work: () => Promise<void>): Promise<void> => {
  for (;;) {
    try {
      const file = await open(lock, 'wx')
      await file.writeFile(String(process.pid))
      await file.close()
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const owner = Number(await readFile(lock, 'utf8').catch(() => ''))
      if (owner > 0 && !alive(owner)) await rm(lock, { force: true })
      await delay(200)
    }
  }
  try {
    await work()
  } finally {
    await rm(lock, { force: true })
  }
}

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
