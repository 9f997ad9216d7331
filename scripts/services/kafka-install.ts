import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { exclusively, run, ServiceError } from './process.ts'

const root = join(import.meta.dirname, '../..')
const pom = join(root, 'kafka/pom.xml')

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
