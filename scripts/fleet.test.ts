import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { sharedServices } from '../server/testkit/product.ts'
import { freePort } from './services/process.ts'

t.setTimeout(120_000)

/** `make fleet`, with what it prints. */
const fleet = (t: Test, env: Readonly<Record<string, string>>) => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fleet.ts')], {
    env: { ...process.env, NODES: '1', STOMP_PORT: 'off', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill())
  const lines: string[] = []
  const output = createInterface({ input: child.stdout })
  output.on('line', line => lines.push(line))
  const printed = async (what: string): Promise<void> => {
    while (!lines.some(line => line.includes(what))) await once(output, 'line')
  }
  return { child, lines, printed, closed: once(child, 'close') }
}

void t.test('nodes of the product run on the services that are named, and end together', async t => {
  const { brokers, env } = await sharedServices(t)
  const PORT = String(await freePort())
  const named = { ...env, ACCESS: '', KAFKA_BROKERS: brokers, KAFKA_REPLICATION: '1', PORT }
  const { child, lines, printed, closed } = fleet(t, named)
  await printed('"listening"')
  t.match(await (await fetch(`http://127.0.0.1:${PORT}/access`)).json(), { access: 'accounts' })
  const ready = await (await fetch(`http://127.0.0.1:${PORT}/health/ready`)).json()
  t.match(ready, { status: 'ready', checks: { log: 'ok', database: 'ok' } })
  t.ok(lines.every(line => line.startsWith('node 1 | ')))
  child.kill('SIGTERM')
  t.same(await closed, [0, null])
  t.equal(lines.at(-1), 'node 1 | ended (exit code 0)')
})

void t.test('a database of one’s own takes a secret of one’s own', async t => {
  const away = {
    KAFKA_BROKERS: '127.0.0.1:1',
    DATABASE_URL: 'postgres://127.0.0.1:1/chat',
    REDIS_URL: 'redis://127.0.0.1:1',
  }
  const { lines, closed } = fleet(t, { ...away, ACCESS: '', SESSION_SECRET: '' })
  t.same(await closed, [1, null])
  t.match(lines, [/^node 1 \| hoofbeat: SESSION_SECRET is missing/, 'node 1 | ended (exit code 1)'])
})
