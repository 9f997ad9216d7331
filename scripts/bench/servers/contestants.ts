import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeArgs } from '../../launch.ts'
import type { Endpoint } from '../load/client.ts'
import { startServer } from './process.ts'

export const contestants = ['embedded', 'kafka', 'one-send', 'gathered'] as const
export type ContestantName = (typeof contestants)[number]

/** A server to measure. */
export interface Contestant {
  readonly endpoint: Endpoint
  /** Where it runs on this machine. */
  readonly pid?: number
  /** What destinations begin with. */
  readonly prefix: string
  /** Whether it answers SUBSCRIBE with a RECEIPT. */
  readonly receipts: boolean
  /** Not one of ours: its frames may look otherwise for each subscriber. */
  readonly foreign: boolean
  readonly stop: () => Promise<void>
}

/** One that runs on this machine. */
export type Local = Contestant & { readonly pid: number }

/** The bridge alone, all of whose clients are one user at one address; nothing else of a node differs from its defaults. */
const LIMITS = {
  ACCESS: 'open',
  SENDS_PER_SECOND: '10000000',
  CONNECTIONS_PER_USER: '100000',
  CONNECTIONS_PER_ADDRESS: '100000',
  CONNECTIONS_WAITING: '100000',
  ROOMS_PER_MINUTE: '1000000',
  ROOMS_MAX: '100000',
  // No pings in the middle: most of the connections do not look at what comes.
  HEART_BEAT: '600000',
  DRAIN_SECONDS: '1',
}

const ours = { prefix: '/topic/', receipts: true, foreign: false }

export interface NodeOptions {
  /** Node on this Kafka; otherwise on the embedded log. */
  readonly brokers?: string | undefined
  /** More of its configuration. */
  readonly env?: Readonly<Record<string, string>>
  /** More arguments for Node.js. */
  readonly flags?: readonly string[]
  /** It is to be killed. */
  readonly dies?: boolean
}

/** A Hoofbeat node. */
export const startNode = async ({ brokers, env = {}, flags = [], dies }: NodeOptions): Promise<Local> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-bench-'))
  const log = brokers ? { KAFKA_BROKERS: brokers, KAFKA_REPLICATION: '1' } : { DATA_DIR: folder }
  const all = { ...LIMITS, ...log, PORT: '0', STOMP_PORT: 'off', ...env }
  const { pid, port, stop } = await startServer([...flags, ...nodeArgs], all, dies)
  return {
    ...ours,
    pid,
    endpoint: { url: `ws://127.0.0.1:${port}/ws` },
    stop: async () => {
      await stop()
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

export type PeerName = 'one-send' | 'gathered' | 'echo' | 'durable'

const scripts: Readonly<Record<PeerName, string>> = {
  'one-send': 'ws-peer.ts',
  'gathered': 'ws-peer.ts',
  'echo': 'fastify-echo.ts',
  'durable': 'ws-level.ts',
}

/** What a bare limit is measured with: see the scripts. */
export const startPeer = async (peer: PeerName, flags: readonly string[] = []): Promise<Local> => {
  const script = join(import.meta.dirname, scripts[peer])
  const { pid, port, stop } = await startServer([...flags, script, peer])
  return { ...ours, pid, endpoint: { url: `ws://127.0.0.1:${port}/ws` }, stop }
}

/** Flags for Node.js: the process collects its garbage when it gets SIGUSR2. */
export const collecting = ['--expose-gc', '--import', join(import.meta.dirname, 'collect.ts')]
