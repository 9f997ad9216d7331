import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

/** The processes, as `pid command`, that have `variable` in their environment: they can be told from it wherever they are. */
const processesWith = async (variable: string): Promise<Map<number, string>> => {
  const found = new Map<number, string>()
  // Only Linux shows the environment of processes this way.
  const names = await readdir('/proc').catch(() => [])
  for (const pid of names.filter(name => /^\d+$/.test(name) && Number(name) !== process.pid).map(Number)) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (!environment.split('\0').includes(variable)) continue
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (command !== '') found.set(pid, `${pid} ${command.replaceAll('\0', ' ').trim().slice(0, 200)}`)
  }
  return found
}

/**
 * Kills every process that was started with `variable` (`NAME=value`) in its environment and is still there after
 * `patience` ms, and resolves with what they were.
 */
export const endLeftovers = async (variable: string, patience = 3_000): Promise<readonly string[]> => {
  const deadline = Date.now() + patience
  let left = await processesWith(variable)
  while (left.size > 0 && Date.now() < deadline) {
    await delay(100)
    left = await processesWith(variable)
  }
  for (const pid of left.keys()) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended by itself in the meantime.
    }
  }
  return [...left.values()]
}
