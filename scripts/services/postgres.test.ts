import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import type { Test } from 'tap'
import { findBackground, startBackground, startPostgres, stopBackground } from './postgres.ts'
import { freePort, run } from './process.ts'

const command = join(import.meta.dirname, 'postgres.ts')
const scratch = async (t: Test): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-services-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
/** What a PostgreSQL answers, or undefined where none does. */
const ask = async (url: string, text: string): Promise<unknown> => {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows[0]?.[0]
  } catch {
    return undefined
  } finally {
    await client.end().catch(() => undefined)
  }
}

void t.test('killed and started again it has what was committed', async t => {
  const postgres = await startPostgres({ folder: join(await scratch(t), 'postgres') })
  t.teardown(() => postgres.stop())
  t.equal(await ask(postgres.url, 'show fsync'), 'on')
  await ask(postgres.url, 'create table kept as select 5 as n')
  await postgres.kill()
  await postgres.kill()
  t.equal(await ask(postgres.url, 'select n from kept'), undefined)
  await postgres.start()
  t.equal(await ask(postgres.url, 'select n from kept'), 5)
  postgres.signal('SIGSTOP')
  const answer = ask(postgres.url, 'select n + 1 from kept')
  postgres.signal('SIGCONT')
  t.equal(await answer, 6)
  postgres.signal('SIGSTOP')
  await postgres.stop()
  await postgres.stop()
  t.equal(await ask(postgres.url, 'select 1'), undefined)
})

void t.test('it ends with whoever started it, however that ends', async t => {
  const source = `import { startPostgres } from ${JSON.stringify(command)}
    process.stdout.write((await startPostgres({ folder: ${JSON.stringify(join(await scratch(t), 'postgres'))} })).url)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  const url = await new Promise<string>(resolve => child.stdout.once('data', chunk => resolve(String(chunk))))
  t.equal(await ask(url, 'select 1'), 1)
  child.kill('SIGKILL')
  while ((await ask(url, 'select 1')) !== undefined) await delay(20)
  t.pass('it is gone')
})

void t.test('in the background: started once, stopped by name, and nobody else’s', async t => {
  const data = join(await scratch(t), 'data')
  const port = await freePort(new Set())
  const url = `postgres://postgres@127.0.0.1:${port}/hoofbeat`
  t.teardown(() => stopBackground(port, data))
  t.equal(await startBackground(port, data), `PostgreSQL is ready: ${url}`)
  t.equal(await ask(url, 'select 1'), 1)
  t.equal(await startBackground(port, data), `PostgreSQL runs already: ${url}`)
  t.equal(await findBackground(port, data), url)
  t.equal(await findBackground(port, await scratch(t)), undefined, 'another one’s')
  t.equal(await stopBackground(port, await scratch(t)), 'PostgreSQL was not running', 'another one’s')
  await t.rejects(startBackground(port, await scratch(t)), { message: new RegExp(`^port ${port} is taken: `) })
  t.equal(await stopBackground(port, data), 'PostgreSQL has stopped')
  t.equal(await stopBackground(port, data), 'PostgreSQL was not running')
  t.equal(await startBackground(port, data), `PostgreSQL is ready: ${url}`, 'on the same data')
})

void t.test('with its port taken, one line says what to do', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await t.rejects(startBackground(port, await scratch(t)), { name: 'ServiceError', message: /end what listens there/ })
})

void t.test('the commands say how they are used', async t => {
  for (const name of ['postgres', 'services']) {
    for (const [argument, code] of [
      ['--help', 0],
      ['constructor', 2],
    ] as const) {
      const help = await run(process.execPath, [join(import.meta.dirname, `${name}.ts`), argument], '')
      t.equal(help.code, code)
      t.ok(help.output.startsWith(`Usage: node scripts/services/${name}.ts <command>`))
    }
  }
})
