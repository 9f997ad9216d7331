import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const root = join(import.meta.dirname, '../..')
const pom = join(root, 'kafka/pom.xml')

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

/** Downloads from Maven Central what kafka/pom.xml names, and what that needs. */
const download = async (folder: string): Promise<void> => {
  const partial = `${folder}.partial`
  const args = ['-B', '-q', '-f', pom, 'dependency:copy-dependencies']
  const options = ['-DincludeScope=runtime', `-DoutputDirectory=${partial}`]
  for (let attempt = 1; ; attempt++) {
    await rm(partial, { recursive: true, force: true })
    const { code, output } = await run('mvn', [...args, ...options], 'install Maven (Debian: apt-get install -y maven)')
    if (code === 0) break
    // Maven's own repository is shared with every other Maven on the machine, so a first failure may be a collision.
    if (attempt === 2) {
      const reason = /ERROR\S* (.*)/.exec(output)?.[1] ?? `exit code ${code}`
      throw new ServiceError(`Maven could not download the broker: ${reason}`)
    }
  }
  await rename(partial, folder)
}

/**
 * Installs the broker's jars unless they are there, and resolves with Java's class path for them.
 * May run in several processes at once. Rejects with ServiceError where Maven is missing or fails.
 */
export const installKafka = async (cache = join(root, '.cache/kafka')): Promise<string> => {
  const version = createHash('sha256')
    .update(await readFile(pom))
    .digest('hex')
    .slice(0, 12)
  const folder = join(cache, `jars-${version}`)
  if (!existsSync(folder)) {
    await mkdir(cache, { recursive: true })
    await exclusively(`${folder}.lock`, async () => {
      if (!existsSync(folder)) await download(folder)
    })
  }
  return join(folder, '*')
}
