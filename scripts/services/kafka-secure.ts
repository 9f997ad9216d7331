import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeAuthority, makeCertificate, type Authority, type Certificate } from '../../server/testkit/certificate.ts'
import type { Place } from './kafka-broker.ts'
import { startKafka, type KafkaOptions, type LocalKafka } from './kafka-cluster.ts'
import { freePort } from './process.ts'

const YEAR = 365 * 86_400_000
const HOSTS = ['localhost', '127.0.0.1']
/** For trying out: the broker listens on this machine only, and the password is written here. */
export const USER = 'hoofbeat'
export const PASSWORD = 'hoofbeat-secret'

/** A listener that speaks TLS. */
export interface SecureListener {
  readonly port: number
  /** The broker's certificate on it. */
  readonly certificate: Certificate
  /** What it asks of a client. */
  readonly asks: 'nothing' | 'password' | 'certificate'
}
export interface SecureOptions extends Pick<KafkaOptions, 'folder' | 'background'> {
  /** The port of the plain listener, the password's and the certificate's follow; 'free' (the default) finds some. */
  readonly ports?: 'free' | number
  /** More listeners, by their names in capitals. */
  readonly more?: (authority: Authority) => Promise<Readonly<Record<string, SecureListener>>>
}
export interface SecureKafka {
  readonly kafka: LocalKafka
  /** host:port that asks for USER and PASSWORD: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512. */
  readonly password: string
  /** host:port that asks for a certificate that the authority signed. */
  readonly certificate: string
  /** PEM files: the authority, and a client's certificate and key. */
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string }
  readonly authority: Authority
}

const plugin = (name: string, rest: string): string => `org.apache.kafka.common.security.${name} required${rest};`

/** The lines of server.properties for all listeners, the broker's own plain one and the controller's too. */
const settingsFor = (
  { port, controllerPort }: Place,
  listeners: Readonly<Record<string, SecureListener>>,
  folder: string,
): Record<string, string> => {
  const open = Object.entries(listeners).map(([name, listener]) => `${name}://127.0.0.1:${listener.port}`)
  const protocols = Object.entries(listeners).map(
    ([name, { asks }]) => `${name}:${asks === 'password' ? 'SASL_SSL' : 'SSL'}`,
  )
  const settings: Record<string, string> = {
    'listeners': [`PLAINTEXT://127.0.0.1:${port}`, `CONTROLLER://127.0.0.1:${controllerPort}`, ...open].join(','),
    'advertised.listeners': [`PLAINTEXT://127.0.0.1:${port}`, ...open].join(','),
    'listener.security.protocol.map': ['CONTROLLER:PLAINTEXT', 'PLAINTEXT:PLAINTEXT', ...protocols].join(','),
    'ssl.keystore.type': 'PEM',
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': join(folder, 'ca.pem'),
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
  }
  for (const [name, { asks }] of Object.entries(listeners)) {
    const key = `listener.name.${name.toLowerCase()}`
    settings[`${key}.ssl.keystore.location`] = join(folder, `${name}.pem`)
    if (asks === 'certificate') settings[`${key}.ssl.client.auth`] = 'required'
    if (asks !== 'password') continue
    settings[`${key}.plain.sasl.jaas.config`] = plugin('plain.PlainLoginModule', ` user_${USER}="${PASSWORD}"`)
    for (const size of ['256', '512']) {
      settings[`${key}.scram-sha-${size}.sasl.jaas.config`] = plugin('scram.ScramLoginModule', '')
    }
  }
  return settings
}

/**
 * Starts a local broker that speaks TLS and asks for a password or a certificate, with certificates that it makes anew
 * each time. Rejects with ServiceError.
 */
export const startSecureKafka = async ({ more, ports = 'free', ...options }: SecureOptions): Promise<SecureKafka> => {
  const folder = join(options.folder, 'certificates')
  const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'client.pem'), key: join(folder, 'client-key.pem') }
  const taken = new Set<number>()
  const [password, certificate] =
    ports === 'free' ? [await freePort(taken), await freePort(taken)] : [ports + 1, ports + 2]
  const authority = makeAuthority('Hoofbeat local authority')
  const issue = (name: string, hosts: readonly string[]): Certificate =>
    makeCertificate({ name, hosts, issuer: authority, validFor: YEAR })
  const listeners: Record<string, SecureListener> = {
    PASSWORD: { port: password, certificate: issue('broker', HOSTS), asks: 'password' },
    CERTIFICATE: { port: certificate, certificate: issue('broker', HOSTS), asks: 'certificate' },
    ...(await more?.(authority)),
  }
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(files.ca, authority.cert)
  const client = issue('hoofbeat', ['hoofbeat'])
  await writeFile(files.cert, client.cert)
  await writeFile(files.key, client.key, { mode: 0o600 })
  for (const [
    name,
    {
      certificate: { cert, key },
    },
  ] of Object.entries(listeners)) {
    await writeFile(join(folder, `${name}.pem`), Buffer.concat([key, cert, authority.cert]), { mode: 0o600 })
  }
  const kafka = await startKafka({
    ...options,
    brokers: 1,
    ports,
    settings: place => settingsFor(place, listeners, folder),
    format: ['256', '512'].flatMap(size => ['--add-scram', `SCRAM-SHA-${size}=[name=${USER},password=${PASSWORD}]`]),
  })
  const at = (port: number): string => `127.0.0.1:${port}`
  return { kafka, password: at(password), certificate: at(certificate), files, authority }
}

/** What to give `make node`, for whoever started the broker by hand. */
export const howToConnect = ({ password, certificate, files }: SecureKafka): string => `Kafka is ready. With a password:

  make node KAFKA_REPLICATION=1 KAFKA_BROKERS=${password} KAFKA_TLS=on KAFKA_TLS_CA=${files.ca} \\
    KAFKA_SASL_MECHANISM=SCRAM-SHA-512 KAFKA_SASL_USERNAME=${USER} KAFKA_SASL_PASSWORD=${PASSWORD}

With a certificate:

  make node KAFKA_REPLICATION=1 KAFKA_BROKERS=${certificate} KAFKA_TLS=on KAFKA_TLS_CA=${files.ca} \\
    KAFKA_TLS_CERT=${files.cert} KAFKA_TLS_KEY=${files.key}`
