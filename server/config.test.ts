import t, { type Test } from 'tap'
import { ConfigError, keys, readConfig, type Config, type ConfigKey } from './config.ts'

type Env = Record<string, string>
/** What a key needs beside it, so that it alone is tried. */
const beside: Partial<Record<ConfigKey, Env>> = {
  TLS_CERT: { TLS_KEY: 'key.pem' },
  TLS_KEY: { TLS_CERT: 'cert.pem' },
  KAFKA_TLS_CA: { KAFKA_TLS: 'on' },
  KAFKA_TLS_CERT: { KAFKA_TLS: 'on', KAFKA_TLS_KEY: 'key.pem' },
  KAFKA_TLS_KEY: { KAFKA_TLS: 'on', KAFKA_TLS_CERT: 'cert.pem' },
  KAFKA_SASL_MECHANISM: { KAFKA_SASL_USERNAME: 'bridge', KAFKA_SASL_PASSWORD: 'hidden' },
  KAFKA_SASL_USERNAME: { KAFKA_SASL_MECHANISM: 'PLAIN', KAFKA_SASL_PASSWORD: 'hidden' },
  KAFKA_SASL_PASSWORD: { KAFKA_SASL_MECHANISM: 'PLAIN', KAFKA_SASL_USERNAME: 'bridge' },
  ROLES: { ACCESS: 'open' },
  DATABASE_URL: { ACCESS: 'open' },
  ROOMS: { ACCESS: 'open' },
  ROOM_NAMES: { ACCESS: 'open' },
  JWT_SECRET: { ACCESS: 'token' },
  JWT_JWKS_URL: { ACCESS: 'token' },
}
const read = (key: ConfigKey, value: string): Config[ConfigKey] => {
  const secret = key === 'ACCESS' && value === 'token' ? { JWT_SECRET: 'x'.repeat(32) } : {}
  return readConfig({ ...beside[key], ...secret, [key]: value })[key]
}
const refusal = (env: Env): string => {
  try {
    return `not refused: ${JSON.stringify(readConfig(env))}`
  } catch (error) {
    return error instanceof ConfigError ? error.message : `not a ConfigError: ${String(error)}`
  }
}
/** The one line that a bad value stops the start with. */
const isRefused = (t: Test, key: ConfigKey, value: string): void => {
  const shown = 'secret' in keys[key] ? '(not shown)' : JSON.stringify(value)
  t.equal(refusal({ ...beside[key], [key]: value }), `${key}=${shown} is not allowed: it takes ${keys[key].allowed}`)
}

const MiB = 1024 * 1024
const numbers: Partial<Record<ConfigKey, [standard: number, least: number, most: number]>> = {
  PORT: [8080, 0, 65_535],
  STOMP_PORT: [61_613, 0, 65_535],
  DRAIN_SECONDS: [10, 0, 600],
  KAFKA_REPLICATION: [3, 1, 32],
  KAFKA_RETENTION_MS: [-1, -1, 999_999_999_999_999],
  LOG_TIMEOUT: [15_000, 1_000, 600_000],
  LOG_QUEUE_BYTES: [64 * MiB, 2 * MiB, 4096 * MiB],
  IDEMPOTENCY_WINDOW: [600_000, 1_000, 86_400_000],
  DATABASE_POOL: [10, 1, 1_000],
  DATABASE_TIMEOUT: [5_000, 100, 600_000],
  ROOMS_MAX: [10_000, 1, 1_000_000],
  ROOMS_PER_MINUTE: [60, 1, 1_000_000],
  REQUESTS_PER_USER: [600, 1, 1_000_000],
  REQUESTS_PER_ADDRESS: [3000, 1, 1_000_000],
  SIGN_UPS_PER_HOUR: [100, 1, 1_000_000],
  LOGIN_TRIES: [10, 1, 1_000],
  ROOM_MAX_MEMBERS: [50_000, 2, 50_000],
  ROOMS_PER_HOUR: [20, 1, 1_000_000],
  STRANGERS_PER_HOUR: [10, 1, 1_000_000],
  INVITATIONS_PER_HOUR: [100, 1, 1_000_000],
  RIGHTS_CACHED: [100_000, 1_000, 10_000_000],
  BODY_BYTES: [MiB, 1, MiB],
  HEADERS: [64, 8, 1024],
  HEADER_BYTES: [8192, 256, 65_536],
  SUBSCRIPTIONS: [1000, 1, 100_000],
  TRANSACTIONS: [100, 1, 10_000],
  TRANSACTION_BYTES: [MiB, 1, 16 * MiB],
  UNSETTLED_APPENDS: [1000, 1, 100_000],
  SENDS_PER_SECOND: [1000, 1, 10_000_000],
  SIGNALS_PER_SECOND: [20, 1, 1_000_000],
  SIGNAL_BYTES: [1024, 1, 65_536],
  PRESENCE_TTL: [30_000, 1_000, 600_000],
  CONNECTIONS_PER_USER: [1000, 1, 10_000_000],
  CONNECTIONS_PER_ADDRESS: [10_000, 1, 10_000_000],
  CONNECTIONS_WAITING: [1000, 1, 10_000_000],
  LOGIN_TIMEOUT: [10_000, 100, 600_000],
  LOGIN_BYTES: [16_384, 1024, MiB],
  HEART_BEAT: [10_000, 100, 600_000],
  STALL_SECONDS: [120, 1, 3600],
  WINDOW: [1000, 1, 100_000],
  LAST_MAX: [1000, 1, 10_000],
  OUTBOX_BYTES: [MiB, 65_536, 64 * MiB],
  RECENT_BYTES: [64 * MiB, MiB, 65_536 * MiB],
}

void t.test('numbers: the default, the least, the most, one past each, what is none', async t => {
  const defaults = readConfig({})
  for (const [name, [standard, least, most]] of Object.entries(numbers)) {
    const key = name as ConfigKey
    t.equal(defaults[key], standard, key)
    t.equal(read(key, String(least)), least, key)
    t.equal(read(key, String(most)), most, key)
    t.ok(keys[key].allowed.startsWith(`a whole number from ${least} to ${most} (`), key)
    for (const bad of [
      String(least - 1),
      String(most + 1),
      'x',
      '1.5',
      '1e3',
      '0x10',
      ' 1',
      '1 ',
      '1,000',
      'Infinity',
    ]) {
      isRefused(t, key, bad)
    }
  }
})

void t.test('STOMP over TCP can be switched off, and HTTP cannot', async t => {
  t.equal(read('STOMP_PORT', 'off'), 'off')
  isRefused(t, 'STOMP_PORT', 'OFF')
  isRefused(t, 'PORT', 'off')
})

const choices: Partial<Record<ConfigKey, [standard: string | undefined, first: string, ...rest: string[]]>> = {
  LOG_LEVEL: ['info', 'debug', 'info', 'warn', 'error', 'silent'],
  KAFKA_TLS: ['off', 'on', 'off'],
  KAFKA_SASL_MECHANISM: [undefined, 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
  ACCESS: ['accounts', 'accounts', 'open', 'token'],
  ROOMS: ['auto', 'auto', 'declared'],
}

void t.test('choices: the default, each, and nothing else', async t => {
  const defaults = readConfig({})
  for (const [name, [standard, first, ...rest]] of Object.entries(choices)) {
    const key = name as ConfigKey
    const options = [first, ...rest]
    t.equal(defaults[key], standard, key)
    for (const option of options) t.equal(read(key, option), option)
    for (const bad of ['x', ` ${first}`, `${first},`, 'true', 'Open', 'ON', 'constructor']) isRefused(t, key, bad)
    t.equal(keys[key].allowed, options.join(', '))
  }
})

const lists: Partial<
  Record<ConfigKey, { standard?: string[]; good: [text: string, read: string[]][]; bad: string[] }>
> = {
  ROLES: {
    standard: ['bridge', 'product'],
    good: [
      ['bridge', ['bridge']],
      ['product, bridge', ['product', 'bridge']],
    ],
    bad: ['worker', 'Bridge', 'bridge;product', 'bridge,page', ',', ' '],
  },
  KAFKA_BROKERS: {
    good: [
      ['127.0.0.1:9092', ['127.0.0.1:9092']],
      ['b-1.kafka.example.org:1, [::1]:65535,', ['b-1.kafka.example.org:1', '[::1]:65535']],
    ],
    bad: [
      '127.0.0.1',
      'broker:0',
      'broker:65536',
      'broker:x',
      ':9092',
      '[::x]:1',
      '[127.0.0.1]:1',
      'a:1;b:1',
      'a:1,b',
      ',',
    ],
  },
  ORIGINS: {
    good: [
      ['*', ['*']],
      ['https://chat.example.org,http://localhost:5173', ['https://chat.example.org', 'http://localhost:5173']],
      ['HTTPS://Chat.Example.org:443, http://[::1]:80', ['https://chat.example.org', 'http://[::1]']],
    ],
    bad: [
      'chat.example.org',
      'https://',
      'https://a/b',
      'https://a/',
      'https://a?b',
      'https://a@b',
      'https://a:x',
      'ws://a',
      '**',
      ' ',
    ],
  },
  HOSTS: {
    good: [
      ['chat.example.org', ['chat.example.org']],
      ['Chat.Example.org, localhost,[::1],10.0.0.1', ['chat.example.org', 'localhost', '[::1]', '10.0.0.1']],
    ],
    bad: ['chat.example.org:443', 'https://chat.example.org', 'a/b', '[10.0.0.1]', 'a b', '*', ' '],
  },
  TRUST_PROXY: {
    good: [
      ['10.0.0.0/8', ['10.0.0.0/8']],
      [
        '127.0.0.1, ::1,fd00::/128, 10.0.0.1/32, 10.0.0.1/1',
        ['127.0.0.1', '::1', 'fd00::/128', '10.0.0.1/32', '10.0.0.1/1'],
      ],
    ],
    bad: [
      'proxy',
      '1.2.3',
      '256.1.1.1',
      '10.0.0.0/33',
      '10.0.0.0/0',
      '::1/129',
      '10.0.0.0/',
      'fe80::1%eth0',
      '10.0.0.0/8/8',
      'true',
    ],
  },
  ROOM_NAMES: {
    good: [
      ['general, a/b:c.d-e_F', ['general', 'a/b:c.d-e_F']],
      ['x'.repeat(120), ['x'.repeat(120)]],
    ],
    bad: ['x'.repeat(121), 'a b', 'a*', '방', ',,'],
  },
}

const texts: Partial<Record<ConfigKey, { standard?: string; good: string[]; bad: string[] }>> = {
  HOST: { standard: '127.0.0.1', good: ['0.0.0.0', '::', 'localhost'], bad: [] },
  TLS_CERT: { good: ['cert.pem'], bad: [] },
  TLS_KEY: { good: ['/etc/tls/key.pem'], bad: [] },
  DATA_DIR: { standard: 'data', good: ['/var/lib/hoofbeat'], bad: [] },
  KAFKA_TLS_CA: { good: ['ca.pem'], bad: [] },
  KAFKA_TLS_CERT: { good: ['cert.pem'], bad: [] },
  KAFKA_TLS_KEY: { good: ['key.pem'], bad: [] },
  KAFKA_SASL_USERNAME: { good: ['bridge'], bad: [] },
  KAFKA_SASL_PASSWORD: { good: ['x', ' a password '], bad: [] },
  REDIS_URL: {
    good: ['redis://127.0.0.1:6379', 'rediss://user:p%40ss@redis.example.org/2', 'redis://[::1]'],
    bad: [
      '127.0.0.1:6379',
      'http://127.0.0.1:6379',
      'redis:127.0.0.1',
      'redis://',
      'redis:///1',
      'redis://a:x',
      'redis://a b',
    ],
  },
  DATABASE_URL: {
    good: [
      'postgres://127.0.0.1/chat',
      'postgresql://ann:p%40ss@db.example.org:5433/chat?sslmode=require',
      'postgres:///chat?host=/run/postgresql',
    ],
    bad: [
      '127.0.0.1:5432',
      'mysql://127.0.0.1/chat',
      'postgres:127.0.0.1',
      'postgres://a:x/chat',
      'postgres://a b/chat',
    ],
  },
  SESSION_SECRET: { good: ['x'.repeat(32), '비밀'.repeat(6)], bad: ['x'.repeat(31), '비밀'.repeat(5)] },
  JWT_SECRET: { good: ['x'.repeat(32), '비밀'.repeat(6)], bad: ['x'.repeat(31), '비밀'.repeat(5)] },
  JWT_JWKS_URL: {
    good: ['https://login.example.org/.well-known/jwks.json', 'http://127.0.0.1:8081/@/keys?x=y'],
    bad: [
      'login.example.org',
      'ftp://a/',
      'file:///keys',
      'https://',
      'https://ann:pw@a/',
      'https://ann@a/',
      'https://:pw@a/',
    ],
  },
  JWT_ISSUER: { good: ['https://login.example.org/'], bad: [] },
  JWT_AUDIENCE: { good: ['hoofbeat'], bad: [] },
}

void t.test('lists and texts: the default, what is allowed, what is not', async t => {
  const defaults = readConfig({})
  for (const [name, { standard, good, bad }] of Object.entries(lists)) {
    const key = name as ConfigKey
    t.same(defaults[key], standard, key)
    for (const [text, items] of good) t.same(read(key, text), items)
    for (const value of bad) isRefused(t, key, value)
  }
  for (const [name, { standard, good, bad }] of Object.entries(texts)) {
    const key = name as ConfigKey
    t.equal(defaults[key], standard, key)
    for (const value of good) t.equal(read(key, value), value)
    for (const value of bad) isRefused(t, key, value)
  }
})

void t.test('every key is tried above', async t => {
  t.same(Object.keys({ ...numbers, ...choices, ...lists, ...texts }).toSorted(), Object.keys(keys).toSorted())
})

void t.test('an empty value counts as absent, and other variables do not matter', async t => {
  const empty = Object.fromEntries(Object.keys(keys).map(key => [key, '']))
  t.same(readConfig({ ...empty, PATH: '/bin', port: '1' }), readConfig({}))
})

void t.test('a bad value is told in one line, with its key, its value and what is allowed', async t => {
  const message =
    'PORT="80\\n80" is not allowed: it takes a whole number from 0 to 65535 (TCP port of HTTP and WebSocket; 0: any free one)'
  t.equal(refusal({ PORT: '80\n80' }), message)
  t.equal(refusal({ ACCESS: 'password' }), 'ACCESS="password" is not allowed: it takes accounts, open, token')
})

void t.test('secrets are never shown', async t => {
  const secrets = Object.entries(keys).flatMap(([name, key]) => ('secret' in key ? [name] : []))
  t.same(secrets, ['KAFKA_SASL_PASSWORD', 'REDIS_URL', 'DATABASE_URL', 'SESSION_SECRET', 'JWT_SECRET', 'JWT_JWKS_URL'])
  t.equal(refusal({ JWT_SECRET: 'hidden' }), 'JWT_SECRET=(not shown) is not allowed: it takes at least 32 bytes')
  const hidden = 'hidden'.repeat(6)
  const wrong: Env[] = [
    { KAFKA_SASL_PASSWORD: hidden },
    { REDIS_URL: `redis://:${hidden}@127.0.0.1:x` },
    { DATABASE_URL: `postgres://ann:${hidden}@127.0.0.1:x/chat` },
    { ACCESS: 'token', JWT_SECRET: hidden, JWT_JWKS_URL: 'https://a/' },
    { ACCESS: 'token', JWT_JWKS_URL: `https://ann:${hidden}@127.0.0.1/keys` },
    { KAFKA_SASL_PASSWORD: hidden, JWT_SECRET: hidden, PORT: 'x' },
  ]
  for (const env of wrong) {
    t.notMatch(refusal(env), /hidden|not refused/)
  }
})

void t.test('where anyone may come in, a node stays on this machine unless HOST says otherwise', async t => {
  const token = { ACCESS: 'token', JWT_SECRET: 'x'.repeat(32) }
  for (const ACCESS of ['open', 'accounts']) t.equal(readConfig({ ACCESS }).HOST, '127.0.0.1')
  t.equal(readConfig(token).HOST, '0.0.0.0')
  t.equal(readConfig({ HOST: '192.0.2.1' }).HOST, '192.0.2.1')
  t.equal(readConfig({ ...token, HOST: '192.0.2.1' }).HOST, '192.0.2.1')
})

void t.test('what is set together or not at all', async t => {
  const groups: Env[] = [
    { TLS_CERT: 'cert.pem', TLS_KEY: 'key.pem' },
    { KAFKA_TLS_CERT: 'cert.pem', KAFKA_TLS_KEY: 'key.pem' },
    { KAFKA_SASL_MECHANISM: 'PLAIN', KAFKA_SASL_USERNAME: 'bridge', KAFKA_SASL_PASSWORD: 'hidden' },
  ]
  for (const group of groups) {
    t.match(readConfig({ KAFKA_TLS: 'on', ...group }), group)
    const names = Object.keys(group).join(', ')
    for (const missing of Object.keys(group)) {
      const others = Object.fromEntries(Object.entries(group).filter(([name]) => name !== missing))
      const message = `${missing} is missing: ${names} are set together or not at all`
      t.equal(refusal({ KAFKA_TLS: 'on', ...others }), message)
    }
  }
  const alone = refusal({ KAFKA_SASL_USERNAME: 'bridge' })
  t.match(alone, /^KAFKA_SASL_MECHANISM, KAFKA_SASL_PASSWORD is missing: /)
})

void t.test('token access takes either a secret or a JWKS address', async t => {
  const secret = { JWT_SECRET: 'x'.repeat(32) }
  const jwks = { JWT_JWKS_URL: 'https://login.example.org/keys' }
  t.match(readConfig({ ACCESS: 'token', ...secret }), secret)
  t.match(readConfig({ ACCESS: 'token', ...jwks }), jwks)
  for (const env of [{}, { ...secret, ...jwks }]) {
    const message = 'ACCESS="token" is not allowed as it stands: it takes either JWT_SECRET or JWT_JWKS_URL'
    t.equal(refusal({ ACCESS: 'token', ...env }), message)
  }
  for (const ACCESS of ['open', 'accounts']) {
    for (const env of [secret, jwks]) {
      const message = `ACCESS="${ACCESS}" is not allowed with JWT_SECRET or JWT_JWKS_URL: it takes token`
      t.equal(refusal({ ACCESS, ...env }), message)
    }
  }
})

void t.test('rooms of people are in SQL, and not made beforehand', async t => {
  const why = 'is not allowed with ACCESS="accounts": people make their rooms themselves'
  t.equal(refusal({ ROOMS: 'declared' }), `ROOMS="declared" ${why}`)
  t.equal(refusal({ ROOM_NAMES: 'general' }), `ROOM_NAMES ${why}`)
  t.equal(readConfig({ ROOMS: 'auto' }).ROOMS, 'auto')
  for (const other of [{ ACCESS: 'open' }, { ACCESS: 'token', JWT_SECRET: 'x'.repeat(32) }]) {
    t.match(readConfig({ ...other, ROOMS: 'declared', ROOM_NAMES: 'general' }), { ROOMS: 'declared' })
  }
})

void t.test('nodes that share a database share what sessions are signed with', async t => {
  const env = { DATABASE_URL: 'postgres://127.0.0.1/chat' }
  t.equal(refusal(env), 'SESSION_SECRET is missing: with DATABASE_URL all nodes are given the same')
  t.match(readConfig({ ...env, SESSION_SECRET: 'x'.repeat(32) }), env)
  t.match(readConfig({ ...env, ACCESS: 'open' }), env, 'where there are none')
})

void t.test('a process that does not do everything works on what can be shared', async t => {
  const apart = { DATABASE_URL: 'postgres://127.0.0.1/chat', KAFKA_BROKERS: '127.0.0.1:9092' }
  const secret = { SESSION_SECRET: 'x'.repeat(32) }
  for (const ROLES of ['bridge', 'product', 'product, product']) {
    t.same(readConfig({ ...apart, ...secret, ROLES }).ROLES, ROLES.split(', '))
    const message = `ROLES="${ROLES.replace(' ', '')}" is not allowed with what is embedded: it takes DATABASE_URL and KAFKA_BROKERS`
    for (const shared of ['DATABASE_URL', 'KAFKA_BROKERS']) {
      t.equal(refusal({ ...apart, ...secret, ROLES, [shared]: '' }), message)
    }
  }
  t.same(readConfig({ ACCESS: 'open', ROLES: 'bridge' }).ROLES, ['bridge'], 'a bridge needs no product')
  t.equal(
    refusal({ ACCESS: 'open', ROLES: 'product' }),
    'ROLES="product" is not allowed with ACCESS="open": it takes accounts',
  )
})

void t.test('certificates for Kafka take TLS', async t => {
  const message = 'KAFKA_TLS="off" is not allowed with KAFKA_TLS_CA or KAFKA_TLS_CERT: it takes on'
  for (const env of [{ KAFKA_TLS_CA: 'ca.pem' }, { KAFKA_TLS_CERT: 'cert.pem', KAFKA_TLS_KEY: 'key.pem' }]) {
    t.equal(refusal(env), message)
    t.match(readConfig({ ...env, KAFKA_TLS: 'on' }), env)
  }
})

void t.test('a configuration does not change', async t => {
  const config = readConfig({ ORIGINS: 'https://a' })
  t.ok(Object.isFrozen(config))
  t.ok(Object.isFrozen(config.ORIGINS))
})
