import type { Framing } from '../stomp/framing.ts'

/** What a connection sees of the socket under it. The transport calls `receive`, `heard`, `drained` and `closed`. */
export interface Transport {
  /** On a WebSocket the server pings, and any answer is a sign of life; on TCP only what the client promised is. */
  readonly pings: boolean
  /** The peer's address, as quotas count it. */
  readonly address: string
  readonly framing: Framing
  /** Bytes written that the system has not taken yet. */
  readonly buffered: number
  /** Whether it has taken enough for now (about 64 KiB): `drained` is called when all of it has gone. */
  readonly full: boolean
  /** Bytes that the system has taken and the peer has not acknowledged; undefined where nobody knows. */
  unacknowledged(): Promise<number | undefined>
  /** Writes finished frames. After `close`, or where the peer has gone, nothing happens. */
  write(bytes: Buffer): void
  /** Stops and starts reading from the socket. */
  pause(): void
  resume(): void
  ping(): void
  /** Ends it after what was written, with a WebSocket close code; what still arrives is thrown away. */
  close(code: number): void
  /** Ends it at once. */
  destroy(): void
}
