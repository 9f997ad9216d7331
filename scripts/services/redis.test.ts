import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient } from 'redis'
import t from 'tap'
import type { Test } from 'tap'
import { freePort, run } from './process.ts'
import { findBackground, startBackground, startRedis, stopBackground } from './redis.ts'

const command = join(import.meta.dirname, 'redis.ts')
const scratch = async (t: Test): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-services-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
/** Asks a Redis, or resolves with undefined where none answers. */
const ask = async (url: string, ...command: string[]): Promise<unknown> => {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await client.sendCommand(command)
  } catch {
    return undefined
  } finally {
    if (client.isOpen) client.destroy()
  }
}

void t.test('killed and started again it knows nothing of before', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.kill())
  t.equal(await ask(redis.url, 'SET', 'a', 'b'), 'OK')
  t.match(await ask(redis.url, 'CONFIG', 'GET', 'maxmemory-policy'), { 'maxmemory-policy': 'noeviction' })
  await redis.kill()
  await redis.kill()
  t.equal(await ask(redis.url, 'GET', 'a'), undefined)
  await redis.start()
  t.equal(await ask(redis.url, 'GET', 'a'), null)
})

void t.test('it ends with whoever started it, however that ends', async t => {
  const source = `import { startRedis } from ${JSON.stringify(command)}
    process.stdout.write((await startRedis()).url)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  const url = await new Promise<string>(resolve => child.stdout.once('data', chunk => resolve(String(chunk))))
  t.equal(await ask(url, 'PING'), 'PONG')
  child.kill('SIGKILL')
  while ((await ask(url, 'PING')) !== undefined) await delay(20)
  t.pass('it is gone')
})

void t.test('in the background: started once, stopped by name, and nobody else’s', async t => {
  const data = await scratch(t)
  const port = await freePort(new Set())
  t.teardown(() => stopBackground(port, data))
  t.equal(await startBackground(port, data), `Redis is ready: redis://127.0.0.1:${port}`)
  t.equal(await startBackground(port, data), `Redis runs already: redis://127.0.0.1:${port}`)
  t.equal(await findBackground(port, data), `redis://127.0.0.1:${port}`)
  t.equal(await findBackground(port, await scratch(t)), undefined, 'another one’s')
  t.equal(await stopBackground(port, await scratch(t)), 'Redis was not running', 'another one’s')
  await t.rejects(startBackground(port, await scratch(t)), { message: new RegExp(`^port ${port} is taken: `) })
  t.equal(await stopBackground(port, data), 'Redis has stopped')
  t.equal(await stopBackground(port, data), 'Redis was not running')
})

void t.test('without redis-server, or with its port taken, one line says what to do', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await t.rejects(startBackground(port, await scratch(t)), { name: 'ServiceError', message: /end what listens there/ })
  const path = process.env['PATH']
  t.teardown(() => (process.env['PATH'] = path))
  process.env['PATH'] = await scratch(t)
  await t.rejects(startRedis(), { name: 'ServiceError', message: /^redis-server was not found: .*redis-server\)$/ })
})

void t.test('the command says how it is used', async t => {
  for (const [args, code] of [
    [['--help'], 0],
    [['constructor'], 2],
  ] as const) {
    const help = await run(process.execPath, [command, ...args], '')
    t.equal(help.code, code)
    t.match(help.output, /^Usage: node scripts\/services\/redis\.ts <command>/)
  }
})
