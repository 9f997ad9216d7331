/**
 * Things that are counted. `label` is a command for frames, a code for errors, what there was too much of for refused, why for
 * signalsDropped.
 */
export type Counter =
  | 'connections'
  | 'refused'
  | 'framesIn'
  | 'framesOut'
  | 'deliveries'
  | 'bytesOut'
  | 'slowSubscribers'
  | 'windowFull'
  | 'signalsDropped'
  | 'errors'
/** Things that are timed, in seconds: from `append` to durable; from the log's time of a record to its fan-out. */
export type Timing = 'append' | 'logLag'

/** Where the bridge counts what it does. Called on hot paths: returns at once, never throws. */
export interface Meter {
  add(name: Counter, amount?: number, label?: string): void
  observe(name: Timing, seconds: number): void
}
