import type { ChildProcess } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import type { WriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Target } from '../../server/testkit/probe.ts'
import { ended, isEnding, launch } from '../launch.ts'
import { listening } from '../listening.ts'
import { startWatch } from '../services/process.ts'
import { OneByOne } from './one-by-one.ts'

/** Node's clock ticks a second, as /proc counts CPU time. */
const TICKS = 100

export interface NodeProcessOptions {
  readonly name: string
  readonly port: number
  readonly stompPort: number
  readonly env: Readonly<Record<string, string | undefined>>
  /** All of its lives write into it. */
  readonly log: string
  /** Called where it ends unasked. */
  readonly onCrash: (code: number) => void
}

/** One node of the fleet: the place stays, the processes come and go. */
export class NodeProcess implements Target {
  readonly name: string
  readonly port: number
  readonly stompPort: number
  readonly log: string
  /** Whoever ends and starts it does so alone. */
  readonly turns = new OneByOne()
  /** How many lines its log has. */
  lines = 0
  readonly #options: NodeProcessOptions
  readonly #file: WriteStream
  /** However this process ends, the node ends with it. */
  readonly #watch = startWatch()
  #child: ChildProcess | undefined
  #ended: Promise<number> = Promise.resolve(0)
  #asked = false

  constructor(options: NodeProcessOptions) {
    this.#options = options
    this.name = options.name
    this.port = options.port
    this.stompPort = options.stompPort
    this.log = options.log
    this.#file = createWriteStream(options.log)
  }

  /** Starts a process and resolves when it listens. */
  async start(): Promise<void> {
    const { env } = this.#options
    const ports = { PORT: String(this.port), STOMP_PORT: String(this.stompPort) }
    const child = launch(process.execPath, ['server/main.ts'], { env: { ...env, ...ports }, output: 'kept' })
    this.#child = child
    this.#watch.tell(child.pid === undefined ? [] : [child.pid])
    this.#asked = false
    this.#ended = ended(child).then(code => {
      this.#child = undefined
      this.#watch.tell([])
      if (!this.#asked && !isEnding()) this.#options.onCrash(code)
      return code
    })
    await listening(child, line => {
      this.lines++
      this.#file.write(`${line}\n`)
    })
  }

  /** kill -9 */
  async kill(): Promise<void> {
    this.#asked = true
    this.#child?.kill('SIGKILL')
    await this.#ended
  }

  /** SIGTERM; resolves with the exit code. */
  async drain(): Promise<number> {
    this.#asked = true
    this.#child?.kill('SIGTERM')
    return this.#ended
  }

  /** Whether its log has had this. */
  async said(text: string): Promise<boolean> {
    return (await readFile(this.log, 'utf8')).includes(text)
  }

  /** Any other signal. */
  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  async close(): Promise<void> {
    await this.kill()
    await new Promise<void>(resolve => this.#file.end(resolve))
  }

  /** What the process uses: MiB of memory now, seconds of CPU since it was started. Undefined: there is none. */
  async usage(): Promise<{ memory: number; cpu: number } | undefined> {
    const pid = this.#child?.pid
    if (pid === undefined) return undefined
    const [status, stat] = await Promise.all(
      ['status', 'stat'].map(file => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    )
    const kib = Number(/^VmRSS:\s+(\d+)/m.exec(status ?? '')?.[1])
    const fields = (stat ?? '').slice((stat ?? '').lastIndexOf(')') + 2).split(' ')
    return { memory: kib / 1024, cpu: (Number(fields[11]) + Number(fields[12])) / TICKS }
  }
}
