interface Open {
  readonly name: string
  readonly indent: number
  /** Whether tests lie inside; only tests without are counted. */
  parent: boolean
  /** Failures counted inside. */
  failed: number
  skipped: number
}

const HEADER = /^( *)# Subtest: (.*)$/
const POINT = /^( *)(not ok|ok) \d+(?: - (.*?))?( # (?:SKIP|TODO)\b.*)?(?: # time=([\d.]+)(ms|s))?$/i

/**
 * Reads what `tap --reporter=tap` prints, line by line: a line for every test file, and everything about what failed.
 *
 * A test is a `t.test` with none inside it, or a file that has none. What is skipped or still to be done has failed: a
 * run shows everything or nothing.
 */
export class TapReport {
  passed = 0
  failed = 0
  readonly #print: (line: string) => void
  readonly #open: Open[] = []
  #lines: string[] = []
  /** In the details that follow the line of a file that failed. */
  #details = false

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  line(text: string): void {
    const header = HEADER.exec(text)
    if (header) this.#begin(header[2] ?? '', header[1]?.length ?? 0)
    const point = header ? null : POINT.exec(text)
    // Of what passed nothing is shown.
    if (point?.[2] !== 'ok' || point[4]) this.#keep(text)
    if (!point) return
    const indent = point[1]?.length ?? 0
    const ok = point[2] === 'ok'
    // Whatever is still open further in has no end of its own.
    while ((this.#open.at(-1)?.indent ?? 0) > indent) this.#end(false, false, '?')
    if (this.#open.at(-1)?.indent === indent) this.#end(ok, Boolean(point[4]), `${point[5] ?? '?'} ${point[6] ?? ''}`)
    else this.#point(ok, Boolean(point[4]), point[3] ?? '')
  }

  #begin(name: string, indent: number): void {
    const outer = this.#open.at(-1)
    if (outer) outer.parent = true
    else {
      this.#lines = []
      this.#details = false
    }
    this.#open.push({ name, indent, parent: false, failed: 0, skipped: 0 })
  }

  #keep(text: string): void {
    if (this.#open.length > 0) this.#lines.push(text)
    // Indented lines are details; comments of tap's own are not.
    else if (this.#details && text.startsWith(' ')) this.#print(text)
  }

  /** An assertion inside a test, or something that belongs to no file, such as a file's time running out. */
  #point(ok: boolean, skipped: boolean, name: string): void {
    const test = this.#open.at(-1)
    if (test) {
      if (skipped) test.skipped++
    } else if (!ok || skipped) {
      this.failed++
      this.#details = true
      this.#print(`FAIL  ${name}`)
    }
  }

  #end(ok: boolean, skipped: boolean, time: string): void {
    const test = this.#open.pop()
    if (!test) return
    const outer = this.#open.at(-1)
    let failed = test.failed + test.skipped + (skipped ? 1 : 0)
    if (!ok && failed === 0) failed = 1
    if (!test.parent && failed > 0) failed = 1
    this.failed += failed - test.failed
    if (!test.parent && failed === 0) this.passed++
    if (outer) {
      outer.failed += failed
      return
    }
    if (failed === 0) return this.#print(`ok    ${test.name} (${time})`)
    this.#details = true
    this.#print(`FAIL  ${test.name} (${time})`)
    for (const each of this.#lines) this.#print(each)
  }
}
