import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import type { AddressInfo, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { SignJWT, type JWTPayload } from 'jose'
import { pino, type Logger } from 'pino'
import type { Test } from 'tap'
import { readConfig } from '../config.ts'
import { Node, type NodeOptions } from '../connection/node.ts'
import { openLevelLog } from '../drivers/level/room-log.ts'
import { memorySignals } from '../drivers/memory/signals.ts'
import { openAccess } from '../drivers/open.ts'
import { buildHttp } from '../http/server.ts'
import { createMetrics } from '../http/metrics.ts'
import { start, type Running } from '../main.ts'
import type { Driver } from '../ports/driver.ts'
import type { RoomLog } from '../ports/room-log.ts'
import { tcpServer } from '../transport/tcp.ts'
import { webSocketRoutes } from '../transport/websocket.ts'

/** A folder that is gone after the test. */
export const scratch = async (t: Test): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-'))
  // Many times as fast as the asynchronous one.
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port

export interface TestNode extends Running {
  /** What it logged, a line each. */
  readonly lines: string[]
}

/**
 * A node in this process, as `make start` runs it, on free ports and (unless `env` says otherwise) the bridge alone, on a log in
 * a scratch folder.
 */
export const startNode = async (t: Test, env: Readonly<Record<string, string>> = {}): Promise<TestNode> => {
  const config = readConfig({
    DATA_DIR: join(await scratch(t), 'data'),
    PORT: '0',
    STOMP_PORT: '0',
    ACCESS: 'open',
    ROOMS_PER_MINUTE: '100000',
    ...env,
  })
  const { lines, logger } = recorder()
  const running = await start(config, logger)
  let stopped: Promise<void> | undefined
  const stop = (): Promise<void> => (stopped ??= running.stop())
  t.teardown(stop)
  return { ...running, stop, lines }
}

const recorder = (): { lines: string[]; logger: Logger } => {
  const lines: string[] = []
  const sink = new Writable({
    write: (line: Buffer, _encoding, done) => {
      lines.push(line.toString())
      done()
    },
  })
  return { lines, logger: pino({ level: 'debug' }, sink) }
}

export interface TestBridge {
  readonly node: Node
  readonly log: Driver<RoomLog>
  readonly port: number
  readonly stompPort: number
  readonly url: string
  readonly lines: string[]
}

/** The bridge alone, for what a test has to do to its parts: faults of a driver, another clock. */
export const startBridge = async (
  t: Test,
  env: Readonly<Record<string, string>> = {},
  parts: Partial<Pick<NodeOptions, 'access' | 'attendance' | 'events' | 'log' | 'ratePatience' | 'signals'>> = {},
): Promise<TestBridge> => {
  const config = readConfig({ ROOMS_PER_MINUTE: '100000', ...env })
  const { lines, logger } = recorder()
  const log = await openLevelLog({
    folder: join(await scratch(t), 'data'),
    roomsMax: config.ROOMS_MAX,
    idempotencyWindow: config.IDEMPOTENCY_WINDOW,
    logger,
  })
  const metrics = createMetrics(() => ({ ...node.gauges(), keysReachable: 1 }))
  const { meter } = metrics
  const given = { config, log: log.port, access: openAccess().port, signals: memorySignals().port, ...parts }
  const node = new Node({ ...given, meter, logger, version: '0.0.0' })
  const app = buildHttp({ config, logger })
  await app.register(webSocketRoutes, { node, meter, maxPayload: 2 ** 21, mayConnect: () => true })
  metrics.routes(app)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const stomp = tcpServer(node)
  await new Promise<void>(resolve => stomp.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    stomp.close()
    app.server.close()
    await node.drain()
    await app.close()
    await log.close()
  })
  const port = portOf(app.server)
  return { node, log, port, stompPort: portOf(stomp), url: `http://localhost:${port}/`, lines }
}

/** Resolves when `condition` holds, looked at in every turn of the event loop. */
export const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  const patience = Date.now() + 20_000
  while (!(await condition())) {
    if (Date.now() > patience) throw new Error('what was waited for did not come')
    await new Promise(setImmediate)
  }
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
  for (const patience = Date.now() + 20_000; Date.now() < patience;) {
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
