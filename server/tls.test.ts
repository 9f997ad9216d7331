import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from './config.ts'
import { selfSigned } from './testkit/certificate.ts'
import { readKafkaTls, readTls } from './tls.ts'

void t.test('a certificate and its key', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const file = async (name: string, content: Buffer): Promise<string> => {
    await writeFile(join(folder, name), content)
    return join(folder, name)
  }
  const ours = selfSigned()
  const cert = await file('cert.pem', ours.cert)
  const key = await file('key.pem', ours.key)

  t.equal(await readTls({}), undefined)
  t.same(await readTls({ TLS_CERT: cert, TLS_KEY: key }), ours)

  const unusable = async (TLS_CERT: string, TLS_KEY: string, message: RegExp): Promise<void> => {
    const error = await t.rejects(readTls({ TLS_CERT, TLS_KEY }), ConfigError)
    t.match(error, { message })
  }
  const missing = join(folder, 'missing.pem')
  await unusable(missing, key, /^TLS_CERT=".*missing.pem" cannot be read: ENOENT$/)
  await unusable(cert, missing, /^TLS_KEY=".*missing.pem" cannot be read: ENOENT$/)
  await unusable(cert, folder, /^TLS_KEY=".*" cannot be read: EISDIR$/)
  const other = await file('other.pem', selfSigned().key)
  await unusable(cert, other, /^TLS_CERT and TLS_KEY cannot be used: ERR_OSSL_X509_KEY_VALUES_MISMATCH$/)
  const text = await file('text.pem', Buffer.from('no key'))
  await unusable(cert, text, /^TLS_CERT and TLS_KEY cannot be used: ERR_OSSL_/)
  await unusable(text, key, /^TLS_CERT and TLS_KEY cannot be used: ERR_OSSL_/)
})

void t.test('what trusts and names us to the brokers', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const { cert, key } = selfSigned()
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  await writeFile(certFile, cert)
  await writeFile(keyFile, key)
  t.equal(await readKafkaTls({ KAFKA_TLS: 'off' }), undefined)
  t.same(await readKafkaTls({ KAFKA_TLS: 'on' }), {}, 'the system’s own authorities')
  t.same(await readKafkaTls({ KAFKA_TLS: 'on', KAFKA_TLS_CA: certFile }), { ca: cert })
  const all = { KAFKA_TLS: 'on', KAFKA_TLS_CA: certFile, KAFKA_TLS_CERT: certFile, KAFKA_TLS_KEY: keyFile } as const
  t.same(await readKafkaTls(all), { ca: cert, cert, key })
  const missing = readKafkaTls({ KAFKA_TLS: 'on', KAFKA_TLS_CA: '/none.pem' })
  await t.rejects(missing, new ConfigError('KAFKA_TLS_CA="/none.pem" cannot be read: ENOENT'))
  const unfit = readKafkaTls({ ...all, KAFKA_TLS_KEY: certFile })
  await t.rejects(unfit, {
    name: 'ConfigError',
    message: /^KAFKA_TLS_CA, KAFKA_TLS_CERT and KAFKA_TLS_KEY cannot be used: /,
  })
})
