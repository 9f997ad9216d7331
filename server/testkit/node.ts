import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { SignJWT, type JWTPayload } from 'jose'
import { pino } from 'pino'
import type { Test } from 'tap'
import { readConfig } from '../config.ts'
import { start, type Running } from '../main.ts'

/** A folder that is gone after the test. */
export const scratch = async (t: Test): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A TCP port that nobody listens on. */
export const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

export interface TestNode extends Running {
  /** What it logged, a line each. */
  readonly lines: string[]
}

/** A node in this process, as `make start` runs it, on free ports and (unless `env` says otherwise) a log in a scratch folder. */
export const startNode = async (t: Test, env: Readonly<Record<string, string>> = {}): Promise<TestNode> => {
  const config = readConfig({
    DATA_DIR: join(await scratch(t), 'data'),
    PORT: '0',
    STOMP_PORT: String(await freePort()),
    ROOMS_PER_MINUTE: '100000',
    ...env,
  })
  const lines: string[] = []
  const sink = new Writable({
    write: (line: Buffer, _encoding, done) => {
      lines.push(line.toString())
      done()
    },
  })
  const running = await start(config, pino({ level: 'debug' }, sink))
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => (stopped ??= running.stop())
  t.teardown(stop)
  return { ...running, stop, lines }
}

/** Every figure of `/metrics`, by its name and labels. */
export const figures = async ({ url }: Pick<Running, 'url'>): Promise<Map<string, number>> => {
  const text = await (await fetch(`${url}metrics`)).text()
  return new Map(
    Array.from(text.matchAll(/^(\w+(?:\{[^}]*\})?) (\S+)$/gm), ([, name, value]) => [name!, Number(value)]),
  )
}

/** Resolves when a figure satisfies `condition`. */
export const figure = async (
  node: Pick<Running, 'url'>,
  name: string,
  condition: (value: number) => boolean,
): Promise<number> => {
  for (const until = Date.now() + 20_000; Date.now() < until;) {
    const value = (await figures(node)).get(name)
    if (value !== undefined && condition(value)) return value
  }
  throw new Error(`${name} did not come to what was waited for`)
}

const JWT_SECRET = 'thirty-two bytes that nobody knows of'
/** The environment of a node that takes tokens which `sign` makes. */
export const tokenAccess = { ACCESS: 'token', HOST: '127.0.0.1', JWT_SECRET }
export const sign = (claims: JWTPayload): Promise<string> =>
  new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(JWT_SECRET))
/** `ms` from now, as a token's `exp` says it. */
export const inMs = (ms: number): number => (Date.now() + ms) / 1000
