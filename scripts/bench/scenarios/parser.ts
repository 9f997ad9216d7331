import { Parser as StompJsParser } from '@stomp/stompjs'
import { Parser } from '../../../server/stomp/parser.ts'
import type { Bench } from '../bench.ts'
import { noFaults } from '../load/checker.ts'
import { atLeast, shown, type Findings, type Row } from '../report/report.ts'
import { ratioOf, spreadOf } from '../report/statistics.ts'

const LIMITS = { bodyBytes: 1 << 20, headers: 64, headerBytes: 8192 }
const WARM_UP = 2
const RUN_MS = 100
const BYTES = 1 << 18
const SIZES = [174, 1024, 16_384, 262_144]
const chunksOf = (size: number): readonly (readonly [string, number])[] => [
  ['one chunk a frame', size],
  ['64 KiB chunks', 65_536],
  ['1460-byte chunks', 1460],
  ['7-byte chunks', 7],
]

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

/** Pieces of `bytes`, each in memory of its own, as a socket hands them over. */
const cut = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => {
    const part = bytes.subarray(i * size, (i + 1) * size)
    const chunk = Buffer.allocUnsafeSlow(part.length)
    part.copy(chunk)
    return chunk
  })

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

interface Speeds {
  readonly ours: number[]
  readonly stompjs: number[]
}

const compare = (size: number, chunkSize: number, rounds: number): Speeds => {
  const frame = frameOf(size)
  const count = Math.ceil(BYTES / size)
  const chunks = cut(Buffer.concat(Array.from({ length: count }, () => frame)), chunkSize)
  const copies = chunks.map(chunk => Uint8Array.from(chunk).buffer)
  const speeds: Speeds = { ours: [], stompjs: [] }
  for (let round = -WARM_UP; round < rounds; round++) {
    const [one, other] = [speed(ours, chunks, count), speed(stompjs, copies, count)]
    if (round < 0) continue
    speeds.ours.push(one)
    speeds.stompjs.push(other)
  }
  return speeds
}

/**
 * Our parser beside the Parser of @stomp/stompjs: frames a second of CPU, on the same bytes, in turn. Ours also resolves
 * escapes, checks UTF-8 and limits, and makes the header map.
 */
export const parser = async (bench: Bench): Promise<Findings> => {
  const rounds = bench.options.quick ? 3 : 7
  const rows: Row[] = []
  const measured: Record<string, Speeds> = {}
  for (const size of SIZES) {
    for (const [name, chunkSize] of chunksOf(size)) {
      const what = `SEND of ${size} bytes, ${name}`
      const speeds = compare(size, chunkSize, rounds)
      measured[what] = speeds
      const ratio = ratioOf(speeds.ours, speeds.stompjs)
      const row = { 'ratio': shown(ratio), 'ours': thousands(speeds.ours), '@stomp/stompjs': thousands(speeds.stompjs) }
      rows.push({ 'what': what, ...row })
    }
  }
  const usual = Object.keys(measured).filter(what => what.includes(` ${SIZES[0]} `) && !what.includes('7-byte'))
  const targets = usual.map(what => {
    const { ours, stompjs } = measured[what]!
    return atLeast(`${what} : Parser of @stomp/stompjs`, ratioOf(ours, stompjs), 2)
  })
  const tables = [{ title: 'Thousand frames a second of CPU, in one process', rows }]
  return { title: 'Parser', targets, tables, notes: [], faults: noFaults(), measured }
}

const thousands = (speeds: readonly number[]): string => shown(spreadOf(speeds), 1000)
