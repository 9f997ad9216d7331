/**
 * Frames a second of CPU: our parser beside the Parser of @stomp/stompjs, on the same bytes, in turns, in one process.
 * Prints the medians and their ratio. Ours also resolves escapes, checks UTF-8 and limits, and makes the header map.
 */
import { Parser as StompJsParser } from '@stomp/stompjs'
import { Parser } from '../../server/stomp/parser.ts'

const LIMITS = { bodyBytes: 1 << 20, headers: 64, headerBytes: 8192 }
const ROUNDS = 7
const WARM_UP = 2
const RUN_MS = 100
const BYTES = 1 << 18

const ours = (chunks: readonly Buffer[]): number => {
  const parser = new Parser(LIMITS)
  parser.version = '1.2'
  let frames = 0
  for (const chunk of chunks) {
    parser.push(chunk)
    while (parser.read()) frames++
  }
  return frames
}

const stompjs = (chunks: readonly ArrayBuffer[]): number => {
  let frames = 0
  const parser = new StompJsParser(
    () => frames++,
    () => {},
  )
  for (const chunk of chunks) parser.parseChunk(chunk)
  return frames
}

/** A SEND frame of `size` bytes as a chat client would send it. */
const frameOf = (size: number): Buffer => {
  const make = (length: number): string =>
    `SEND\ndestination:/topic/general\ncontent-type:text/plain\ncontent-length:${length}\n\n${'x'.repeat(length)}\0`
  let body = size
  while (make(body).length > size) body--
  return Buffer.from(make(body))
}

const cut = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))

/** Frames a second of CPU that `run` gets out of `chunks`, over and over for `RUN_MS` or longer. */
const speed = <Chunk>(run: (chunks: readonly Chunk[]) => number, chunks: readonly Chunk[], frames: number): number => {
  const start = process.cpuUsage()
  for (let total = 0; ;) {
    const got = run(chunks)
    if (got !== frames) throw new Error(`${got} frames instead of ${frames}`)
    total += got
    const { user, system } = process.cpuUsage(start)
    if (user + system > RUN_MS * 1000) return (total * 1e6) / (user + system)
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN

const compare = (size: number, chunkSize: number): { ours: number; stompjs: number } => {
  const frame = frameOf(size)
  const count = Math.ceil(BYTES / size)
  const chunks = cut(Buffer.concat(Array.from({ length: count }, () => frame)), chunkSize)
  const copies = chunks.map(chunk => Uint8Array.from(chunk).buffer)
  const speeds = { ours: [] as number[], stompjs: [] as number[] }
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const [one, other] = [speed(ours, chunks, count), speed(stompjs, copies, count)]
    if (round < 0) continue
    speeds.ours.push(one)
    speeds.stompjs.push(other)
  }
  return { ours: median(speeds.ours), stompjs: median(speeds.stompjs) }
}

const thousands = (value: number): string => `${(value / 1000).toFixed(value < 10_000 ? 2 : 0)}k`

const table: Record<string, { ours: string; stompjs: string; ratio: string }> = {}
for (const size of [174, 1024, 16_384, 262_144]) {
  for (const [name, chunkSize] of [
    ['one chunk a frame', size],
    ['64 KiB chunks', 65_536],
    ['1460-byte chunks', 1460],
    ['7-byte chunks', 7],
  ] as const) {
    const speeds = compare(size, chunkSize)
    table[`${size} bytes, ${name}`] = {
      ratio: (speeds.ours / speeds.stompjs).toFixed(1),
      ours: thousands(speeds.ours),
      stompjs: thousands(speeds.stompjs),
    }
  }
}
console.log(`SEND frames a second of CPU, medians of ${ROUNDS} alternating runs (node ${process.version})`)
console.table(table)
