import type { FrameHandler } from './connection.ts'

/** DISCONNECT: its RECEIPT follows the processing of every earlier frame, and the connection ends after it. */
export const disconnect: FrameHandler = async connection => {
  await connection.settled()
  return { close: true }
}
