/**
 * How the bytes of a frame lie on a transport: with a header before them (WebSocket) or bare (TCP). The fan-out lays
 * finished frames out once for all connections that share a framing.
 */
export interface Framing {
  /** How many bytes lie before a frame of `length` bytes. */
  overhead(length: number): number
  /** Writes what lies before a frame of `length` bytes at `at`, and returns where the frame begins. */
  write(target: Buffer, at: number, length: number, text: boolean): number
}

/** STOMP as it is, one frame after the other. */
export const bare: Framing = { overhead: () => 0, write: (_target, at) => at }

/** One frame laid out. `text`: all of it is UTF-8. */
export const lay = (framing: Framing, frame: Buffer, text: boolean): Buffer => {
  const overhead = framing.overhead(frame.length)
  if (overhead === 0) return frame
  const laid = Buffer.allocUnsafe(overhead + frame.length)
  frame.copy(laid, framing.write(laid, 0, frame.length, text))
  return laid
}
