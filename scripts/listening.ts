import type { ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { ended, ScriptError } from './launch.ts'

const START_MS = 120_000
/** Lines that are shown where a server does not start. */
const LAST = 20

/** What a server says when it listens. */
export interface Listening {
  readonly url: string
  readonly port: number
  /** Of plain STOMP, where it serves that. */
  readonly stompPort?: number | undefined
}

/** As `readline` does, except that U+2028, which clients may have in what is logged, ends no line. */
const readLines = (input: Readable, onLine: (line: string) => void): void => {
  let rest = ''
  input.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) onLine(line)
  })
}

/**
 * Resolves when a server prints a line of JSON with `"msg":"listening"`, with what that says; rejects with ScriptError, and with its last
 * lines, where it ends before or takes too long. `onLine` is told every line, until the server ends. Needs output `kept`.
 */
export const listening = async (server: ChildProcess, onLine?: (line: string) => void): Promise<Listening> => {
  const { promise, resolve, reject } = Promise.withResolvers<Listening>()
  const last: string[] = []
  for (const input of [server.stdout!, server.stderr!]) {
    readLines(input, line => {
      if (last.push(line) > LAST) last.shift()
      onLine?.(line)
      if (line.includes('"msg":"listening"')) resolve(JSON.parse(line) as Listening)
    })
  }
  const fail = (why: string): void =>
    reject(new ScriptError(`${server.spawnargs.join(' ')} ${why}:\n${last.join('\n')}`))
  const late = setTimeout(fail, START_MS, 'does not listen')
  ended(server).then(code => fail(`has ended (exit code ${code})`), reject)
  return promise.finally(() => clearTimeout(late))
}
