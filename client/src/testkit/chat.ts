import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type JWTPayload, SignJWT } from 'jose'
import type { Test } from 'tap'
import { Chat, type ChatOptions } from '../chat/chat.ts'

const JWT_SECRET = 'thirty-two bytes that nobody knows of'
/** What a node is given that lets in whoever has a token of tokenFor. */
export const byToken = { ACCESS: 'token', JWT_SECRET }

/** A token of ann's that ends in so many ms. */
export const tokenFor = (ms: number, claims: JWTPayload = {}): Promise<string> =>
  new SignJWT({ sub: 'ann', exp: (Date.now() + ms) / 1000, ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(Buffer.from(JWT_SECRET))

/** A node in a process of its own; resolves with where its WebSocket is. */
export const startNode = async (t: Test, env: Readonly<Record<string, string>> = {}): Promise<string> => {
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

export const open = (t: Test, url: string, user: string, options: Partial<ChatOptions> = {}): Chat => {
  const chat = new Chat({ url, user, credentials: { login: user }, ...options })
  t.teardown(() => chat.stop())
  chat.start()
  return chat
}

/** Resolves when `condition` holds, looked at whenever the chat says that something has changed. */
export const when = (chat: Chat, condition: () => boolean): Promise<void> =>
  new Promise(resolve => {
    const look = (): void => {
      if (!condition()) return
      end()
      resolve()
    }
    const end = chat.subscribe(look)
    look()
  })
export const online = (chat: Chat): Promise<void> => when(chat, () => chat.state.is === 'online')
export const joined = (chat: Chat, room: string): Promise<void> => when(chat, () => chat.room(room)?.is === 'joined')
export const bodies = (chat: Chat, room: string): string[] => (chat.room(room)?.messages ?? []).map(({ body }) => body)

/** How often it has come online. */
export const counting = (chat: Chat): (() => number) => {
  let times = 0
  chat.onEvent(({ is }) => is === 'online' && times++)
  return () => times
}

interface Person {
  readonly id: string
  readonly token: string
  /** Does something below /api, which must succeed. */
  readonly does: (method: string, path: string, body?: object) => Promise<{ readonly id: string }>
}

/** Somebody who has signed up and in, on a node with accounts. */
export const person = async (node: string, name: string): Promise<Person> => {
  const base = new URL('/api', node.replace(/^ws/, 'http')).href
  const ask = async (method: string, path: string, body?: object, token?: string): Promise<unknown> => {
    const response = await fetch(base + path, {
      method,
      headers: {
        ...(body && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      },
      body: body ? JSON.stringify(body) : null,
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? {} : JSON.parse(text)
  }
  const account = { name, password: 'correct horse' }
  const { id } = (await ask('POST', '/users', account)) as { id: string }
  const { accessToken: token } = (await ask('POST', '/session', { ...account, keep: 'body' })) as {
    accessToken: string
  }
  return { id, token, does: (...asked) => ask(asked[0], asked[1], asked[2], token) as Promise<{ id: string }> }
}
