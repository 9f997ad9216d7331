import { setImmediate as immediate } from 'node:timers/promises'

/** Loaded before a server whose memory is measured: on SIGUSR2 all garbage is collected. Needs --expose-gc. */
process.on('SIGUSR2', () => void collect())

const collect = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await immediate()
  }
}
