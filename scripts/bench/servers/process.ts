import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { end, ended, launch, unconfigured } from '../../launch.ts'
import { listening } from '../../listening.ts'

const CORES = availableParallelism()
const TASKSET = '/usr/bin/taskset'
/** Whether the server and its load have cores of their own. */
export const pinned = CORES > 1 && existsSync(TASKSET)

/** `server`: the first core, alone. `load`: all others. */
export type Place = 'server' | 'load'
export const coresOf = (place: Place): string => (place === 'server' ? '0' : CORES === 2 ? '1' : `1-${CORES - 1}`)

export const launchAt = (place: Place, args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const [program, before] = pinned ? [TASKSET, ['-c', coresOf(place), process.execPath]] : [process.execPath, []]
  return launch(program, [...before, ...args], { env: { ...unconfigured, ...env }, output: 'kept' })
}

/** A server on this machine, on the core that servers have. */
export interface ServerProcess {
  readonly pid: number
  readonly port: number
  /** Of plain STOMP, where it serves that. */
  readonly stompPort?: number | undefined
  readonly stop: () => Promise<void>
}

/** Starts a script that prints a line of JSON with `"msg":"listening"` and its port, and resolves when it has.
 * `dies`: its end is no surprise. */
export const startServer = async (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  dies = false,
): Promise<ServerProcess> => {
  const child = launchAt('server', args, env)
  let last = ''
  const { port, stompPort } = await listening(child, line => {
    last = line
  })
  let stopping = dies
  void ended(child).then(code => {
    if (!stopping) process.stderr.write(`${args.join(' ')} has ended (exit code ${code}): ${last}\n`)
  })
  const stop = async (): Promise<void> => {
    stopping = true
    await end(child, 5_000)
  }
  return { pid: child.pid!, port, stompPort, stop }
}
