import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { howToConnect, PASSWORD, startSecureKafka, USER } from '../scripts/services/kafka-secure.ts'
import { freePort } from '../scripts/services/process.ts'
import { makeAuthority, makeCertificate, type Authority, type Certificate } from '../server/testkit/certificate.ts'
import { scratch } from '../server/testkit/node.ts'
import type { KafkaLogOptions } from './room-log.ts'
import { append, bodies, newRoom, openLog, readAll } from './testkit/log.ts'

t.setTimeout(300_000)
// Most of them wait for a log that does not come.
t.jobs = 6
const taken = new Set<number>()
const port = {
  expired: await freePort(taken),
  elsewhere: await freePort(taken),
  named: await freePort(taken),
  nobody: await freePort(taken),
}
const hosts = ['localhost', '127.0.0.1']
const issue = (issuer: Authority, more: { hosts?: readonly string[]; validFor?: number } = {}): Certificate =>
  makeCertificate({ name: 'broker', hosts, issuer, ...more })
const secure = await startSecureKafka({
  folder: join(await scratch(t), 'kafka'),
  more: async authority => ({
    EXPIRED: { port: port.expired, certificate: issue(authority, { validFor: -1000 }), asks: 'nothing' },
    NAMED: { port: port.named, certificate: issue(authority, { hosts: ['localhost'] }), asks: 'nothing' },
    ELSEWHERE: { port: port.elsewhere, certificate: issue(authority, { hosts: ['kafka.example'] }), asks: 'nothing' },
  }),
})
t.teardown(() => secure.kafka.stop())
const read = (file: string): Buffer => readFileSync(file)
const ca = read(secure.files.ca)
const ours = { ca, cert: read(secure.files.cert), key: read(secure.files.key) }
const login = { username: USER, password: PASSWORD }

const ways: [string, string, Pick<KafkaLogOptions, 'tls' | 'sasl'>][] = [
  ...(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const).map(mechanism => {
    const means = { tls: { ca }, sasl: { mechanism, ...login } }
    return [`a password by ${mechanism}`, secure.password, means] as [string, string, typeof means]
  }),
  ['a certificate', secure.certificate, { tls: ours }],
]
for (const [what, brokers, means] of ways) {
  void t.test(`over TLS, with ${what}: rooms are made, written and read`, async t => {
    const { log, warned } = await openLog(t, brokers, means)
    const room = await newRoom(log)
    await append(log, room, what)
    t.same(bodies(await readAll(log, room)), [what])
    t.same(warned, [])
  })
}

const stranger = makeCertificate({ name: 'stranger', hosts: ['stranger'], issuer: makeAuthority('unknown') })
const scram = { mechanism: 'SCRAM-SHA-512', ...login } as const
const plain = { mechanism: 'PLAIN', ...login } as const
const WRONG = 'a-wrong-and-secret-one'
const at = (each: number): string => `127.0.0.1:${each}`
const wrong: [string, string, Pick<KafkaLogOptions, 'tls' | 'sasl'>, RegExp, RegExp][] = [
  ...[scram, plain, { ...scram, mechanism: 'SCRAM-SHA-256' } as const].flatMap((sasl): typeof wrong => [
    [
      `a wrong password (${sasl.mechanism})`,
      secure.password,
      { tls: { ca }, sasl: { ...sasl, password: WRONG } },
      /refuses this user or this password$/,
      /KAFKA_SASL_PASSWORD/,
    ],
    [
      `an unknown user (${sasl.mechanism})`,
      secure.password,
      { tls: { ca }, sasl: { ...sasl, username: 'nobody' } },
      /refuses this user or this password$/,
      /KAFKA_SASL_USERNAME/,
    ],
  ]),
  ['no password', secure.password, { tls: { ca } }, /ended the connection$/, /KAFKA_SASL_MECHANISM/],
  [
    'a password where none is asked for',
    secure.certificate,
    { tls: ours, sasl: plain },
    /asks for no password on this port$/,
    /leave out KAFKA_SASL_MECHANISM/,
  ],
  ['an authority that nobody named', secure.password, { tls: {}, sasl: scram }, /nobody that this/, /KAFKA_TLS_CA/],
  [
    'another authority',
    secure.password,
    { tls: { ca: makeAuthority('other').cert }, sasl: scram },
    /nobody that this node trusts has signed/,
    /KAFKA_TLS_CA/,
  ],
  ['an expired certificate', at(port.expired), { tls: { ca } }, /certificate has expired$/, /renew it/],
  ["another host's certificate", at(port.elsewhere), { tls: { ca } }, /for another host$/, /advertised\.listeners/],
  ['no certificate of ours', secure.certificate, { tls: { ca } }, /refuses this node's certificate/, /KAFKA_TLS_CERT/],
  [
    'a certificate that the broker does not trust',
    secure.certificate,
    { tls: { ca, cert: stranger.cert, key: stranger.key } },
    /refuses this node's certificate/,
    /KAFKA_TLS_KEY/,
  ],
  ['plaintext to a TLS port', secure.certificate, {}, /speaks TLS on this port$/, /KAFKA_TLS=on/],
  ['plaintext with a password', secure.password, { sasl: plain }, /ended the connection$/, /KAFKA_TLS=on/],
  ['TLS to a plain port', secure.kafka.brokers, { tls: { ca } }, /does not speak TLS/, /KAFKA_TLS=off/],
  ['nobody there', at(port.nobody), {}, /nobody listens there$/, /KAFKA_BROKERS/],
  ['no such host', 'nowhere.invalid:9092', {}, /no host of this name$/, /KAFKA_BROKERS/],
]
for (const [what, brokers, means, reason, advice] of wrong) {
  void t.test(`${what}: one line says what is wrong and what to do, and nothing secret`, async t => {
    const { log, check, warned } = await openLog(t, brokers, { ...means, logTimeout: 500 })
    // Asked again and again, it tries again and again.
    for (let i = 0; i < 3; i++) await t.rejects(check(300), { code: 'LOG_UNAVAILABLE' })
    await t.rejects(log.create(['room']), { code: 'LOG_UNAVAILABLE' })
    t.equal(warned.length, 1)
    t.equal(warned[0]!.message, 'no Kafka broker answers')
    t.match(warned[0]!.fields, { broker: brokers, reason, advice })
    const line = JSON.stringify(warned)
    for (const secret of [PASSWORD, WRONG, ours.key.toString(), stranger.key.toString()]) t.notOk(line.includes(secret))
  })
}

void t.test('a broker whose own name for itself is not in its certificate is named, once', async t => {
  const writer = await openLog(t, secure.kafka.brokers)
  const room = await newRoom(writer.log)
  // Its certificate is for localhost, and it tells everyone that it is 127.0.0.1.
  const { log, warned } = await openLog(t, `localhost:${port.named}`, { tls: { ca }, logTimeout: 1_000 })
  for (let i = 0; i < 2; i++) await t.rejects(append(log, room, 'x'), { code: 'LOG_UNAVAILABLE' })
  t.equal(warned.length, 1)
  t.match(warned[0], { message: 'a Kafka broker cannot be reached' })
  t.match(warned[0]!.fields, { broker: at(port.named), reason: /for another host$/, advice: /advertised\.listeners/ })
})

void t.test('whoever starts it by hand is told how to connect to it', async t => {
  const said = howToConnect(secure)
  for (const part of [secure.password, secure.certificate, ...Object.values(secure.files), USER, PASSWORD]) {
    t.ok(said.includes(part), part)
  }
})
