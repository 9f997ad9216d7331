import t from 'tap'
import { makeAdmin } from '../accounts/index.ts'
import { testDatabase, type Kind } from '../testkit/database.ts'
import { startNode } from '../testkit/node.ts'
import { call, PASSWORD, productEnv, type Answer, type Json } from '../testkit/product.ts'

t.setTimeout(120_000)

interface Schema extends Json {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly enum?: readonly unknown[]
}
interface Parameter {
  readonly in: string
  readonly name: string
  readonly example?: unknown
  readonly schema: Schema
}
interface Operation {
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly schema: Schema } } }
}
interface Route {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

/** Something that the schema allows, with everything in it that there may be. */
const example = (schema: Schema): unknown => {
  const given = schema['example'] ?? schema['default'] ?? schema.enum?.[0]
  if (given !== undefined) return given
  if (schema.anyOf) return example(schema.anyOf[0]!)
  if (schema.items) return [example(schema.items)]
  if (schema.type === 'string') return 'x'
  return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, each]) => [name, example(each)]))
}

/** `value` with each of its texts in turn replaced. */
function* spoiled(value: unknown, text: string): Generator {
  if (typeof value === 'string') yield text
  if (typeof value !== 'object' || value === null) return
  for (const [key, each] of Object.entries(value)) {
    for (const bad of spoiled(each, text)) yield Array.isArray(value) ? [bad] : { ...value, [key]: bad }
  }
}

interface Asked {
  readonly path: Readonly<Record<string, string>>
  readonly query: Readonly<Record<string, string>>
  readonly body: unknown
}

const exampleOf = ({ parameters = [], requestBody }: Operation): Asked => {
  const those = (place: string): Record<string, string> => {
    const found = parameters.filter(each => each.in === place)
    return Object.fromEntries(found.map(each => [each.name, String(each.example ?? example(each.schema))]))
  }
  const body = requestBody && example(requestBody.content['application/json'].schema)
  return { path: those('path'), query: those('query'), body }
}

const NUL = 'a\0b'
const HALF = 'a\ud83db'
/** Times that no list can have reached. */
const times = [9e15, -9e15, 1e300, 253_402_300_800_000, -1]
/** A good place in each list, by the list's name; of the two lists of requests in the first. */
const places: Readonly<Record<string, unknown>> = {
  'members': ['x', 'x'],
  'bans': 'x',
  'my-rooms': [1, 'x'],
  'public-rooms': ['x', 'x'],
  'my-invitations': [1, 'x'],
  'invitations': [1, 'x'],
  'links': 'x',
  'users': 'x',
  'sessions': [1, 'x'],
  'connections': ['x', 'x'],
  'audit': '1',
  'friends': 'x',
  'asked': [1, 'x'],
  'blocks': [1, 'x'],
  'notifications': [1, 'x'],
}

for (const kind of ['postgres', 'embedded'] satisfies Kind[]) {
  await t.test(kind, async t => {
    const database = await testDatabase(t, kind)
    await makeAdmin(database.db, 'root', async () => PASSWORD)
    // A folder is one process's alone; the node has it from here on.
    await database.close()
    const node = await startNode(t, { ...productEnv, ...database.env })
    const signIn = { name: 'root', password: PASSWORD, keep: 'body' }
    const token = String((await call(node, 'POST', '/api/session', { body: signIn })).body['accessToken'])
    const { paths } = (await call(node, 'GET', '/docs/json')).body as {
      paths: Record<string, Record<string, Operation>>
    }
    const routes: Route[] = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
    )
    const ask = ({ method, path }: Route, { path: names, query, body }: Asked): Promise<Answer> => {
      const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(names[name]!))
      const options = { token, ...(body !== undefined && { body: body as object }) }
      return call(node, method, `${url}?${String(new URLSearchParams(query))}`, options)
    }

    await t.test('what no database keeps is refused, wherever it is written', async t => {
      let tried = 0
      for (const route of routes) {
        const good = exampleOf(route.operation)
        const all = ['path', 'query', 'body'].flatMap(place =>
          // In an address there is no half a character.
          (place === 'body' ? [NUL, HALF] : [NUL]).flatMap(text =>
            Array.from(spoiled(good[place as keyof Asked], text), bad => ({ ...good, [place]: bad })),
          ),
        )
        for (const asked of all) {
          const { status, body } = await ask(route, asked)
          const said = `${route.method} ${route.path} ${JSON.stringify(asked)}`
          t.match({ status, body }, { status: 400, body: { code: 'BAD_REQUEST', detail: /NUL/ } }, said)
          tried++
        }
      }
      t.ok(tried > 80, `${tried} texts`)
    })

    await t.test('so is a place that no list can have', async t => {
      const cursor = (list: string, place: unknown): string =>
        Buffer.from(JSON.stringify([list, place])).toString('base64url')
      const found = new Set<string>()
      for (const route of routes) {
        const good = exampleOf(route.operation)
        if (!('cursor' in good.query)) continue
        const at = async (list: string, place: unknown): Promise<string> => {
          const { status, body } = await ask(route, { ...good, query: { ...good.query, cursor: cursor(list, place) } })
          return `${status} ${String(body['code'])}`
        }
        const taken: string[] = []
        for (const [list, place] of Object.entries(places)) {
          if ((await at(list, place)) !== '400 BAD_REQUEST') taken.push(list)
        }
        t.equal(taken.length, 1, `${route.path}: ${taken.join()}`)
        const [list = ''] = taken
        found.add(list)
        const place = places[list]
        const timed = Array.isArray(place) && place[0] === 1 ? times.map(time => [time, 'x']) : []
        for (const bad of [...spoiled(place, NUL), ...spoiled(place, HALF), ...timed]) {
          t.equal(await at(list, bad), '400 BAD_REQUEST', `${route.path} ${JSON.stringify(bad)}`)
        }
      }
      t.same([...found].toSorted(), Object.keys(places).toSorted())
    })

    await t.test('what is read of a body may be however deep', async t => {
      const body = `{"more":${'['.repeat(30_000)}${']'.repeat(30_000)},${JSON.stringify(signIn).slice(1)}`
      const headers = { 'content-type': 'application/json' }
      t.equal((await fetch(`${node.url}api/session`, { method: 'POST', headers, body })).status, 200)
    })

    t.notMatch(node.lines.join(''), /"level":50/, 'nothing went wrong')
  })
}
