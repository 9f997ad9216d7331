import t from 'tap'
import { violations } from './imports.ts'

/** What is wrong with a file at `path` that holds `code`, without the place. */
const found = (path: string, code: string): readonly string[] =>
  violations(path, code).map(line => line.replace(/^\S+ /, ''))

t.test('what the table allows is no violation', async t => {
  t.same(found('server/frames/send.ts', `import { roomOf } from '../fanout/destination.ts'`), [])
  t.same(found('server/frames/send.ts', `import { fail } from '../errors.ts'; import { own } from './headers.ts'`), [])
  t.same(found('server/frames/send.ts', `import type { Config } from '../config.ts'`), [])
  t.same(found('server/tls.ts', `import { ConfigError, type Config } from './config.ts'`), [])
  t.same(
    found('server/main.ts', `import { openLevel } from './drivers/level.ts'; import { keys } from './config.ts'`),
    [],
  )
  t.same(
    found('server/rooms/routes.ts', `import { names } from '../people/index.ts'; import fastify from 'fastify'`),
    [],
  )
  t.same(found('server/transport/tcp.ts', `import { bare } from '../stomp/framing.ts'`), [])
  t.same(found('server/rooms/lists.ts', `import { Paging } from '../http/api.ts'`), [], 'their one door to HTTP')
  t.same(found('server/product.ts', `import { openRooms } from './rooms/index.ts'`), [])
})

t.test('a layer that reaches up or across is caught, however it is written', async t => {
  const reaching = [
    `import { x } from '../connection/outbox.ts'`,
    `import type { X } from '../connection/outbox.ts'`,
    `import '../connection/outbox.ts'`,
    `export * from '../connection/outbox.ts'`,
    `export { x } from '../connection/outbox.ts'`,
    `const x = await import('../connection/outbox.ts')`,
    `type X = import('../connection/outbox.ts').X`,
    `import { x } from '../../server/connection/outbox.ts'`,
  ]
  for (const code of reaching) {
    const [line] = found('server/stomp/parser.ts', code)
    t.match(line, 'server/stomp may import no other layer', code)
  }
  t.match(found('server/stomp/parser.ts', 'await import(name)'), [/must be a plain string/])
  t.match(found('server/fanout/hub.ts', `import { x } from '../frames/send.ts'`), [/server\/fanout may import/])
  t.match(found('client/src/main.tsx', `import { fail } from '../../server/errors.ts'`), [/client may import/])
  t.match(found('client/src/chat/room.ts', `import { x } from '../hooks/room.ts'`), [/stands alone/])
})

t.test('drivers know the ports alone, and nobody but main.ts knows a driver', async t => {
  t.match(found('server/drivers/level/store.ts', `import { x } from '../token.ts'`), [
    /server\/drivers\/level may import/,
  ])
  t.match(found('kafka/room-log.ts', `import { x } from '../server/drivers/level.ts'`), [
    /kafka may import server\/ports/,
  ])
  t.match(found('server/connection/node.ts', `import { x } from '../drivers/level.ts'`), [
    /server\/connection may import/,
  ])
  t.match(found('server/http/health.ts', `import { x } from '../../kafka/room-log.ts'`), [/server\/http may import/])
  t.same(found('server/drivers/level.ts', `import { x } from './level/store.ts'`), [])
})

t.test('the configuration is read by main.ts alone, and of a capability only its index is seen', async t => {
  t.match(found('server/fanout/hub.ts', `import { keys } from '../config.ts'`), [/only main.ts reads/])
  t.match(found('server/fanout/hub.ts', `import { ConfigError, keys } from '../config.ts'`), [/only main.ts reads/])
  t.match(found('server/rooms/routes.ts', `import { x } from '../people/names.ts'`), [/only index.ts/])
  t.match(found('server/rooms/routes.ts', `import { x } from '../http/paging.ts'`), [/server\/rooms may import/])
  t.match(found('server/product.ts', `import { x } from './people/names.ts'`), [/only index.ts/])
})

t.test('npm packages have their places', async t => {
  t.match(found('server/connection/node.ts', `import fastify from 'fastify'`), [/fastify may only be imported in/])
  t.match(found('server/main.ts', `import { Producer } from '@platformatic/kafka'`), [
    /may only be imported in kafka\//,
    /name/,
  ])
  t.match(found('server/http/page.ts', `import x from 'left-pad'`), [/no place yet/])
  t.match(found('server/queue/list.ts', `import { x } from '../stomp/frame.ts'`), [/no rule yet/])
})

t.test('what is for tests stays with the tests', async t => {
  t.match(found('server/ports/access.ts', `import { x } from './access.contract.ts'`), [/only tests/])
  t.match(found('server/main.ts', `import { probe } from './testkit/probe.ts'`), [/only tests/])
})

t.test('the pure layers do no I/O', async t => {
  t.match(found('server/stomp/parser.ts', `import { readFile } from 'node:fs/promises'`), [/does no I\/O/])
  t.same(found('server/stomp/parser.ts', `import { isUtf8 } from 'node:buffer'`), [])
})

t.test("Kafka's words are names in kafka/ only; in strings and comments they are free", async t => {
  t.match(found('server/fanout/hub.ts', 'const topicOf = 1'), [/the name topicOf/])
  t.match(found('server/fanout/hub.ts', 'x.PARTITION_COUNT = 1'), [/the name PARTITION_COUNT/])
  t.match(found('server/fanout/hub.ts', 'class A { #producer = 1 }'), [/the name producer/])
  t.same(found('server/fanout/hub.ts', `// the topic\nconst prefix = '/topic/'; const isotopic = 1`), [])
  t.same(found('kafka/topics.ts', 'const topic = 1'), [])
})
