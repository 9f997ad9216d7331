import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root, run, runScript, ScriptError } from './launch.ts'

/** `runtime`: what runs a node and builds its page. `full`: what checks and tests them too. */
export type Extent = 'runtime' | 'full'

interface Package {
  readonly version?: string
  readonly dev?: true
  readonly optional?: true
  readonly devOptional?: true
  readonly peer?: true
}
type Packages = ReadonlyMap<string, Package>

const packagesIn = async (file: string): Promise<Packages | undefined> => {
  const text = await readFile(join(root, file), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const lock = JSON.parse(text) as { packages: Record<string, Package> }
  return new Map(Object.entries(lock.packages).filter(([path]) => path !== ''))
}

/** What is for other platforms than this one is never there. */
const wanted = (each: Package, extent: Extent): boolean =>
  !each.optional && !each.devOptional && (extent === 'full' || !each.dev)

/** Whether `installed` has all of `locked` that `extent` needs, in the locked versions. */
const complete = (locked: Packages, installed: Packages, extent: Extent): boolean =>
  [...locked].every(([path, each]) => !wanted(each, extent) || installed.get(path)?.version === each.version)

/**
 * Installs the npm packages unless they are there: npm writes down what it installed, and that is compared with
 * package-lock.json. Where the packages for development are there, they are kept, whatever is asked for.
 */
export const install = async (extent: Extent): Promise<void> => {
  const locked = await packagesIn('package-lock.json')
  if (!locked) throw new ScriptError('package-lock.json is missing: get it back with git checkout package-lock.json')
  const installed = await packagesIn('node_modules/.package-lock.json')
  if (installed && complete(locked, installed, extent)) return
  const all = extent === 'full' || [...(installed?.values() ?? [])].some(({ dev }) => dev)
  process.stdout.write(`Installing the npm packages${all ? ', those for development too' : ''}\n`)
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  // Older npm versions make a newer Node warn of their own code.
  const env = { NODE_NO_WARNINGS: '1' }
  await run('npm', ['ci', all ? '--include=dev' : '--omit=dev', ...quiet], { env, output: 'dropped' })
}

if (process.argv[1] === import.meta.filename) {
  const extent = process.argv[2]
  await runScript(async () => {
    if (extent !== 'runtime' && extent !== 'full') throw new ScriptError('Usage: node scripts/install.ts runtime|full')
    await install(extent)
  })
}
