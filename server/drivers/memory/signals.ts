import { fail } from '../../errors.ts'
import { Channels, type Json, type Listener } from '../../ports/channels.ts'
import type { Driver } from '../../ports/driver.ts'
import type { Signals } from '../../ports/signals.ts'

/** News within one process. */
class MemorySignals implements Signals {
  readonly #channels = new Channels()
  #closed = false

  publish(channel: string, event: Json): void {
    if (!this.#channels.has(channel)) return
    setImmediate(() => this.#channels.tell(channel, event))
  }

  async subscribe(channel: string, listener: Listener): Promise<() => void> {
    this.check()
    return this.#channels.join(channel, listener, () => undefined)
  }

  check(): void {
    if (this.#closed) throw fail('DRAINING')
  }

  close(): void {
    this.#closed = true
    this.#channels.clear()
  }
}

export const memorySignals = (): Driver<Signals> => {
  const signals = new MemorySignals()
  return { port: signals, check: async () => signals.check(), close: async () => signals.close() }
}
