import { createServer } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { byToken, counting, joined, online, open, startNode, tokenFor, when } from '../testkit/chat.ts'
import type { Chat } from './chat.ts'

t.setTimeout(60_000)

t.test('a token is asked for before each connection; one that is refused is not offered again', async t => {
  const node = await startNode(t, byToken)
  const asked: (string | undefined)[] = []
  const tokens = [await tokenFor(-60_000), await tokenFor(600_000)]
  const given = [...tokens]
  let away = true
  const chat = open(t, node, 'ann', {
    credentials: { token: '' },
    freshen: async refused => {
      if (away) {
        away = false
        throw new Error('nobody answers')
      }
      asked.push(refused)
      return given.shift() ?? ''
    },
  })
  const seen: string[] = []
  chat.onEvent(({ is }) => seen.push(is))
  await online(chat)
  t.same(asked, [undefined, tokens[0]], 'also where nobody answered at first')
  t.same(seen, ['online'])
})

t.test('a token that ends is renewed on the same connection, or where that fails on a new one', async t => {
  const node = await startNode(t, byToken)
  const brief = await tokenFor(2_000)
  const long = await tokenFor(600_000)
  const renewed: Chat = open(t, node, 'ann', { credentials: { token: brief }, renew: async () => long })
  const ended = open(t, node, 'ann', {
    credentials: { token: '' },
    freshen: async refused => (refused === undefined ? brief : long),
    renew: () => Promise.reject(new Error('not now')),
  })
  const again = new Promise<void>(resolve => {
    let times = 0
    ended.onEvent(({ is }) => is === 'online' && ++times === 2 && resolve())
  })
  await online(renewed)
  let breaks = 0
  renewed.onEvent(({ is }) => is === 'online' && breaks++)
  await again
  renewed.join('r')
  await joined(renewed, 'r')
  t.equal(breaks, 0)
  t.equal(renewed.state.is, 'online')
})

t.test('credentials that are refused end all trying, until there are others', async t => {
  const node = await startNode(t, byToken)
  const chat = open(t, node, 'ann', { credentials: { token: 'none at all' } })
  await when(chat, () => chat.state.is === 'refused')
  t.match(chat.state, { problem: { code: 'BAD_CREDENTIALS' } })
  chat.retryNow()
  t.equal(chat.state.is, 'refused')
  chat.signIn({ token: await tokenFor(600_000) })
  await online(chat)
  t.match(chat.state, { user: 'ann' })
  t.equal(chat.withToken, true)
})

t.test('where nobody answers it is tried again, each time after longer, or at once when asked to', async t => {
  const server = createServer(socket => socket.destroy())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const chat = open(t, `ws://127.0.0.1:${port}/ws`, 'ann')
  const times = counting(chat)
  for (const attempt of [0, 1, 2, 3]) {
    await when(chat, () => chat.state.is === 'waiting' && chat.state.attempt === attempt)
    chat.retryNow()
    t.same(chat.state, { is: 'connecting', attempt: attempt + 1 })
  }
  chat.stop()
  t.same(chat.state, { is: 'idle' })
  t.equal(times(), 0)
})
