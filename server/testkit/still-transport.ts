import type { Transport } from '../connection/transport.ts'
import { bare } from '../stomp/framing.ts'

/** A transport without a socket: it keeps what is written, and shows what a test lets it. */
export class StillTransport implements Transport {
  readonly pings: boolean
  readonly address = ''
  readonly framing = bare
  buffered = 0
  full = false
  readonly writes: string[] = []
  unacknowledged: Transport['unacknowledged']

  /** @param held what the system still holds, each time it is asked */
  constructor({ pings = false, held = () => undefined }: { pings?: boolean; held?: () => number | undefined } = {}) {
    this.pings = pings
    this.unacknowledged = async () => held()
  }

  write(bytes: Buffer): void {
    this.writes.push(bytes.toString())
  }
  pause(): void {}
  resume(): void {}
  ping(): void {}
  close(): void {}
  destroy(): void {}
}
