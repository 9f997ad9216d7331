import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { keys } from '../server/config.ts'

export const root: string = join(import.meta.dirname, '..')

/** For the environment of nodes that get all they need: what whoever runs a script has configured is none of their business. */
export const unconfigured: Readonly<Record<string, undefined>> = Object.fromEntries(
  Object.keys(keys).map(key => [key, undefined]),
)

/**
 * The arguments for Node.js that run a node. A crowd that connects lets the young generation of the heap grow to over 100 MiB,
 * and it stays so; with 3 x 8 MiB a node is as fast.
 */
export const nodeArgs: readonly string[] = ['--max-semi-space-size=8', join(root, 'server/main.ts')]

/** Ends a script with exit code 1 and this one line, which says what is wrong and what to do. */
export class ScriptError extends Error {
  override readonly name = 'ScriptError'
}

export interface Launch {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  /** `shown` (the default): as it comes; `kept`: for whoever reads the child's streams; `dropped`: stderr only is shown. */
  readonly output?: 'shown' | 'kept' | 'dropped'
}

const stdio = {
  shown: ['ignore', 'inherit', 'inherit'],
  kept: ['ignore', 'pipe', 'pipe'],
  dropped: ['ignore', 'ignore', 'inherit'],
} as const

const SECOND_SIGNAL_AFTER = 1_000
const ENDED_WITHIN = 20_000

const running = new Set<ChildProcess>()
let ending: NodeJS.Signals | undefined

/** Whether the script was told to end. */
export const isEnding = (): boolean => ending !== undefined

const toGroup = (child: ChildProcess, signal: NodeJS.Signals): void => {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // The whole group is gone already.
  }
}

/** Starts a program in a process group of its own: Ctrl-C in the terminal reaches it through `runScript` only. */
export const launch = (program: string, args: readonly string[], options: Launch = {}): ChildProcess => {
  if (ending) throw new ScriptError(`ended by ${ending}`)
  const child = spawn(program, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: [...stdio[options.output ?? 'shown']],
    detached: true,
  })
  running.add(child)
  child.once('close', () => running.delete(child))
  return child
}

/** Resolves with the exit code, as a shell would give it, once the child has ended and all of its output was read. */
export const ended = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once('error', error => {
      running.delete(child)
      reject(new ScriptError(`${child.spawnfile} cannot be run: ${error.message}`))
    })
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  })

/** Runs a program to its end. Rejects where it fails; what is wrong it has said itself. */
export const run = async (program: string, args: readonly string[], options: Launch = {}): Promise<void> => {
  const code = await ended(launch(program, args, options))
  if (code !== 0) throw new ScriptError(`${[program, ...args].join(' ')} failed (exit code ${code})`)
}

/** Runs a program to its end and resolves with its exit code and all that it printed. */
export const capture = async (
  program: string,
  args: readonly string[],
  options: Omit<Launch, 'output'> = {},
): Promise<{ code: number; output: string }> => {
  const child = launch(program, args, { ...options, output: 'kept' })
  const chunks: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => chunks.push(chunk))
  const code = await ended(child)
  return { code, output: Buffer.concat(chunks).toString() }
}

/** Asks a group to end, kills it where it has not within `patience` ms, and resolves when it is gone. */
export const end = async (child: ChildProcess, patience = ENDED_WITHIN): Promise<void> => {
  if (!running.has(child)) return
  const gone = new Promise(resolve => child.once('close', resolve))
  toGroup(child, 'SIGTERM')
  const waiting = new AbortController()
  await Promise.race([gone, delay(patience, undefined, { signal: waiting.signal }).catch(() => undefined)])
  waiting.abort()
  toGroup(child, 'SIGKILL')
  await gone
}

/** Shows each line that a program prints with a name before it. Needs output `kept`. */
export const showLines = (child: ChildProcess, name: string): void => {
  for (const input of [child.stdout, child.stderr]) {
    if (input) createInterface({ input }).on('line', line => process.stdout.write(`${name} | ${line}\n`))
  }
}

/**
 * Runs a script and ends the process: with the exit code that `work` resolves with (none: 0), with 1 where it rejects, or
 * with what a shell gives for a signal where it rejects because of that.
 * At Ctrl-C or SIGTERM everything that was launched is asked to end, so that `work` comes to its own end and tidies up;
 * a second one kills what is left.
 */
export const runScript = async (work: () => Promise<number | void>): Promise<never> => {
  let since = 0
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      ending ??= signal
      if (since === 0) {
        since = Date.now()
        for (const child of running) void end(child)
        // make passes SIGTERM on to a child that may have had it from whoever ended the whole group.
      } else if (Date.now() - since > SECOND_SIGNAL_AFTER) for (const child of running) toGroup(child, 'SIGKILL')
    })
  }
  let code: number
  try {
    code = (await work()) ?? 0
  } catch (error) {
    // What fails because it was ended needs no explanation.
    if (!ending) process.stderr.write(`${isOwn(error) ? error.message : describe(error)}\n`)
    code = ending ? 128 + constants.signals[ending] : 1
  }
  process.exit(code)
}

/** Errors that are a line for whoever runs the script. Anything else is a fault, shown with its stack. */
const isOwn = (error: unknown): error is Error =>
  error instanceof Error && ['ScriptError', 'ServiceError'].includes(error.name)
const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))
