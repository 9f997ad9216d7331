import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { capture, root, runScript } from './launch.ts'

interface Check {
  readonly name: string
  readonly command: readonly [string, ...string[]]
}

const tool = (name: string): string => join('node_modules/.bin', name)
const onPath = (name: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some(folder => existsSync(join(folder, name)))

const shellScripts = ['scripts/node.sh', '.ci/run']
const checks: readonly Check[] = [
  { name: 'types', command: [tool('tsc')] },
  ...(existsSync(join(root, 'client/tsconfig.json'))
    ? [{ name: 'types of the page', command: [tool('tsc'), '-p', 'client', '--noEmit'] } as const]
    : []),
  { name: 'lint', command: [tool('oxlint')] },
  { name: 'format', command: [tool('oxfmt'), '--check'] },
  { name: 'dead code', command: [tool('knip'), '--no-progress'] },
  { name: 'imports', command: ['node', 'scripts/checks/imports.ts'] },
  { name: 'sizes', command: ['node', 'scripts/checks/sizes.ts'] },
  ...(onPath('shellcheck') ? [{ name: 'shell', command: ['shellcheck', ...shellScripts] } as const] : []),
  { name: 'audit', command: ['node', 'scripts/checks/audit.ts'] },
]

/** All checks at once; what each has to say is shown when all are done. */
await runScript(async () => {
  const results = await Promise.all(
    checks.map(async ({ name, command: [program, ...args] }) => {
      const started = performance.now()
      const { code, output } = await capture(program, args, { env: { NO_COLOR: '1' } })
      return { name, code, output: output.trim(), seconds: (performance.now() - started) / 1000 }
    }),
  )
  for (const { name, code, output, seconds } of results) {
    process.stdout.write(`${code === 0 ? 'ok  ' : 'FAIL'}  ${name} (${seconds.toFixed(1)} s)\n`)
    if (output !== '' && (code !== 0 || ['sizes', 'audit'].includes(name))) process.stdout.write(`${output}\n\n`)
  }
  return results.every(({ code }) => code === 0) ? 0 : 1
})
