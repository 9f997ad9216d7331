/**
 * The configuration: the environment, read once at the start, checked, frozen.
 *
 * `keys` is the only list of what can be set. The README's table is held against it by a test.
 */

import { isIP } from 'node:net'

interface Key<T> {
  /** The default, as one would write it in the environment. */
  readonly fallback?: string
  /** What is allowed, as the error says it. */
  readonly allowed: string
  /** Undefined: not allowed. */
  readonly parse: (text: string) => T | undefined
  readonly secret?: true
}
type Defaulted<T> = Key<T> & { readonly fallback: string }

const text = (allowed: string): Key<string> => ({ allowed, parse: value => value })
const secret = (allowed: string, least = 1): Key<string> => ({
  allowed,
  secret: true,
  parse: value => (Buffer.byteLength(value) >= least ? value : undefined),
})
const integer = (fallback: number, least: number, most: number, unit: string): Defaulted<number> => ({
  fallback: String(fallback),
  allowed: `a whole number from ${least} to ${most} (${unit})`,
  parse: value =>
    /^-?\d{1,15}$/.test(value) && Number(value) >= least && Number(value) <= most ? Number(value) : undefined,
})
const integerOrOff = (fallback: number, least: number, most: number, unit: string): Defaulted<number | 'off'> => {
  const { parse, allowed, ...key } = integer(fallback, least, most, unit)
  return { ...key, allowed: `${allowed}, or off`, parse: value => (value === 'off' ? value : parse(value)) }
}
const choice = <const T extends string>(options: readonly T[]): Key<T> => ({
  allowed: options.join(', '),
  parse: value => options.find(option => option === value),
})
/** `read` answers an item as it is to be kept; undefined: not allowed. */
const list = (allowed: string, read: (item: string) => string | undefined): Key<readonly string[]> => ({
  allowed,
  parse: value => {
    const items = value
      .split(',')
      .map(part => part.trim())
      .filter(part => part !== '')
      .map(read)
    return items.length > 0 && items.every(item => item !== undefined) ? Object.freeze(items) : undefined
  },
})
/** Secret as a whole: a refused one may have a password in it, and its query may be a key. */
const url = (allowed: string): Key<string> => ({
  allowed,
  secret: true,
  parse: value => {
    const parsed = /^https?:\/\//i.test(value) ? URL.parse(value) : null
    // fetch refuses a user and a password in an address.
    return parsed && parsed.username === '' && parsed.password === '' ? value : undefined
  },
})
/** Secret as a whole: it may have a password in it. */
const redisUrl = (allowed: string): Key<string> => ({
  allowed,
  secret: true,
  parse: value => (/^rediss?:\/\/[^/]/i.test(value) && URL.canParse(value) ? value : undefined),
})
/** Secret as a whole: it may have a password in it. */
const databaseUrl = (allowed: string): Key<string> => ({
  allowed,
  secret: true,
  parse: value => (/^postgres(ql)?:\/\//i.test(value) && URL.canParse(value) ? value : undefined),
})

/** As browsers write it: in lower case, without the port that goes without saying. */
const readOrigin = (item: string): string | undefined => {
  if (item === '*') return item
  if (!/^https?:\/\/[^/?#@\s]+$/i.test(item) || !URL.canParse(item)) return undefined
  return new URL(item).origin
}
const readNetwork = (item: string): string | undefined => {
  const [, address = '', bits = '1'] = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(item) ?? []
  const most = isIP(address) === 6 ? 128 : 32
  return isIP(address) && Number(bits) >= 1 && Number(bits) <= most ? item : undefined
}
const readBroker = (item: string): string | undefined => {
  const [, host = '', port] = /^([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(item) ?? []
  const known = !host.startsWith('[') || isIP(host.slice(1, -1)) === 6
  return known && Number(port) >= 1 && Number(port) <= 65_535 ? item : undefined
}
/** As a browser writes it: in lower case. */
const readHost = (item: string): string | undefined => {
  if (!/^([a-z0-9.-]+|\[[0-9a-f:.]+\])$/i.test(item) || !URL.canParse(`http://${item}`)) return undefined
  return new URL(`http://${item}`).hostname
}
/** What a process does of what a node does. */
const roles = ['bridge', 'product']

const readRoomName = (item: string): string | undefined => (/^[A-Za-z0-9._\-/:]{1,120}$/.test(item) ? item : undefined)

const MiB = 1024 * 1024
const DAY = 86_400_000

export const keys = {
  HOST: text('an address of this machine, such as 127.0.0.1 or 0.0.0.0'),
  PORT: integer(8080, 0, 65535, 'TCP port of HTTP and WebSocket; 0: any free one'),
  STOMP_PORT: integerOrOff(61613, 0, 65535, 'TCP port of plain STOMP; 0: any free one'),
  TLS_CERT: text('a PEM file'),
  TLS_KEY: text('a PEM file'),
  LOG_LEVEL: { fallback: 'info', ...choice(['debug', 'info', 'warn', 'error', 'silent']) },
  DRAIN_SECONDS: integer(10, 0, 600, 'seconds'),

  ROLES: {
    fallback: roles.join(','),
    ...list('bridge, product or both, separated by commas', item => roles.find(role => role === item)),
  },

  DATA_DIR: { fallback: 'data', ...text('a folder') },
  KAFKA_BROKERS: list('host:port, several separated by commas', readBroker),
  KAFKA_TLS: { fallback: 'off', ...choice(['on', 'off']) },
  KAFKA_TLS_CA: text('a PEM file'),
  KAFKA_TLS_CERT: text('a PEM file'),
  KAFKA_TLS_KEY: text('a PEM file'),
  KAFKA_SASL_MECHANISM: choice(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']),
  KAFKA_SASL_USERNAME: text('a name'),
  KAFKA_SASL_PASSWORD: secret('a password'),
  KAFKA_REPLICATION: integer(3, 1, 32, 'copies of each room'),
  KAFKA_RETENTION_MS: integer(-1, -1, 999_999_999_999_999, 'milliseconds; -1: for ever'),
  LOG_TIMEOUT: integer(15_000, 1_000, 600_000, 'milliseconds'),
  LOG_QUEUE_BYTES: integer(64 * MiB, 2 * MiB, 4096 * MiB, 'bytes'),
  IDEMPOTENCY_WINDOW: integer(600_000, 1_000, DAY, 'milliseconds'),
  REDIS_URL: redisUrl(
    'redis://host:port or rediss://host:port, with user:password@ before the host where it is needed',
  ),

  DATABASE_URL: databaseUrl('postgres://user:password@host:port/database'),
  DATABASE_POOL: integer(10, 1, 1000, 'connections'),
  DATABASE_TIMEOUT: integer(5_000, 100, 600_000, 'milliseconds'),

  ACCESS: { fallback: 'accounts', ...choice(['accounts', 'open', 'token']) },
  SESSION_SECRET: secret('at least 32 bytes', 32),
  JWT_SECRET: secret('at least 32 bytes', 32),
  JWT_JWKS_URL: url('an http or https URL, without a user and password'),
  JWT_ISSUER: text('the iss claim to require'),
  JWT_AUDIENCE: text('the aud claim to require'),
  ORIGINS: list('origins such as https://chat.example.org, separated by commas, or *', readOrigin),
  HOSTS: list('host names without a port, separated by commas', readHost),
  TRUST_PROXY: list('addresses or networks of proxies, separated by commas', readNetwork),

  ROOMS: { fallback: 'auto', ...choice(['auto', 'declared']) },
  ROOM_NAMES: list('room names, separated by commas', readRoomName),
  ROOMS_MAX: integer(10_000, 1, 1_000_000, 'rooms'),
  ROOMS_PER_MINUTE: integer(60, 1, 1_000_000, 'new rooms a minute, per user and per address'),
  ROOM_MAX_MEMBERS: integer(50_000, 2, 50_000, 'members a room'),
  ROOMS_PER_HOUR: integer(20, 1, 1_000_000, 'rooms that a user makes in an hour'),
  STRANGERS_PER_HOUR: integer(10, 1, 1_000_000, 'strangers that a user opens a direct room with in an hour'),
  INVITATIONS_PER_HOUR: integer(100, 1, 1_000_000, 'invitations that a user sends in an hour'),
  RIGHTS_CACHED: integer(100_000, 1_000, 10_000_000, 'users and rooms, in pairs'),

  REQUESTS_PER_USER: integer(600, 1, 1_000_000, 'HTTP requests a minute on a node'),
  REQUESTS_PER_ADDRESS: integer(3000, 1, 1_000_000, 'HTTP requests a minute on a node'),
  SIGN_UPS_PER_HOUR: integer(100, 1, 1_000_000, 'new accounts an hour, per address'),
  LOGIN_TRIES: integer(10, 1, 1_000, 'tries in 15 minutes to sign in, per name and address'),

  BODY_BYTES: integer(MiB, 1, MiB, 'bytes'),
  HEADERS: integer(64, 8, 1024, 'headers a frame'),
  HEADER_BYTES: integer(8192, 256, 65_536, 'bytes a header line'),
  SUBSCRIPTIONS: integer(1000, 1, 100_000, 'subscriptions a connection'),
  TRANSACTIONS: integer(100, 1, 10_000, 'open transactions a connection'),
  TRANSACTION_BYTES: integer(MiB, 1, 16 * MiB, 'bytes a connection has parked in open transactions'),
  UNSETTLED_APPENDS: integer(1000, 1, 100_000, 'appends a connection'),
  SENDS_PER_SECOND: integer(1000, 1, 10_000_000, 'SENDs a second, per user on a node'),
  SIGNALS_PER_SECOND: integer(20, 1, 1_000_000, 'signals a second, per user on a node'),
  SIGNAL_BYTES: integer(1024, 1, 65_536, 'bytes'),
  PRESENCE_TTL: integer(30_000, 1_000, 600_000, 'milliseconds'),
  CONNECTIONS_PER_USER: integer(1000, 1, 10_000_000, 'connections on a node'),
  CONNECTIONS_PER_ADDRESS: integer(10_000, 1, 10_000_000, 'connections on a node'),
  CONNECTIONS_WAITING: integer(1000, 1, 10_000_000, 'connections that have not logged in yet'),
  LOGIN_TIMEOUT: integer(10_000, 100, 600_000, 'milliseconds'),
  LOGIN_BYTES: integer(16_384, 1024, MiB, 'bytes before CONNECTED'),
  HEART_BEAT: integer(10_000, 100, 600_000, 'milliseconds'),
  STALL_SECONDS: integer(120, 1, 3600, 'seconds'),
  WINDOW: integer(1000, 1, 100_000, 'unacknowledged messages a subscription'),
  LAST_MAX: integer(1000, 1, 10_000, 'messages'),
  OUTBOX_BYTES: integer(MiB, 65_536, 64 * MiB, 'bytes a connection'),
  RECENT_BYTES: integer(64 * MiB, MiB, 65_536 * MiB, 'bytes of recent messages a node keeps in memory'),
} as const satisfies Record<string, Key<unknown>>

type Keys = typeof keys
export type ConfigKey = keyof Keys
type Value<K extends keyof Keys> = NonNullable<ReturnType<Keys[K]['parse']>>
type WithFallback = { [K in keyof Keys]: Keys[K] extends { fallback: string } ? K : never }[keyof Keys]
/** Every key by its name; those without a default may be absent. */
export type Config = Readonly<
  { [K in Exclude<WithFallback, 'HOST'>]: Value<K> } & { [K in Exclude<keyof Keys, WithFallback>]?: Value<K> } & {
    HOST: string
  }
>

/** A configuration that cannot be used. The message is one line: the key, its value (secrets aside), what is allowed. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

const readKey = (name: string, key: Key<unknown>, value: string): unknown => {
  const parsed = key.parse(value)
  if (parsed === undefined) {
    throw new ConfigError(
      `${name}=${key.secret ? '(not shown)' : JSON.stringify(value)} is not allowed: it takes ${key.allowed}`,
    )
  }
  return parsed
}

/** Reads and checks `env`; an empty value counts as absent. Throws ConfigError. */
export const readConfig = (env: Readonly<Record<string, string | undefined>>): Config => {
  const values: Record<string, unknown> = {}
  for (const [name, key] of Object.entries<Key<unknown>>(keys)) {
    const value = env[name] || key.fallback
    if (value !== undefined) values[name] = readKey(name, key, value)
  }
  // Where anyone may come in, or sign up, the node stays on this machine unless someone says otherwise.
  values['HOST'] ??= values['ACCESS'] === 'token' ? '0.0.0.0' : '127.0.0.1'
  const config = Object.freeze(values) as unknown as Config
  checkTogether(config)
  return config
}

const checkTogether = (config: Config): void => {
  const together = (...names: ConfigKey[]): void => {
    const missing = names.filter(name => config[name] === undefined)
    if (missing.length > 0 && missing.length < names.length) {
      throw new ConfigError(`${missing.join(', ')} is missing: ${names.join(', ')} are set together or not at all`)
    }
  }
  together('TLS_CERT', 'TLS_KEY')
  together('KAFKA_TLS_CERT', 'KAFKA_TLS_KEY')
  together('KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD')
  if (config.ACCESS === 'token' && (config.JWT_SECRET === undefined) === (config.JWT_JWKS_URL === undefined)) {
    throw new ConfigError('ACCESS="token" is not allowed as it stands: it takes either JWT_SECRET or JWT_JWKS_URL')
  }
  if (config.ACCESS !== 'token' && (config.JWT_SECRET ?? config.JWT_JWKS_URL) !== undefined) {
    throw new ConfigError(`ACCESS="${config.ACCESS}" is not allowed with JWT_SECRET or JWT_JWKS_URL: it takes token`)
  }
  if (config.ACCESS === 'accounts' && config.DATABASE_URL !== undefined && config.SESSION_SECRET === undefined) {
    throw new ConfigError('SESSION_SECRET is missing: with DATABASE_URL all nodes are given the same')
  }
  if (config.ACCESS === 'accounts' && config.ROOMS === 'declared') {
    throw new ConfigError('ROOMS="declared" is not allowed with ACCESS="accounts": people make their rooms themselves')
  }
  if (config.ACCESS === 'accounts' && config.ROOM_NAMES !== undefined) {
    throw new ConfigError('ROOM_NAMES is not allowed with ACCESS="accounts": people make their rooms themselves')
  }
  const missing = roles.find(role => !config.ROLES.includes(role))
  if (missing !== undefined) checkApart(config, missing)
  if (config.KAFKA_TLS === 'off' && (config.KAFKA_TLS_CA ?? config.KAFKA_TLS_CERT) !== undefined) {
    throw new ConfigError('KAFKA_TLS="off" is not allowed with KAFKA_TLS_CA or KAFKA_TLS_CERT: it takes on')
  }
}

/** Processes that do not do everything work on the same log and database: what is embedded belongs to one process. */
const checkApart = (config: Config, missing: string): void => {
  const asked = `ROLES="${config.ROLES.join(',')}" is not allowed`
  if (config.ACCESS !== 'accounts') {
    if (missing === 'bridge') throw new ConfigError(`${asked} with ACCESS="${config.ACCESS}": it takes accounts`)
    return
  }
  if (config.DATABASE_URL === undefined || config.KAFKA_BROKERS === undefined) {
    throw new ConfigError(`${asked} with what is embedded: it takes DATABASE_URL and KAFKA_BROKERS`)
  }
}
