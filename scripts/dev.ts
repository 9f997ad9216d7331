import { end, ended, isEnding, launch, nodeArgs, runScript, showLines } from './launch.ts'

/** The server, started again whenever its source changes, and Vite's server for the page, which hands /ws, /api and /access on to it. */
await runScript(async () => {
  const env = { DRAIN_SECONDS: process.env['DRAIN_SECONDS'] || '0' }
  const server = launch('node', ['--watch', ...nodeArgs], { env, output: 'kept' })
  const page = launch('npm', ['run', 'dev', '--workspace', 'client', '--loglevel=error'], { output: 'kept' })
  showLines(server, 'server')
  showLines(page, 'page  ')
  const code = await Promise.race([ended(server), ended(page)])
  await Promise.all([end(server), end(page)])
  return isEnding() ? 0 : code
})
