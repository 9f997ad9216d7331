import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../../launch.ts'
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

/** All clients of a benchmark are one user at one address; nothing else of a node differs from its defaults. */
const LIMITS = {
  SENDS_PER_SECOND: '10000000',
  CONNECTIONS_PER_USER: '100000',
  CONNECTIONS_PER_ADDRESS: '100000',
  CONNECTIONS_WAITING: '100000',
  ROOMS_PER_MINUTE: '1000000',
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
}

/** A Hoofbeat node. */
export const startNode = async ({
  brokers,
  env = {},
  flags = [],
}: NodeOptions): Promise<Contestant & { pid: number }> => {
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-bench-'))
  const log = brokers ? { KAFKA_BROKERS: brokers, KAFKA_REPLICATION: '1' } : { DATA_DIR: folder }
  const all = { ...LIMITS, ...log, PORT: '0', STOMP_PORT: '0', ...env }
  const { pid, port, stop } = await startServer([...flags, join(root, 'server/main.ts')], all)
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

/** A bare limit: see ws-peer.ts. */
export const startPeer = async (
  mode: 'one-send' | 'gathered',
  flags: readonly string[] = [],
): Promise<Contestant & { pid: number }> => {
  const { pid, port, stop } = await startServer([...flags, join(import.meta.dirname, 'ws-peer.ts'), mode])
  return { ...ours, pid, endpoint: { url: `ws://127.0.0.1:${port}/ws` }, stop }
}
