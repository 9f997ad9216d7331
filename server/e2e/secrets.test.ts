import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { SignJWT, type JWTPayload } from 'jose'
import t, { type Test } from 'tap'
import { freePort } from '../../scripts/services/process.ts'
import { startSecureKafka, USER } from '../../scripts/services/kafka-secure.ts'
import { keys, readConfig } from '../config.ts'
import { selfSigned } from '../testkit/certificate.ts'
import { FleetNode } from '../testkit/fleet.ts'
import { inMs, scratch } from '../testkit/node.ts'
import { Probe, wire, type Target, type TransportName } from '../testkit/probe.ts'
import { Secrets } from '../testkit/secrets.ts'

t.setTimeout(180_000)

const secrets = new Secrets()
const secret = (name: string, value?: string): string => secrets.add(name, value)
const JWT_SECRET = secret('JWT_SECRET')
const signed = async (name: string, claims: JWTPayload, by = JWT_SECRET): Promise<string> =>
  secrets.addToken(name, await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(by)))
const tokens = {
  good: await signed('a good token', { sub: 'ann', exp: inMs(600_000) }),
  expired: await signed('an expired token', { sub: 'ann', exp: inMs(-1000) }),
  forged: await signed('a forged token', { sub: 'admin', exp: inMs(600_000) }, 'another secret of thirty-two bytes'),
  ofAnother: await signed("another's token", { sub: 'bob', exp: inMs(600_000) }),
  noToken: secret('what is no token'),
  noTokenWithDots: `${secret('one')}.${secret('two')}.${secret('three')}`,
}

/** What a node says to whoever asks it: everything that came over the wire is kept. */
const heard: string[] = []

const shown = (probe: Probe): void => {
  for (const { lines, body } of probe.frames) heard.push(...lines.map(line => line.join(':')), body.toString())
}

/** Logs in with whatever is given, right or wrong, and does something with each of what a client may do with secrets. */
const visit = async (
  t: Test,
  transport: TransportName,
  node: Target,
  headers: Record<string, string>,
): Promise<void> => {
  const probe = await Probe.open(t, transport, node)
  probe.send('CONNECT', { 'accept-version': '1.2', ...headers })
  await probe.when(() => probe.frames.length > 0, 'an answer')
  if (probe.frames[0]!.command === 'CONNECTED') {
    probe.send('SUBSCRIBE', { id: 's', destination: '/topic/a', Authorization: secret('a header of SUBSCRIBE') })
    probe.send('SEND', { destination: '/topic/a' }, secret('a body'))
    probe.send('SEND', { destination: '/session/renew', Authorization: `Bearer ${tokens.good}`, receipt: 'r' })
    await probe.when(() => probe.frames.length > 1, 'RECEIPT or ERROR')
    probe.send('SEND', { destination: '/session/renew' }, tokens.ofAnother)
  }
  await probe.ended()
  shown(probe)
}

/** Sends `bytes` as the first thing, and keeps what comes back. */
const blurt = async (t: Test, transport: TransportName, node: Target, bytes: string): Promise<void> => {
  const probe = await Probe.open(t, transport, node)
  probe.raw(bytes)
  await probe.ended()
  shown(probe)
}

const visitAll = async (t: Test, transport: TransportName, node: Target): Promise<void> => {
  for (const token of Object.values(tokens)) {
    await visit(t, transport, node, { Authorization: `Bearer ${token}` })
    await visit(t, transport, node, { login: 'ann', passcode: token })
  }
  await visit(t, transport, node, { login: 'ann', passcode: secret('a password') })
  await visit(t, transport, node, { Authorization: `Basic ${secret('basic')}` })
  for (const bytes of [
    `CONNECT\npasscode ${secret('a line without a colon')}\n\n\0`,
    `CONNECT\naccept-version:1.2\npasscode:\\x${secret('a bad escape')}\n\n\0`,
    `CONNECT ${secret('a command line')}\n\n\0`,
    `GET /?token=${secret('an HTTP request')} HTTP/1.1\r\nAuthorization: Bearer ${tokens.good}\r\n\r\n\0`,
    `SEND\ndestination:/topic/a\nAuthorization:Bearer ${tokens.good}\n\n${secret('a body before CONNECT')}\0`,
    `CONNECT\npasscode:${secret('a long one')}${'x'.repeat(20_000)}\n\n\0`,
  ]) {
    await blurt(t, transport, node, bytes)
  }
}

/** Asks over HTTP with secrets in every place where people put them. */
const visitHttp = async ({ port }: Target, scheme: string): Promise<void> => {
  const headers = { authorization: `Bearer ${tokens.good}`, cookie: `session=${secret('a cookie')}` }
  for (const path of [
    '',
    'metrics',
    'health/live',
    'health/ready',
    'ws',
    'api/me',
    'missing',
    `${secret('a path')}/x`,
  ]) {
    const url = `${scheme}://localhost:${port}/${path}?token=${tokens.good}&x=${secret('a query')}`
    const response = await fetch(url, { headers })
    heard.push(...Array.from(response.headers, header => header.join(':')), await response.text())
  }
  if (scheme === 'https') return
  for (const line of [`GET /ws?token=${tokens.good} HTTP/1.1`, `GET /%zz${secret('a bad path')} HTTP/1.1`, 'nothing']) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`${line}\r\nHost: localhost\r\nOrigin: https://evil.example\r\nUpgrade: websocket\r\n`)
    socket.write(`Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n`)
    socket.write(`Sec-WebSocket-Protocol: v12.stomp, ${secret('a subprotocol')}\r\n\r\n`)
    // It may be cut off before all that it sent was read.
    socket.on('data', chunk => heard.push(String(chunk)))
    await new Promise(resolve => socket.on('close', resolve))
  }
}

const secure = await startSecureKafka({ folder: join(await scratch(t), 'kafka') })
t.teardown(() => secure.kafka.stop())
const folder = await scratch(t)
const pem = (name: string, value: Buffer): void => {
  for (const line of value.toString().split('\n').slice(1, -2)) secret(`${name} ${line.slice(0, 4)}`, line)
}
const own = selfSigned()
pem('TLS_KEY', own.key)
pem('KAFKA_TLS_KEY', readFileSync(secure.files.key))
const files = { TLS_CERT: join(folder, 'cert.pem'), TLS_KEY: join(folder, 'key.pem') }
await writeFile(files.TLS_CERT, own.cert)
await writeFile(files.TLS_KEY, own.key)

const common = { LOG_LEVEL: 'debug', ACCESS: 'token', HOST: '127.0.0.1', LOG_TIMEOUT: '1000' }
const password = 'KAFKA_SASL_PASSWORD'
/** Nodes of which something is wrong, and which tell of it, and one that is well. */
const nodes: Record<string, () => Promise<Record<string, string>>> = {
  'a node that Kafka does not let in, without its Redis': async () => ({
    JWT_SECRET,
    KAFKA_BROKERS: secure.password,
    KAFKA_TLS: 'on',
    KAFKA_TLS_CA: secure.files.ca,
    KAFKA_TLS_CERT: secure.files.cert,
    KAFKA_TLS_KEY: secure.files.key,
    KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
    KAFKA_SASL_USERNAME: USER,
    [password]: secret(password),
    DATABASE_URL: `postgres://hoofbeat:${secret('DATABASE_URL')}@127.0.0.1:${await freePort()}/hoofbeat`,
    REDIS_URL: `redis://hoofbeat:${secret('REDIS_URL')}@127.0.0.1:${await freePort()}/0?${secret('a query of Redis')}`,
    ...files,
  }),
  'a node that Kafka does not let in by PLAIN': async () => ({
    JWT_SECRET,
    KAFKA_BROKERS: secure.password,
    KAFKA_TLS: 'on',
    KAFKA_TLS_CA: secure.files.ca,
    KAFKA_SASL_MECHANISM: 'PLAIN',
    KAFKA_SASL_USERNAME: USER,
    [password]: secret(`${password} by PLAIN`),
  }),
  'a node that cannot fetch the keys of tokens': async () => ({
    JWT_JWKS_URL: `http://127.0.0.1:${await freePort()}/keys?api-key=${secret('JWT_JWKS_URL')}`,
    DATA_DIR: join(folder, 'keys'),
  }),
  'a node with accounts, without its database': async () => ({
    ACCESS: 'accounts',
    SESSION_SECRET: secret('SESSION_SECRET'),
    DATABASE_URL: `postgres://hoofbeat:${secret('a password of accounts')}@127.0.0.1:${await freePort()}/hoofbeat`,
    DATA_DIR: join(folder, 'accounts'),
  }),
  'a node that is well': async () => ({ JWT_SECRET, DATA_DIR: join(folder, 'well') }),
}
for (const [what, env] of Object.entries(nodes)) {
  wire(t, `${what} prints no secret, at LOG_LEVEL=debug, whatever clients send`, async (t, transport) => {
    const given = await env()
    const node = await FleetNode.start(t, { ...common, ...given })
    const tls = 'TLS_CERT' in given
    const target = tls ? { port: node.port, stompPort: node.stompPort, ca: own.cert } : node
    await visitAll(t, transport, target)
    if (!tls) await visitHttp(target, 'http')
    await node.stop()
    t.equal(
      node.lines.some(line => line.includes('"connected"')),
      'JWT_SECRET' in given,
      'good tokens are let in',
    )
    t.same(secrets.leaks(node.lines), [])
  })
}

void t.test('nothing that a node answered has a secret in it', async t => {
  t.ok(heard.some(line => line.includes('hoofbeat_connections')) && heard.some(line => line.startsWith('code:')))
  t.same(secrets.leaks(heard), [])
})

void t.test('a start that cannot be says nothing of secrets; every key that holds one is known here', async t => {
  const wrong: Record<string, string> = {
    JWT_SECRET: 'too-short-secret',
    REDIS_URL: `http://hoofbeat:${secret('a password in REDIS_URL')}@127.0.0.1`,
    DATABASE_URL: `http://hoofbeat:${secret('a password in DATABASE_URL')}@127.0.0.1`,
    JWT_JWKS_URL: `https://hoofbeat:${secret('a password in JWT_JWKS_URL')}@127.0.0.1/keys`,
    KAFKA_SASL_PASSWORD: secret('a password without a user'),
    SESSION_SECRET: 'a-short-one',
  }
  secret('a short secret of sessions', wrong['SESSION_SECRET'])
  secret('a short secret', wrong['JWT_SECRET'])
  for (const [key, value] of Object.entries(wrong)) {
    const { message } = t.throws(() => readConfig({ ACCESS: 'token', JWT_SECRET, [key]: value })) as Error
    t.match(message, key)
    t.same(secrets.leaks([message]), [])
  }
  const marked = Object.entries<{ secret?: true }>(keys).filter(([, key]) => key.secret)
  t.ok(marked.length >= 4)
  for (const [name] of marked) t.ok(secrets.has(name) && name in wrong, name)
})
