import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { root, runScript } from '../launch.ts'
import { parse } from './parse.ts'
import { isTest, sourcesIn } from './sources.ts'

const capabilities = ['accounts', 'people', 'rooms', 'messages', 'fleet'].map(name => `server/${name}`)

/** Which layers (or single files of one) a layer may import besides itself, server/errors.ts and the types of server/config.ts. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'server/transport': ['server/connection', 'server/ports', 'server/stomp/framing.ts'],
  'server/connection': ['server/frames', 'server/fanout', 'server/stomp', 'server/ports'],
  'server/frames': ['server/fanout', 'server/stomp', 'server/ports'],
  'server/fanout': ['server/stomp', 'server/ports'],
  'server/stomp': [],
  'server/ports': [],
  'server/errors': [],
  'server/config': [],
  'server/tls': ['server/ports'],
  'server/http': ['server/ports', 'server/database', 'server/transport/origin.ts'],
  'server/database': ['server/ports'],
  // Where the capabilities are put together.
  'server/product': ['server/database', 'server/http', 'server/ports', ...capabilities],
  'kafka': ['server/ports'],
  'client': [],
  ...Object.fromEntries(
    capabilities.map(name => [name, ['server/database', 'server/ports', 'server/http/api.ts', ...capabilities]]),
  ),
}
/** Every driver is a layer of its own, so that none imports another. */
const driver: readonly string[] = ['server/ports']

/** The files and folders where an npm package may be imported; what ends in `*` stands for all that begin so. */
const packages: Readonly<Record<string, readonly string[]>> = {
  'fastify': [
    'server/transport/websocket.ts',
    'server/http/',
    'server/main.ts',
    ...capabilities.map(name => `${name}/routes.ts`),
  ],
  '@fastify/*': ['server/transport/websocket.ts', 'server/http/', 'server/main.ts'],
  'ws': ['server/transport/websocket.ts'],
  'prom-client': ['server/http/'],
  'pino': ['server/main.ts'],
  'classic-level': ['server/drivers/level', 'server/database/lock.ts'],
  'pg': ['server/database/'],
  '@electric-sql/pglite': ['server/database/embedded.ts'],
  'postgrator': ['server/database/migrate.ts'],
  'kysely': ['server/database/', 'server/http/once.ts', ...capabilities.map(name => `${name}/`)],
  'jose': ['server/drivers/token', 'server/accounts/'],
  '@node-rs/argon2': ['server/accounts/'],
  'typebox/value': ['server/http/'],
  'typebox': ['server/http/', ...capabilities.map(name => `${name}/`)],
  'redis': ['server/drivers/redis/'],
  '@platformatic/kafka': ['kafka/'],
  '@stomp/stompjs': ['client/src/chat/'],
  'react': ['client/src/main.tsx', 'client/src/hooks/', 'client/src/components/'],
  'react-dom/client': ['client/src/main.tsx'],
  'vite': ['client/vite.config.ts'],
  '@vitejs/*': ['client/vite.config.ts'],
}

/** Layers that do no I/O: of Node's own modules they may use only this. */
const pure = ['server/stomp', 'server/ports', 'server/errors']
const PURE_MODULE = 'node:buffer'

/** Kafka's words, which stay in kafka/: the rest of the server knows rooms and their log. */
const kafkaWords = /^(topics?|partitions?|producers?)$/i

const layerOf = (file: string): string => {
  const parts = file.replace(/\.tsx?$/, '').split('/')
  if (parts[0] !== 'server') return parts[0] ?? ''
  return parts.slice(0, parts[1] === 'drivers' ? 3 : 2).join('/')
}

const fits = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name

const packageProblem = (file: string, name: string): string | undefined => {
  const found = Object.entries(packages).find(([pattern]) => fits(pattern, name))
  if (!found) return `${name} has no place yet in the table of scripts/checks/imports.ts`
  const places = found[1]
  return places.some(place => file.startsWith(place))
    ? undefined
    : `${name} may only be imported in ${places.join(', ')}`
}

const layerProblem = (file: string, target: string, values: readonly string[]): string | undefined => {
  const own = layerOf(file)
  const other = layerOf(target)
  if (isTest(target)) return 'only tests import what is for tests'
  if (own === other || own === 'server/main') return undefined
  if (target === 'server/errors.ts' && own !== 'client') return undefined
  if (target === 'server/config.ts' && own.startsWith('server/')) {
    const ok = values.every(name => name === 'ConfigError')
    return ok ? undefined : 'only main.ts reads the configuration; others import its types'
  }
  const allowed = own.startsWith('server/drivers/') ? driver : mayImport[own]
  if (!allowed) return `${own} has no rule yet in the table of scripts/checks/imports.ts`
  if (!allowed.includes(other) && !allowed.includes(target)) {
    return `${own} may import ${allowed.join(', ') || 'no other layer'}`
  }
  if (capabilities.includes(other) && target !== `${other}/index.ts`) return `of ${other} only index.ts may be imported`
  return undefined
}

const chatProblem = (file: string, target: string): string | undefined =>
  file.startsWith('client/src/chat/') && !target.startsWith('client/src/chat/')
    ? 'client/src/chat stands alone: it imports nothing from around it'
    : undefined

const importProblem = (file: string, specifier: string | undefined, values: readonly string[]): string | undefined => {
  if (specifier === undefined) return 'what is imported must be a plain string'
  if (specifier.startsWith('node:')) {
    const forbidden = pure.includes(layerOf(file)) && specifier !== PURE_MODULE
    return forbidden ? `${layerOf(file)} does no I/O: it may import ${PURE_MODULE} alone` : undefined
  }
  if (!specifier.startsWith('.')) return packageProblem(file, specifier)
  const target = posix.join(posix.dirname(file), specifier)
  return chatProblem(file, target) ?? layerProblem(file, target, values)
}

/** Where `file` (a path from the root) breaks a rule, as lines to print. */
export const violations = (file: string, text: string): readonly string[] => {
  const { imports, names } = parse(file, text)
  const found: string[] = []
  for (const { specifier, values, line } of imports) {
    const problem = importProblem(file, specifier, values)
    if (problem) found.push(`${file}:${line} imports ${specifier ?? '(computed)'}: ${problem}`)
  }
  if (!file.startsWith('server/')) return found
  for (const [name, line] of names) {
    const words = name.split(/(?<=[a-z0-9])(?=[A-Z])|_/)
    if (words.some(word => kafkaWords.test(word))) {
      found.push(`${file}:${line} has the name ${name}: topics, partitions and producers are kafka/'s alone`)
    }
  }
  return found
}

if (process.argv[1] === import.meta.filename) {
  await runScript(async () => {
    const files = await sourcesIn(['server', 'kafka', 'client'], 'product')
    const found = await Promise.all(files.map(async file => violations(file, await readFile(join(root, file), 'utf8'))))
    for (const line of found.flat()) process.stdout.write(`${line}\n`)
    return found.flat().length > 0 ? 1 : 0
  })
}
