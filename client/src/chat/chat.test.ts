import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type JWTPayload, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { Chat, type ChatOptions } from './chat.ts'

t.setTimeout(60_000)

const JWT_SECRET = 'thirty-two bytes that nobody knows of'
/** A token of ann's that ends in so many ms. */
const tokenFor = (ms: number, claims: JWTPayload = {}): Promise<string> =>
  new SignJWT({ sub: 'ann', exp: (Date.now() + ms) / 1000, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(Buffer.from(JWT_SECRET))

/** A node in a process of its own; resolves with where its WebSocket is. */
const startNode = async (t: Test, env: Readonly<Record<string, string>> = {}): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-'))
  const main = join(import.meta.dirname, '../../../server/main.ts')
  const node = spawn(process.execPath, [main], {
    env: { ...process.env, PORT: '0', STOMP_PORT: 'off', HOST: '127.0.0.1', ACCESS: 'open', DATA_DIR: folder, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(async () => {
    node.kill('SIGKILL')
    if (node.exitCode === null && node.signalCode === null) await once(node, 'exit')
    await rm(folder, { recursive: true, force: true })
  })
  for await (const line of createInterface(node.stdout)) {
    const { msg, port } = JSON.parse(line) as { msg: string; port: number }
    if (msg === 'listening') return `ws://localhost:${port}/ws`
  }
  throw new Error('the node has ended')
}

const open = (t: Test, url: string, user: string, options: Partial<ChatOptions> = {}): Chat => {
  const chat = new Chat({ url, user, credentials: { login: user }, ...options })
  t.teardown(() => chat.stop())
  chat.start()
  return chat
}

/** Resolves when `condition` holds, looked at whenever the chat says that something has changed. */
const when = (chat: Chat, condition: () => boolean): Promise<void> =>
  new Promise(resolve => {
    const look = (): void => {
      if (!condition()) return
      end()
      resolve()
    }
    const end = chat.subscribe(look)
    look()
  })
const online = (chat: Chat): Promise<void> => when(chat, () => chat.state.is === 'online')
const joined = (chat: Chat, room: string): Promise<void> => when(chat, () => chat.room(room)?.is === 'joined')
const bodies = (chat: Chat, room: string): string[] => (chat.room(room)?.messages ?? []).map(({ body }) => body)

t.test('two chats see each other write, read and send; one that leaves hears nothing more', async t => {
  const node = await startNode(t)
  const [ann, bob] = [open(t, node, 'ann'), open(t, node, 'bob')]
  for (const chat of [ann, bob]) {
    chat.join('r')
    await joined(chat, 'r')
  }
  const end = ann.listen('r')
  const leave = bob.listen('r')
  // What is sent after a room's own RECEIPT finds the subscription before it there.
  ann.send('r', 'are you there?')
  await when(bob, () => bodies(bob, 'r').includes('are you there?'))
  bob.sayTyping('r')
  bob.sayTyping('r')
  await when(ann, () => ann.company('r').typing.includes('bob'))
  t.same(bob.company('r').typing, [], 'not to oneself')
  bob.sayRead('r', bob.room('r')!.messages.at(-1)!.id)
  await when(ann, () => ann.company('r').reads.get('bob') === ann.room('r')?.messages.at(-1)?.id)
  bob.send('r', 'I am')
  await when(ann, () => bodies(ann, 'r').includes('I am'))
  t.same(ann.company('r').typing, [], 'it has been sent')
  end()
  t.same([...ann.company('r').reads], [])
  bob.sayRead('r', 'e-1')
  bob.send('r', 'barrier')
  await when(ann, () => bodies(ann, 'r').includes('barrier'))
  t.same([...ann.company('r').reads], [])
  leave()
})

t.test('a token is asked for before each connection; one that is refused is not offered again', async t => {
  const node = await startNode(t, { ACCESS: 'token', JWT_SECRET })
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
  const node = await startNode(t, { ACCESS: 'token', JWT_SECRET })
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

t.test('rooms and what is heard in them come back with a new connection', async t => {
  const node = await startNode(t)
  const [ann, bob] = [open(t, node, 'ann'), open(t, node, 'bob')]
  for (const chat of [ann, bob]) {
    chat.join('r')
    await joined(chat, 'r')
    chat.listen('r')
  }
  ann.stop()
  bob.send('r', 'while you were away')
  await when(bob, () => bodies(bob, 'r').length === 1)
  ann.start()
  await when(ann, () => bodies(ann, 'r').includes('while you were away'))
  ann.send('r', 'back')
  await when(bob, () => bodies(bob, 'r').includes('back'))
  bob.sayTyping('r')
  await when(ann, () => ann.company('r').typing.includes('bob'))
})

/** How often it has come online. */
const counting = (chat: Chat): (() => number) => {
  let times = 0
  chat.onEvent(({ is }) => is === 'online' && times++)
  return () => times
}

t.test('who may not say something fleeting in a room is told once, and says no more of it there', async t => {
  const node = await startNode(t, { ACCESS: 'token', JWT_SECRET })
  const rooms = { read: ['r', 'other'], send: ['other'] }
  const ann = open(t, node, 'ann', { credentials: { token: await tokenFor(600_000, { rooms }) } })
  const bob = open(t, node, 'bob', { credentials: { token: await tokenFor(600_000, { sub: 'bob' }) } })
  const times = counting(ann)
  for (const room of ['r', 'other']) {
    for (const chat of [ann, bob]) {
      chat.join(room)
      await joined(chat, room)
    }
    ann.listen(room)
  }
  bob.send('r', 'hello')
  await when(ann, () => bodies(ann, 'r').length === 1)
  ann.sayTyping('r')
  await when(ann, () => times() === 2)
  ann.listen('r')
  ann.sayTyping('r')
  ann.sayRead('r', ann.room('r')!.messages[0]!.id)
  ann.send('other', 'barrier')
  await when(ann, () => ann.room('other')?.outgoing.length === 0)
  t.equal(times(), 2, 'once online again, it stays so')
  t.equal(ann.room('r')?.is, 'joined', 'it can be read as before')

  const listening = bob.listen('other')
  ann.sayTyping('other')
  await when(bob, () => bob.company('other').typing.includes('ann'))
  listening()
})

t.test('in a room that refuses us nothing is said, and when it takes us again all is heard', async t => {
  const node = await startNode(t, { ACCESS: 'token', JWT_SECRET })
  const rooms = { read: ['other'], send: ['other'] }
  const ann = open(t, node, 'ann', { credentials: { token: await tokenFor(600_000, { rooms }) } })
  const bob = open(t, node, 'bob', { credentials: { token: await tokenFor(600_000, { sub: 'bob' }) } })
  const times = counting(ann)
  ann.join('other')
  await joined(ann, 'other')
  ann.join('r')
  ann.listen('r')
  await when(ann, () => ann.room('r')?.is === 'refused')
  await online(ann)
  ann.sayTyping('r')
  ann.sayRead('r', 'e-1')
  ann.send('other', 'barrier')
  await when(ann, () => ann.room('other')?.outgoing.length === 0)
  t.equal(times(), 2)

  bob.join('r')
  await joined(bob, 'r')
  bob.listen('r')
  ann.signIn({ token: await tokenFor(600_000) })
  ann.join('r')
  await joined(ann, 'r')
  bob.send('r', 'welcome')
  await when(ann, () => bodies(ann, 'r').includes('welcome'))
  await when(bob, () => bob.company('r').reads.get('ann') === 'e-1')
  bob.sayTyping('r')
  await when(ann, () => ann.company('r').typing.includes('bob'))
})

t.test('what is fleeting is heard whenever the room was joined, whatever came first', async t => {
  const node = await startNode(t)
  const bob = open(t, node, 'bob')
  const ann = new Chat({ url: node, user: 'ann', credentials: { login: 'ann' } })
  t.teardown(() => ann.stop())
  // As on a page that begins in a room: what is to be heard is known before the connection and before the list of rooms.
  ann.listen('r')
  ann.start()
  await online(ann)
  for (const chat of [ann, bob]) {
    chat.join('r')
    await joined(chat, 'r')
  }
  bob.listen('r')
  const hears = async (text: string): Promise<void> => {
    // What is sent after a room's own RECEIPT finds the subscription before it there.
    ann.send('r', text)
    await when(bob, () => bodies(bob, 'r').includes(text))
    bob.sayTyping('r')
    await when(ann, () => ann.company('r').typing.includes('bob'))
    bob.send('r', `${text} yourself`)
    await when(ann, () => ann.company('r').typing.length === 0)
  }
  await hears('hello')
  ann.leave('r')
  ann.join('r')
  await joined(ann, 'r')
  await hears('back')
})
