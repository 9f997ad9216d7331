import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { alterUserScramCredentialsV0 } from '@platformatic/kafka'
import t from 'tap'
import { startKafka } from '../scripts/services/kafka.ts'
import { selfSigned } from '../server/testkit/certificate.ts'
import { scratch } from '../server/testkit/node.ts'
import { append, bodies, newRoom, openLog, readAll } from './testkit/log.ts'
import { linked } from './testkit/wire.ts'

t.setTimeout(300_000)
const SCRAM_SHA_512 = 2
const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

const folder = join(await scratch(t), 'kafka')
await mkdir(folder)
const { cert, key } = selfSigned()
await writeFile(join(folder, 'broker.pem'), Buffer.concat([key, cert]))
const secure = await freePort()
const login = 'org.apache.kafka.common.security'
const kafka = await startKafka({
  brokers: 1,
  folder,
  settings: ({ port, controllerPort }) => ({
    'listeners': `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort},SASL_SSL://127.0.0.1:${secure}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},SASL_SSL://127.0.0.1:${secure}`,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': join(folder, 'broker.pem'),
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
    'listener.name.sasl_ssl.plain.sasl.jaas.config': `${login}.plain.PlainLoginModule required user_node="secret";`,
    'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': `${login}.scram.ScramLoginModule required;`,
  }),
})
t.teardown(() => kafka.stop())
const brokers = `127.0.0.1:${secure}`
const ca = { tls: { ca: cert } }

void t.test('over TLS, with a password', async t => {
  const sasl = { mechanism: 'PLAIN', username: 'node', password: 'secret' } as const
  const { log } = await openLog(t, brokers, { ...ca, sasl })
  const room = await newRoom(log)
  await append(log, room, 'by PLAIN')
  t.same(bodies(await readAll(log, room)), ['by PLAIN'])
})

void t.test('over TLS, with SCRAM', async t => {
  const salt = randomBytes(16)
  const saltedPassword = pbkdf2Sync('secret', salt, 4096, 64, 'sha512')
  const user = { name: 'scrammer', mechanism: SCRAM_SHA_512, iterations: 4096, salt, saltedPassword }
  await linked(kafka.nodes[0]!.port, link => link.call(alterUserScramCredentialsV0.api, [], [user]))
  const sasl = { mechanism: 'SCRAM-SHA-512', username: 'scrammer', password: 'secret' } as const
  const { log } = await openLog(t, brokers, { ...ca, sasl })
  const room = await newRoom(log)
  await append(log, room, 'by SCRAM')
  t.same(bodies(await readAll(log, room)), ['by SCRAM'])
})

void t.test('what is wrong with the credentials or the certificate is said in one line, without them', async t => {
  const right = { mechanism: 'PLAIN', username: 'node', password: 'secret' } as const
  for (const [options, reason] of [
    [{ ...ca, sasl: { ...right, password: 'wrong-secret' } }, /SASL authentication failed/],
    [{ sasl: right, tls: {} }, /self-signed certificate/],
    [{ sasl: right }, /./],
  ] as const) {
    const { check, warned } = await openLog(t, brokers, { ...options, logTimeout: 1_000 })
    await t.rejects(check(1_000), { code: 'LOG_UNAVAILABLE' })
    t.equal(warned.length, 1)
    t.equal(warned[0]!.message, 'no Kafka broker answers')
    t.match(warned[0]!.fields, { reason })
    t.notMatch(JSON.stringify(warned), 'secret')
  }
})
