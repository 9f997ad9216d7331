import { readFileSync } from 'node:fs'
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'

/** Clock ticks of the system a second: what /proc counts CPU in. */
const TICKS = 100

/** CPU seconds that a process has taken so far, with all its threads. Linux only. */
const cpuOf = (pid: number): number => {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

/** Bytes of a process in memory. Linux only. */
export const residentOf = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024

/** µs on the clock that messages are stamped with. */
export const now = (): number => Math.floor(performance.now() * 1000)

/** Times in ms of what was recorded in µs. */
export interface Times {
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly count: number
}
export class Latencies {
  readonly #histogram: RecordableHistogram = createHistogram()
  /** The newest one, µs. */
  last = 0

  readonly add = (microseconds: number): void => {
    this.last = microseconds
    this.#histogram.record(Math.max(1, Math.round(microseconds)))
  }

  /** Takes all that `other` has, which then begins anew. */
  take(other: Latencies): void {
    this.#histogram.add(other.#histogram)
    other.reset()
  }

  reset(): void {
    this.last = 0
    this.#histogram.reset()
  }

  times(): Times {
    const ms = (microseconds: number): number => Math.round(microseconds) / 1000
    const { count } = this.#histogram
    if (count === 0) return { p50: NaN, p99: NaN, max: NaN, count }
    const at = (percentile: number): number => ms(this.#histogram.percentile(percentile))
    return { p50: at(50), p99: at(99), max: ms(this.#histogram.max), count }
  }
}

/**
 * Calls `due` at an even rate for as long, with how many are due by now and when the first of them was, µs. Calls that
 * come late come with more at once; nothing is left out. Ends early when it returns false. Resolves with how late the
 * calls were.
 */
export const paced = async (
  perSecond: number,
  seconds: number,
  due: (count: number, first: number, step: number) => boolean | void,
): Promise<Times> => {
  const lags = new Latencies()
  const step = 1e6 / perSecond
  const total = Math.round(perSecond * seconds)
  const start = now()
  for (let done = 0; done < total;) {
    const count = Math.min(total, Math.floor((now() - start) / step) + 1) - done
    if (count > 0) {
      const first = Math.floor(start + done * step)
      lags.add(now() - first)
      if (due(count, first, step) === false) break
      done += count
    }
    const wait = (start + done * step - now()) / 1000
    await delay(Math.max(1, Math.min(wait, 1000)))
  }
  return lags.times()
}

/** Resolves when `condition` holds, looked at every few ms, with whether it did within `patience` ms of `progress`. */
export const settled = async (condition: () => boolean, progress: () => number, patience: number): Promise<boolean> => {
  let last = progress()
  for (let since = performance.now(); !condition();) {
    await delay(2)
    const state = progress()
    if (state !== last) {
      last = state
      since = performance.now()
    } else if (performance.now() - since > patience) return false
  }
  return true
}

/** What this process and the server take while something runs. */
export class Watch {
  readonly #pid: number | undefined
  readonly #own = process.cpuUsage()
  readonly #started = performance.now()
  readonly #server: number

  constructor(pid: number | undefined) {
    this.#pid = pid
    this.#server = pid === undefined ? NaN : cpuOf(pid)
  }

  get seconds(): number {
    return (performance.now() - this.#started) / 1000
  }

  /** CPU seconds of the server. */
  get serverCpu(): number {
    return this.#pid === undefined ? NaN : cpuOf(this.#pid) - this.#server
  }

  /** The share of a core that this process took. */
  get load(): number {
    const { user, system } = process.cpuUsage(this.#own)
    return (user + system) / 1e6 / this.seconds
  }
}
