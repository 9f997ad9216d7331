import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { startBackground, stopBackground } from './kafka-background.ts'
import { installKafka } from './kafka-install.ts'
import { run } from './process.ts'
import { startKafka } from './kafka.ts'

t.setTimeout(300_000)
const scratch = async (t: Test): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-services-'))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}
const command = join(import.meta.dirname, 'kafka.ts')
const alive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
/** A program that starts a broker and then goes on for ever; resolves with its process and the broker's id. */
const starter = async (folder: string, more = '') => {
  const source = `import { startKafka } from ${JSON.stringify(command)}
    const kafka = await startKafka({ brokers: 1, folder: ${JSON.stringify(folder)} ${more} })
    process.stdout.write(String(kafka.nodes[0].pid))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = await new Promise<number>((resolve, reject) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(Number(chunk.toString())))
    child.once('exit', code => reject(new Error(`it ended with ${code}`)))
  })
  return { child, pid }
}
const freePort = async (): Promise<number> => {
  // Below the ports of outgoing connections, and with the controller's port, 10,000 above, free as well.
  for (let port = 14_000; ; port++) {
    const servers = [createServer(), createServer()]
    const bound = await Promise.all(
      servers.map((server, i) => {
        return new Promise<boolean>(resolve => {
          server.once('error', () => resolve(false))
          server.listen(port + i * 10_000, '127.0.0.1', () => resolve(true))
        })
      }),
    )
    await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
    if (bound.every(Boolean)) return port
  }
}

void t.test('the broker is downloaded once, whoever asks and however many at once', async t => {
  const cache = await scratch(t)
  const [one, two] = await Promise.all([installKafka(cache), installKafka(cache)])
  t.equal(one, two)
  const jars = await readdir(dirname(one))
  t.ok(jars.some(name => name.startsWith('kafka_')) && jars.length > 40)
  t.same(
    (await readdir(cache)).filter(name => !name.startsWith('jars-') || /lock|partial/.test(name)),
    [],
  )
  t.equal(await installKafka(cache), one)
})

void t.test('a download that was ended half-way is done again', async t => {
  const cache = await scratch(t)
  const name = (await readdir(dirname(dirname(await installKafka())))).find(each => /^jars-\w+$/.test(each))!
  const { code: gone } = await run('sh', ['-c', 'exit 3'], '')
  t.equal(gone, 3)
  const dead = spawn('true')
  await new Promise(resolve => dead.once('exit', resolve))
  await writeFile(join(cache, `${name}.lock`), String(dead.pid))
  await mkdir(join(cache, `${name}.partial`))
  t.equal(await installKafka(cache), join(cache, name, '*'))
})

void t.test('without mvn or java one line says what to install', async t => {
  const [cache, bin] = [await scratch(t), await scratch(t)]
  await installKafka()
  const path = process.env['PATH']
  t.teardown(() => (process.env['PATH'] = path))
  process.env['PATH'] = bin
  await t.rejects(installKafka(cache), { name: 'ServiceError', message: /^mvn was not found: install Maven.*maven\)$/ })
  await t.rejects(startKafka({ brokers: 1, folder: cache }), {
    name: 'ServiceError',
    message: /^java was not found: install Java 17.*jre-headless\)$/,
  })
  await symlink('/bin/false', join(bin, 'mvn'))
  await t.rejects(installKafka(cache), { message: 'Maven could not download the broker: exit code 1' })
})

void t.test('a port that is taken is named', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  await t.rejects(startKafka({ brokers: 1, folder: await scratch(t), ports: port }), {
    name: 'ServiceError',
    message: new RegExp(`^port ${port} is taken: end what listens there`),
  })
})

void t.test('a broker that does not start says why', async t => {
  const options = { brokers: 1, folder: await scratch(t), settings: { 'num.io.threads': 'none' } } as const
  await t.rejects(startKafka(options), { name: 'ServiceError', message: /num\.io\.threads/ })
})

void t.test('brokers end with whoever started them, however that ends', async t => {
  const { child, pid } = await starter(await scratch(t))
  t.ok(alive(pid))
  child.kill('SIGKILL')
  while (alive(pid)) await delay(20)
  t.notOk(alive(pid))
})

void t.test('in the background: started once, stopped by name, its data kept', async t => {
  const data = await scratch(t)
  const port = await freePort()
  t.teardown(() => stopBackground(data))
  t.equal(await startBackground({ command: 'start', port, data }), `Kafka is ready: 127.0.0.1:${port}`)
  t.equal(await startBackground({ command: 'start', port, data }), `Kafka runs already: 127.0.0.1:${port}`)
  await t.rejects(startBackground({ command: 'cluster', port, data }), {
    message: 'Kafka runs already, begun by "start": stop it first',
  })
  t.equal(await stopBackground(data), 'Kafka has stopped')
  t.equal(await stopBackground(data), 'Kafka was not running')
  t.match(await readdir(join(data, 'start/broker-1/data')), /meta\.properties/)
  // The number of a process that is not ours.
  await writeFile(join(data, 'running.json'), JSON.stringify({ command: 'start', brokers: '', pids: [process.pid] }))
  t.equal(await stopBackground(data), 'Kafka was not running')
})

void t.test('in the background, with TLS: it says how to connect, each time', async t => {
  const data = await scratch(t)
  const port = await freePort()
  t.teardown(() => stopBackground(data))
  const said = await startBackground({ command: 'secure', port, data })
  for (const part of [
    `KAFKA_BROKERS=127.0.0.1:${port + 1} `,
    `KAFKA_BROKERS=127.0.0.1:${port + 2} `,
    'ca.pem',
    'SCRAM',
  ]) {
    t.ok(said.includes(part), part)
  }
  t.equal(await startBackground({ command: 'secure', port, data }), said)
  t.equal(await stopBackground(data), 'Kafka has stopped')
})

void t.test('the command says how it is used', async t => {
  for (const [args, code] of [
    [['--help'], 0],
    [[], 2],
    [['constructor'], 2],
  ] as const) {
    const help = await run(process.execPath, [command, ...args], '')
    t.equal(help.code, code)
    t.match(help.output, /^Usage: node scripts\/services\/kafka\.ts <command>/)
  }
})
