import type { RoomId } from '../../ports/room-log.ts'

/** What a token allows. */
export interface Rights {
  mayRead(room: RoomId): boolean
  maySend(room: RoomId): boolean
}

export const PATTERNS_MAX = 100
export const PATTERN_LENGTH_MAX = 256

type Match = (room: RoomId) => boolean

const everything: Rights = { mayRead: () => true, maySend: () => true }

/**
 * The rights of a token's claim `rooms`: `{ read?: string[], send?: string[] }`. No claim: every room. A list that is not
 * there allows nothing. Undefined: the claim is malformed.
 */
export const rightsOf = (claim: unknown): Rights | undefined => {
  if (claim === undefined) return everything
  if (typeof claim !== 'object' || claim === null || Array.isArray(claim)) return undefined
  const { read = [], send = [] } = claim as { read?: unknown; send?: unknown }
  if (!arePatterns(read) || !arePatterns(send)) return undefined
  return { mayRead: anyOf(read), maySend: anyOf(send) }
}

const arePatterns = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length <= PATTERNS_MAX &&
  value.every(pattern => typeof pattern === 'string' && pattern !== '' && pattern.length <= PATTERN_LENGTH_MAX)

const anyOf = (patterns: readonly string[]): Match => {
  const names = new Set(patterns.filter(pattern => !pattern.includes('*')))
  const wild = patterns.filter(pattern => pattern.includes('*')).map(wildcard)
  return room => names.has(room) || wild.some(matches => matches(room))
}

/** `*` stands for any run of characters, none included. Each part is looked for once, from left to right: no backtracking. */
const wildcard = (pattern: string): Match => {
  const parts = pattern.split('*')
  const head = parts[0] as string
  const tail = parts.at(-1) as string
  const middle = parts.slice(1, -1).filter(part => part !== '')
  return room => {
    if (!room.startsWith(head) || !room.endsWith(tail)) return false
    let at = head.length
    for (const part of middle) {
      const found = room.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at + tail.length <= room.length
  }
}
