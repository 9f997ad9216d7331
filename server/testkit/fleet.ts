import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Test } from 'tap'
import { listening } from '../../scripts/listening.ts'

const MAIN = join(import.meta.dirname, '../main.ts')
/** The bridge alone, where a test says nothing else. */
const defaults = { ACCESS: 'open', LOG_TIMEOUT: '10000' }

/** One node of a fleet: a process of its own. */
export class FleetNode {
  port = 0
  /** 0: it has none. */
  stompPort = 0
  /** Its log lines so far. */
  readonly lines: string[] = []
  readonly process: ChildProcess
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>
  #asked = false

  private constructor(env: Readonly<Record<string, string>>) {
    this.process = spawn(process.execPath, [MAIN], {
      env: { ...process.env, ...defaults, ...env, PORT: '0', STOMP_PORT: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.ended = once(this.process, 'exit').then(([code, signal]) => (code ?? signal) as number | string)
  }

  /** Starts a node and resolves when it listens. It is killed after the test. */
  static async start(t: Test, env: Readonly<Record<string, string>>): Promise<FleetNode> {
    const node = new FleetNode(env)
    void node.ended.then(code => {
      if (!node.#asked) t.fail(`a node ended by itself (${code}):\n${node.lines.slice(-20).join('\n')}`)
    })
    t.teardown(() => node.kill())
    const { port, stompPort = 0 } = await listening(node.process, line => node.lines.push(line))
    return Object.assign(node, { port, stompPort })
  }

  get url(): string {
    return `http://localhost:${this.port}`
  }

  /** kill -9 */
  async kill(): Promise<void> {
    this.#asked = true
    this.process.kill('SIGKILL')
    await this.ended
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | string> {
    this.#asked = true
    this.process.kill('SIGTERM')
    return this.ended
  }

  /** What /health/ready says: its status code. */
  async ready(): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${this.port}/health/ready`)
    await response.arrayBuffer()
    return response.status
  }
}

/** Nodes on one Kafka. */
export const startFleet = (
  t: Test,
  nodes: number,
  brokers: string,
  env: Readonly<Record<string, string>> = {},
): Promise<FleetNode[]> =>
  Promise.all(
    Array.from({ length: nodes }, () =>
      FleetNode.start(t, { KAFKA_BROKERS: brokers, KAFKA_REPLICATION: '1', LOG_LEVEL: 'info', ...env }),
    ),
  )
