import type { Epoch, Offset, Position } from './room-log.ts'

/** What clients name a message by: its place in its room's log. */
export const messageId = (epoch: Epoch, offset: Offset): string => `${epoch}-${offset}`

/** Reads a message-id of ours; undefined where it is none. */
export const parseMessageId = (text: string): Position | undefined => {
  const match = /^([A-Za-z0-9]{1,64})-(0|[1-9]\d{0,18})$/.exec(text)
  return match ? { epoch: match[1]!, offset: BigInt(match[2]!) } : undefined
}
