/**
 * A long fuzz of whole connections: `FRAMES=1000000 SEED=1 node scripts/fuzz.ts`.
 *
 * Clients of every version send what is right, wrong and malicious, over TCP and WebSocket, several at once in the same
 * rooms, to a node of its own on the embedded log. What comes back is held against a model of PROTOCOL.md that shares no
 * code with the server. It ends at the first thing that should not be, with the smallest case that shows it.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { cases } from './fuzz/acts.ts'
import { fuzzEnvironment, play, type Tally } from './fuzz/play.ts'
import { end, launch, runScript, ScriptError } from './launch.ts'
import { listening } from './listening.ts'

/** Cases at a time: while one waits for the disk others go on. */
const LANES = 6
const ROUNDS = 6
const ACTS = 120
/** Cases between two looks at the memory. */
const STRETCH = 60

const number = (name: string, fallback: number): number => {
  const text = process.env[name] || String(fallback)
  if (!/^\d{1,9}$/.test(text)) throw new ScriptError(`${name}=${text}: a whole number`)
  return Number(text)
}

/** A node of its own. What it logs as a warning or worse is shown. */
const startNode = async (folder: string) => {
  const env = { ...fuzzEnvironment, DATA_DIR: folder, PORT: '0', STOMP_PORT: '0', LOG_LEVEL: 'info' }
  const node = launch('node', ['server/main.ts'], { env, output: 'kept' })
  const { port, stompPort } = await listening(node, line => {
    if (!line.startsWith('{"level":30,')) process.stdout.write(`${line}\n`)
  })
  /** Its resident memory, bytes. */
  const memory = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1])
  }
  return { port, stompPort, memory, stop: () => end(node) }
}

await runScript(async () => {
  const frames = number('FRAMES', 1_000_000)
  const seed = number('SEED', Math.trunc(Math.random() * 1e9))
  process.stdout.write(`SEED=${seed}\n`)
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-fuzz-'))
  const tally: Tally = { sent: 0, received: 0, connections: 0 }
  const started = performance.now()
  let stretch = 0
  let failed: string | undefined
  const node = await startNode(join(folder, 'log'))
  const lane = async (): Promise<void> => {
    while (tally.sent < frames && failed === undefined) {
      const at = seed + stretch++
      const property = fc.asyncProperty(cases(ROUNDS, ACTS), each => play(node, each, tally))
      const result = await fc.check(property, { seed: at, numRuns: STRETCH / LANES, interruptAfterTimeLimit: 240_000 })
      if (result.failed) failed ??= `${fc.defaultReportMessage(result)}\n${String(result.errorInstance)}`
      if (stretch % LANES === 0) await report()
    }
  }
  const report = async (): Promise<void> => {
    const seconds = (performance.now() - started) / 1000
    const [own, its] = [process.memoryUsage.rss(), await node.memory()].map(bytes => Math.round(bytes / 2 ** 20))
    process.stdout.write(
      `${tally.sent} frames sent, ${tally.received} received, ${tally.connections} connections, ${seconds.toFixed(0)} s, ` +
        `${own} MiB here, ${its} MiB in the node\n`,
    )
  }
  try {
    await Promise.all(Array.from({ length: LANES }, lane))
    await report()
    if (failed === undefined) return 0
    process.stdout.write(`${failed}\n`)
    return 1
  } finally {
    await node.stop()
    await rm(folder, { recursive: true, force: true })
  }
})
