import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { glob, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { install } from './install.ts'
import { capture, root, runScript, ScriptError } from './launch.ts'

const built = join(root, 'client/dist/index.html')
const stamp = join(root, '.cache/page.sha256')
const made = ['**/node_modules/**', '**/dist/**', '**/*.test.*']

/** Over everything that the page is built from. */
const fingerprint = async (): Promise<string> => {
  const hash = createHash('sha256')
  const files: string[] = []
  for await (const file of glob('client/**/*.*', { cwd: root, exclude: made })) files.push(file)
  for (const file of ['package-lock.json', ...files.toSorted()]) {
    const content = await readFile(join(root, file)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EISDIR') return ''
      throw error
    })
    hash.update(`${file}\0`).update(content)
  }
  return hash.digest('hex')
}

/** Builds the chat page into client/dist, unless it is there and nothing that it is made from has changed. */
export const buildPage = async (): Promise<void> => {
  const now = await fingerprint()
  const before = await readFile(stamp, 'utf8').catch(() => undefined)
  if (existsSync(built) && before === now) return
  process.stdout.write('Building the page\n')
  const { code, output } = await capture('npm', ['run', 'build', '--workspace', 'client', '--loglevel=error'])
  if (code !== 0) throw new ScriptError(`${output.trimEnd()}\nThe page could not be built.`)
  await mkdir(join(root, '.cache'), { recursive: true })
  await writeFile(stamp, now)
}

if (process.argv[1] === import.meta.filename) {
  await runScript(async () => {
    await install('runtime')
    await buildPage()
  })
}
