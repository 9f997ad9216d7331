import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { keys } from '../server/config.ts'
import { capture, root } from './launch.ts'
import { endLeftovers } from './leftovers.ts'

t.test('a configuration key on the command line of make reaches the node as it is', async t => {
  const value = `a $b $(HOME) #c 'd' "e" \\f é %g,h=i`
  const folder = t.testdir({ 'show.mk': `include ${join(root, 'Makefile')}\nshow:\n\t@env -0\n` })
  const args = Object.keys(keys).map(key => `${key}=${value}`)
  const { code, output } = await capture('make', ['-s', '-f', join(folder, 'show.mk'), 'show', ...args])
  t.equal(code, 0)
  const environment = new Set(output.split('\0'))
  for (const key of Object.keys(keys)) t.ok(environment.has(`${key}=${value}`), key)
  t.notOk([...environment].some(each => /^(MAKEFLAGS|MFLAGS|MAKEOVERRIDES)=./.test(each)))
})

t.test('without Node.js the one line that is printed says what to install', async t => {
  const { code, output } = await capture('/bin/sh', ['scripts/node.sh', 'node'], { env: { PATH: t.testdir({}) } })
  t.equal(code, 1)
  t.match(output.trimEnd().split('\n').at(-1), /^Hoofbeat needs Node.js with npm: install it/)
})

/** A script that launches a program and tells its process id. */
const script = `
  import { run, runScript } from ${JSON.stringify(join(root, 'scripts/launch.ts'))}
  await runScript(async () => {
    try {
      await run('sh', ['-c', 'echo ready $$; exec sleep 600'])
    } finally {
      process.stdout.write('tidied up\\n')
    }
  })`

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends what a script launched, lets it tidy up, and is its exit code`, async t => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: child.stdout })
    const seen: string[] = []
    lines.on('line', line => {
      seen.push(line)
      if (line.startsWith('ready')) child.kill(signal)
    })
    const [code] = await once(child, 'close')
    t.equal(code, signal === 'SIGTERM' ? 143 : 130)
    t.equal(seen.at(-1), 'tidied up')
    const pid = Number(seen[0]?.split(' ')[1])
    t.throws(() => process.kill(pid, 0), { code: 'ESRCH' })
  })
}

t.test('what a test left running is found by its environment and killed', async t => {
  const mark = `HOOFBEAT_LEFT=${t.testdirName}`
  t.same(await endLeftovers(mark, 0), [])
  const child = spawn('sleep', ['600'], { env: { ...process.env, HOOFBEAT_LEFT: t.testdirName }, stdio: 'ignore' })
  const gone = once(child, 'exit')
  await once(child, 'spawn')
  t.match(await endLeftovers(mark, 0), [`${child.pid} sleep 600`])
  t.same(await gone, [null, 'SIGKILL'])
})
