import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { readConfig } from './config.ts'
import { memoryCounters } from './drivers/memory/counters.ts'
import { openLevelLog } from './drivers/level/room-log.ts'
import { memoryPresence } from './drivers/memory/presence.ts'
import { memorySignals } from './drivers/memory/signals.ts'
import { buildHttp } from './http/server.ts'
import { openProduct, type Product } from './product.ts'
import { silent, testDatabase } from './testkit/database.ts'
import { scratch, until } from './testkit/node.ts'
import { ownPostgres } from './testkit/services.ts'

const SESSION_SECRET = 'thirty-two bytes that nobody knows of'

/** The whole product on a database, with what it is given of the bridge. */
const open = async (t: Test, env: Readonly<Record<string, string>>): Promise<Product> => {
  const log = await openLevelLog({
    folder: join(await scratch(t), 'log'),
    roomsMax: 1_000,
    idempotencyWindow: 60_000,
    logger: silent,
  })
  const signals = memorySignals()
  const presence = memoryPresence({ ttl: 30_000 })
  const product = await openProduct({
    config: readConfig({ ACCESS: 'accounts', SESSION_SECRET, ...env }),
    log: log.port,
    signals: signals.port,
    counters: memoryCounters().port,
    presence: presence.port,
    mayConnect: () => true,
    loopback: true,
    version: '1.2.3',
    logger: silent,
  })
  t.teardown(async () => {
    await product.close()
    await presence.close()
    await log.close()
  })
  return product
}

type Json = { readonly [key: string]: Json | undefined } & Iterable<Json> & string
const entries = (value: Json | undefined): [string, Json][] => Object.entries(value ?? {}) as [string, Json][]

/** Every object in `value`, with the way to it. */
const objects = function* (value: unknown, way = ''): Generator<[way: string, object: Json]> {
  if (typeof value !== 'object' || value === null) return
  yield [way, value as Json]
  for (const [key, each] of Object.entries(value)) yield* objects(each, `${way}/${key}`)
}

/** Checks values with the same ajv that requests are checked with, which here changes nothing. */
const ajv = async (): Promise<(schema: object, value: unknown) => string | undefined> => {
  let compile: ((schema: object) => { (value: unknown): boolean; errors?: unknown[] | null }) | undefined
  const bare = fastify({ ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false } } })
  bare.get('/', (request, reply) => {
    compile = schema => request.compileValidationSchema(schema as never) as never
    return reply.send()
  })
  await bare.inject('/')
  return (schema, value) => {
    const check = compile!(schema)
    return check(value) ? undefined : JSON.stringify(check.errors)
  }
}

const texts = { type: 'object', additionalProperties: { type: 'string' } }
const closed = (required: string[], properties: Record<string, object>): object => ({
  type: 'object',
  required,
  properties,
  additionalProperties: false,
})
/** OpenAPI 3.0.3, as far as it is used here: what is not in it is not allowed in the document. */
const openapi = {
  ...closed(['openapi', 'info', 'paths'], {
    openapi: { const: '3.0.3' },
    info: closed(['title', 'version'], {
      title: { type: 'string' },
      description: { type: 'string' },
      version: { type: 'string' },
    }),
    components: closed([], {
      securitySchemes: {
        type: 'object',
        additionalProperties: closed(['type', 'scheme'], {
          type: { const: 'http' },
          scheme: { const: 'bearer' },
          bearerFormat: { type: 'string' },
          description: { type: 'string' },
        }),
      },
      schemas: { type: 'object', additionalProperties: { $ref: '#/definitions/schema' } },
    }),
    paths: {
      type: 'object',
      propertyNames: { pattern: '^/' },
      additionalProperties: {
        type: 'object',
        propertyNames: { enum: ['get', 'put', 'post', 'delete', 'patch'] },
        additionalProperties: { $ref: '#/definitions/operation' },
      },
    },
  }),
  definitions: {
    operation: closed(['summary', 'tags', 'responses'], {
      summary: { type: 'string', minLength: 3 },
      description: { type: 'string' },
      tags: { type: 'array', items: { type: 'string' } },
      parameters: { type: 'array', items: { $ref: '#/definitions/parameter' } },
      requestBody: closed(['content'], {
        content: { $ref: '#/definitions/content' },
        required: { type: 'boolean' },
        description: { type: 'string' },
      }),
      responses: {
        type: 'object',
        minProperties: 2,
        propertyNames: { pattern: '^([1-5]\\d\\d|default)$' },
        additionalProperties: closed(['description'], {
          description: { type: 'string', minLength: 1 },
          content: { $ref: '#/definitions/content' },
        }),
      },
      security: { type: 'array', items: { type: 'object', additionalProperties: { type: 'array' } } },
    }),
    parameter: closed(['name', 'in', 'schema'], {
      name: { type: 'string' },
      in: { enum: ['query', 'header', 'path'] },
      required: { type: 'boolean' },
      description: { type: 'string' },
      schema: { $ref: '#/definitions/schema' },
      example: {},
      examples: { type: 'object', additionalProperties: closed(['value'], { value: {} }) },
    }),
    content: {
      type: 'object',
      propertyNames: { pattern: '^application/(problem\\+)?json$' },
      additionalProperties: closed(['schema'], {
        schema: { $ref: '#/definitions/schema' },
        example: {},
        examples: { type: 'object', additionalProperties: closed(['value'], { value: {} }) },
      }),
    },
    schema: closed([], {
      type: { enum: ['object', 'array', 'string', 'integer', 'number', 'boolean'] },
      title: { type: 'string' },
      description: { type: 'string' },
      default: {},
      example: {},
      enum: { type: 'array', minItems: 1 },
      format: { type: 'string' },
      pattern: { type: 'string' },
      nullable: { type: 'boolean' },
      minimum: { type: 'number' },
      maximum: { type: 'number' },
      minLength: { type: 'integer' },
      maxLength: { type: 'integer' },
      minItems: { type: 'integer' },
      maxItems: { type: 'integer' },
      uniqueItems: { type: 'boolean' },
      required: { type: 'array', minItems: 1, items: { type: 'string' } },
      properties: { type: 'object', additionalProperties: { $ref: '#/definitions/schema' } },
      additionalProperties: { anyOf: [{ type: 'boolean' }, { $ref: '#/definitions/schema' }] },
      items: { $ref: '#/definitions/schema' },
      anyOf: { type: 'array', items: { $ref: '#/definitions/schema' } },
      oneOf: { type: 'array', items: { $ref: '#/definitions/schema' } },
      allOf: { type: 'array', items: { $ref: '#/definitions/schema' } },
    }),
    texts,
  },
}

/** What is served, and what the document says of it. */
const served = async (t: Test): Promise<{ app: FastifyInstance; routes: RouteOptions[]; document: Json }> => {
  const database = await testDatabase(t, 'embedded')
  await database.close()
  const product = await open(t, database.env)
  const app = buildHttp({ config: {}, logger: pino({ level: 'silent' }) })
  const routes: RouteOptions[] = []
  app.addHook('onRoute', route => void routes.push(route))
  await product.serve(app)
  await app.ready()
  t.teardown(() => app.close())
  await product.check(5_000)
  return { app, routes, document: (await app.inject('/docs/json')).json() }
}

await t.test('the API is documented: every route, with its answers and errors, and every example is valid', async t => {
  const { routes, document } = await served(t)
  const check = await ajv()
  t.equal(check(openapi, document), undefined, 'it is OpenAPI 3')

  const shown = new Set(
    entries(document['paths']).flatMap(([path, methods]) => entries(methods).map(([method]) => `${method} ${path}`)),
  )
  const registered = routes
    .filter(({ url, method, schema }) => method !== 'HEAD' && schema?.hide !== true && !url.startsWith('/docs'))
    .map(({ url, method }) => `${String(method).toLowerCase()} ${url.replaceAll(/:(\w+)/g, '{$1}')}`)
  t.same([...shown].toSorted(), registered.toSorted())
  t.ok(shown.has('post /api/users') && shown.has('get /.well-known/jwks.json'))
  t.same(
    routes
      .filter(({ url, schema }) => /^\/(api|\.well-known)\//.test(url) && schema === undefined)
      .map(({ url }) => url),
    [],
    'no route without a schema',
  )

  for (const [path, methods] of entries(document['paths'])) {
    for (const [method, operation] of entries(methods)) {
      const name = `${method} ${path}`
      const statuses = Object.keys(operation['responses']!)
      t.ok(
        statuses.some(status => status.startsWith('2')),
        `${name}: an answer`,
      )
      for (const status of ['421', '429', '500', '503']) t.ok(statuses.includes(status), `${name}: ${status}`)
      t.equal(statuses.includes('401') || operation['security'] === undefined, true, `${name}: who may ask`)
      const inPath = Array.from(path.matchAll(/\{(\w+)\}/g), ([, parameter]) => parameter)
      const parameters = [...((operation['parameters'] ?? []) as unknown as { in: string; name: string }[])]
      t.same(
        parameters.filter(each => each.in === 'path').map(each => each.name),
        inPath,
        name,
      )
    }
  }
})

await t.test('every example in the document is what its schema says', async t => {
  const { document } = await served(t)
  const check = await ajv()
  let examples = 0
  for (const [way, object] of objects(document)) {
    if (way.endsWith('/properties')) continue
    const schema = (object['schema'] ?? object) as unknown as Record<string, unknown>
    const several = Object.values((object['examples'] ?? {}) as Record<string, { value: unknown }>).map(
      ({ value }) => value,
    )
    const all = object['example'] === undefined ? several : [object['example'], ...several]
    for (const example of all) {
      // An example of a part is the whole one's too; `example` itself is a word of OpenAPI, which ajv does not know.
      const bare = JSON.parse(
        JSON.stringify(schema, (key, value: unknown) => (key === 'example' ? undefined : value)),
      ) as object
      t.equal(check(bare, example), undefined, way)
      examples++
    }
  }
  t.ok(examples > 50, `${examples} examples`)
})

await t.test('a database that is away: it starts, says so, refuses, and goes on when it is there', async t => {
  const postgres = await ownPostgres(t)
  await postgres.kill()
  const product = await open(t, { DATABASE_URL: postgres.url })
  const app = buildHttp({ config: {}, logger: pino({ level: 'silent' }) })
  await product.serve(app)
  t.teardown(() => app.close())
  const signUp = (name: string) =>
    app.inject({ method: 'POST', url: '/api/users', payload: { name, password: 'correct horse' } })
  await t.rejects(product.check(1_000))
  t.match((await signUp('ann')).json(), { status: 503, code: 'DATABASE_UNAVAILABLE' })
  await postgres.start()
  await until(() =>
    product.check(1_000).then(
      () => true,
      () => false,
    ),
  )
  t.equal((await signUp('ann')).statusCode, 201)
})

await t.test('a start that cannot be frees what it had opened', async t => {
  const database = await testDatabase(t, 'embedded')
  await database.close()
  const folder = database.env['DATA_DIR']!
  const secret = join(folder, 'session-secret')
  await mkdir(secret)
  const env = { SESSION_SECRET: '', DATA_DIR: folder }
  await t.rejects(open(t, env), { code: 'EISDIR' })
  await rm(secret, { recursive: true })
  await (await open(t, env)).check(5_000)
})
