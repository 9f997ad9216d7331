import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { freePort } from '../scripts/services/process.ts'
import { makeAdmin } from './accounts/index.ts'
import { readConfig } from './config.ts'
import { openDatabase } from './database/database.ts'
import { start } from './main.ts'
import { silent, testDatabase } from './testkit/database.ts'
import { figure, figures, scratch, startNode, tokenAccess } from './testkit/node.ts'
import { Probe, transports } from './testkit/probe.ts'
import { makeRoom, person, productEnv } from './testkit/product.ts'
import { pino } from 'pino'

t.setTimeout(120_000)
const MAIN = join(import.meta.dirname, 'main.ts')

/** The real process, as the Makefile starts it: the bridge alone, unless `env` says otherwise. */
const launch = (t: Test, env: Record<string, string>, args: string[] = []) => {
  const process = spawn(globalThis.process.execPath, [...args, MAIN], {
    env: { ...globalThis.process.env, PORT: '0', ACCESS: 'open', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => process.kill('SIGKILL'))
  let out = ''
  process.stdout.on('data', chunk => (out += String(chunk)))
  const err = text(process.stderr)
  const exit = once(process, 'exit').then(([code]) => code as number | null)
  const logged = async (what: string): Promise<Record<string, unknown>> => {
    for (;;) {
      const line = out.split('\n').find(each => each.includes(what))
      if (line) return JSON.parse(line) as Record<string, unknown>
      const [ended] = await Promise.race([once(process.stdout, 'data'), exit.then(code => [code])])
      if (typeof ended === 'number') throw new Error(`it ended (${ended}) without: ${what}\n${out}${await err}`)
    }
  }
  return { process, exit, err, logged, out: () => out }
}

/** A process that listens. */
const running = async (t: Test, env: Record<string, string> = {}, args: string[] = []) => {
  const launched = launch(t, { DATA_DIR: join(await scratch(t), 'data'), STOMP_PORT: '0', ...env }, args)
  const said = (await launched.logged('"listening"')) as { url: string; port: number; stompPort: number }
  return { ...launched, ...said }
}

t.test('it says where it listens, serves health, metrics and page, and SIGTERM drains it', async t => {
  const node = await running(t)
  t.match(await node.logged('"listening"'), { level: 30, port: node.port, stompPort: node.stompPort, access: 'open' })
  t.equal(node.url, `http://localhost:${node.port}/`)
  t.same(await (await fetch(`${node.url}health/live`)).json(), { status: 'live' })
  t.match(await (await fetch(`${node.url}health/ready`)).json(), { status: 'ready', checks: { log: 'ok' } })
  const page = await fetch(node.url)
  t.match(`${page.status} ${await page.text()}`, /^(200 <!doctype html>|503 The chat page has not been built)/i)
  const probes = await Promise.all(transports.map(transport => Probe.connect(t, transport, node)))
  for (const probe of probes) await probe.request('SUBSCRIBE', { id: 's', destination: '/topic/a' })
  for (let i = 0; i < 10; i++) await probes[0]!.request('SEND', { destination: '/topic/a' }, 'hello')
  for (const probe of probes) await probe.messages(10)
  const wrong = await Probe.connect(t, 'tcp', node)
  wrong.send('ACK', { id: 'x' })
  t.match((await wrong.error()).headers, { code: 'UNKNOWN_ACK' })
  await figure(node, 'hoofbeat_connections', value => value === 2)
  const all = await figures(node)
  t.match(Object.fromEntries(all), {
    'hoofbeat_connections': 2,
    'hoofbeat_connections_total': 3,
    'hoofbeat_subscriptions': 2,
    'hoofbeat_rooms_tailed': 1,
    'hoofbeat_outbox_bytes': 0,
    'hoofbeat_unsettled_bytes': 0,
    'hoofbeat_deliveries_total': 20,
    'hoofbeat_frames_in_total{command="CONNECT"}': 3,
    'hoofbeat_frames_in_total{command="SEND"}': 10,
    'hoofbeat_frames_in_total{command="SUBSCRIBE"}': 2,
    'hoofbeat_frames_out_total{command="RECEIPT"}': 12,
    'hoofbeat_frames_out_total{command="CONNECTED"}': 3,
    'hoofbeat_errors_total{code="UNKNOWN_ACK"}': 1,
    'hoofbeat_errors_total{code="INTERNAL"}': 0,
    'hoofbeat_append_seconds_count': 10,
  })
  t.ok(all.get('hoofbeat_bytes_out_total')! > 20 * 100)
  t.ok(all.get('hoofbeat_recent_bytes')! > 10 * 500, 'of the room that is tailed')
  t.ok(all.get('hoofbeat_log_lag_seconds_count')! >= 1)
  node.process.kill('SIGTERM')
  for (const probe of probes) t.match((await probe.error()).headers, { code: 'DRAINING' })
  t.equal(await node.exit, 0)
  t.ok(node.out().includes('"stopped"'))
  t.equal(await node.err, '')
})

t.test('what is started without a word is the chat product, and tells how its first admin is made', async t => {
  const { env, close } = await testDatabase(t, 'embedded')
  await close()
  const told = async (): Promise<string> => {
    const node = await running(t, { ACCESS: '', ...env })
    t.match(await node.logged('"listening"'), { access: 'accounts' })
    t.same(await (await fetch(`${node.url}access`)).json(), { access: 'accounts' })
    // Asked for later than whether there is an admin.
    t.match(await (await fetch(`${node.url}health/ready`)).json(), { checks: { log: 'ok', database: 'ok' } })
    node.process.kill('SIGTERM')
    t.equal(await node.exit, 0)
    return node.out()
  }
  t.match(await told(), /"advice":"stop the node, and run: make admin NAME=\.\.\.".*"there is no admin yet"/)
  const database = await openDatabase(readConfig(env), silent)
  await makeAdmin(database.db, 'ann', async () => 'correct horse')
  await database.close()
  t.notMatch(await told(), /no admin/)
})

t.test('SIGINT drains too; a signal that follows on its heels is the same one', async t => {
  const node = await running(t)
  const probe = await Probe.connect(t, 'tcp', node)
  node.process.kill('SIGINT')
  node.process.kill('SIGTERM')
  t.match((await probe.error()).headers, { code: 'DRAINING' })
  t.equal(await node.exit, 0)
  t.ok(node.out().includes('"stopped"'))
})

t.test(
  '[S-64] what was decided, and a log that is away does not say, does not keep it for longer than DRAIN_SECONDS',
  async t => {
    const { env, close } = await testDatabase(t, 'embedded')
    await close()
    const away = { KAFKA_BROKERS: `127.0.0.1:${await freePort()}`, LOG_TIMEOUT: '600000', DRAIN_SECONDS: '1' }
    const node = await running(t, { ...productEnv, ...env, ...away })
    const ann = await person(node, 'ann')
    const room = await makeRoom(node, ann, 'public')
    await ann.does(node, 'PATCH', `/rooms/${room}`, { name: 'renamed' })
    node.process.kill('SIGTERM')
    t.equal(await node.exit, 0)
    t.match(node.out(), /what was decided in SQL is not in the log yet.*"stopped"/s)
  },
)

t.test('a second signal ends it at once', async t => {
  // Nobody answers there, so a SEND is under way for as long as it may take, and a drain waits for it.
  const away = { KAFKA_BROKERS: `127.0.0.1:${await freePort()}`, LOG_TIMEOUT: '600000', DRAIN_SECONDS: '600' }
  const node = await running(t, away)
  const probe = await Probe.connect(t, 'tcp', node)
  await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
  probe.send('SEND', { destination: '/topic/a' })
  node.process.kill('SIGINT')
  t.match((await probe.next('MESSAGE')).headers, { type: 'draining' })
  const again = setInterval(() => node.process.kill('SIGTERM'), 100)
  t.teardown(() => clearInterval(again))
  t.equal(await node.exit, 1)
  t.notOk(node.out().includes('"stopped"'))
})

t.test('a start that cannot be says why in one line, and ends with 1', async t => {
  const folder = await scratch(t)
  const other = await startNode(t, { DATA_DIR: join(folder, 'taken') })
  const why: [Record<string, string>, RegExp][] = [
    [{ PORT: 'x' }, /^hoofbeat: PORT="x" is not allowed: it takes a whole number from 0 to 65535 .*\n$/],
    [{ JWT_SECRET: 'short and secret' }, /^hoofbeat: JWT_SECRET=\(not shown\) is not allowed: .*\n$/],
    [
      { TLS_CERT: '/nowhere/cert.pem', TLS_KEY: '/nowhere/key.pem' },
      /^hoofbeat: TLS_CERT="\/nowhere\/cert\.pem" cannot be read: ENOENT\n$/,
    ],
    [{ PORT: String(other.port) }, /^hoofbeat: .*EADDRINUSE.*choose another PORT, STOMP_PORT or HOST\n$/],
    [{ STOMP_PORT: String(other.stompPort) }, /^hoofbeat: .*EADDRINUSE.*choose another PORT, STOMP_PORT or HOST\n$/],
    [{ DATA_DIR: join(folder, 'taken') }, /^hoofbeat: .*taken.*\n$/],
    [{ DATA_DIR: '/dev/null/data' }, /^hoofbeat: .*\/dev\/null.*\n$/],
    [{ ROOM_NAMES: 'a,b', ROOMS_MAX: '1' }, /^hoofbeat: no more rooms can be made\n$/],
  ]
  const started = why.map(([env], i) => launch(t, { DATA_DIR: join(folder, `data${i}`), STOMP_PORT: 'off', ...env }))
  for (const [i, { exit, err, out }] of started.entries()) {
    t.equal(await exit, 1)
    t.match(await err, why[i]![1])
    t.equal((await err).split('\n').length, 2, 'one line')
    t.notMatch(out() + (await err), /secret and|short and/)
  }
})

t.test('an error that nobody caught is logged, the node drained, and it ends with 1', async t => {
  for (const broken of ["throw new Error('broken')", "void Promise.reject(new Error('broken'))"]) {
    const preload = `data:text/javascript,process.on('SIGUSR2', () => { ${encodeURIComponent(broken)} })`
    const node = await running(t, {}, ['--import', preload])
    const probe = await Probe.connect(t, 'websocket', node)
    await probe.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/session' })
    node.process.kill('SIGUSR2')
    t.match((await probe.error()).headers, { code: 'DRAINING' })
    t.match((await probe.next('MESSAGE')).headers, { type: 'draining' })
    t.equal(await node.exit, 1)
    t.match(await node.logged('nobody caught'), { level: 50, err: { message: 'broken' } })
  }
})

t.test('what was receipted before a kill -9 is there after it', async t => {
  const DATA_DIR = join(await scratch(t), 'data')
  const first = await running(t, { DATA_DIR })
  const probe = await Probe.connect(t, 'tcp', first)
  const ids: string[] = []
  for (let i = 0; i < 20; i++)
    ids.push((await probe.request('SEND', { destination: '/topic/a' }, String(i))).headers['message-id']!)
  first.process.kill('SIGKILL')
  await first.exit
  const second = await running(t, { DATA_DIR })
  const reader = await Probe.connect(t, 'websocket', second)
  await reader.request('SUBSCRIBE', { id: 's', destination: '/topic/a', last: 100 })
  const messages = await reader.messages(20)
  t.same(
    messages.map(({ headers }) => headers['message-id']),
    ids,
    '[S-48] the same ids after a restart',
  )
  t.same(
    messages.map(({ body }) => Number(body)),
    Array.from({ length: 20 }, (_, i) => i),
  )
  second.process.kill('SIGTERM')
  t.equal(await second.exit, 0)
})

t.test('a start that fails frees what it had opened', async t => {
  const taken = await startNode(t)
  const PORT = String(await freePort())
  const env = { DATA_DIR: join(await scratch(t), 'data'), PORT, ACCESS: 'open' }
  const logger = pino({ level: 'silent' })
  await t.rejects(start(readConfig({ ...env, STOMP_PORT: String(taken.stompPort) }), logger), { code: 'EADDRINUSE' })
  const node = await start(readConfig({ ...env, STOMP_PORT: 'off' }), logger)
  t.equal(node.stompPort, undefined, 'STOMP_PORT=off: none')
  await node.stop()
})

t.test('open access beyond this machine is warned of; the URL is one that a browser here can use', async t => {
  const open = await startNode(t, { HOST: '0.0.0.0' })
  t.ok(open.lines.some(line => line.includes('ACCESS=open')))
  t.match(open.url, /^http:\/\/localhost:\d+\/$/)
  const closed = await startNode(t, { ...tokenAccess, HOST: '0.0.0.0' })
  t.notOk(closed.lines.some(line => line.includes('ACCESS=open')))
  t.match(await (await fetch(`${closed.url}health/ready`)).json(), { status: 'ready' })
  const local = await startNode(t)
  t.notOk(local.lines.some(line => line.includes('ACCESS=open')))
})

t.test('[S-03] behind a proxy on this machine a page is served by the proxy’s name, where HOSTS has it', async t => {
  const node = await startNode(t, { HOSTS: 'chat.example.org' })
  const handshake = async (host: string): Promise<number | undefined> => {
    const headers = {
      host,
      'origin': `https://${host}`,
      'connection': 'Upgrade',
      'upgrade': 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    }
    const asked = request({ host: '127.0.0.1', port: node.port, path: '/ws', headers })
    asked.end()
    const answered = Promise.race([once(asked, 'upgrade'), once(asked, 'response')])
    const [{ statusCode }] = (await answered) as [IncomingMessage]
    asked.destroy()
    return statusCode
  }
  t.equal(await handshake('chat.example.org'), 101)
  t.equal(await handshake(`localhost:${node.port}`), 101)
  t.equal(await handshake('evil.example'), 403)
})

t.test('a drain does not wait for HTTP requests that never end', async t => {
  const node = await running(t, { DRAIN_SECONDS: '1' })
  const idle = connect(node.port, '127.0.0.1')
  const unfinished = connect(node.port, '127.0.0.1')
  for (const socket of [idle, unfinished]) {
    t.teardown(() => socket.destroy())
    socket.on('error', () => {})
  }
  await once(idle, 'connect')
  unfinished.write('GET / HTTP/1.1\r\nHost: localhost\r\nX-Never')
  await fetch(`${node.url}health/live`)
  node.process.kill('SIGTERM')
  t.equal(await node.exit, 0)
})
