import { isUtf8 } from 'node:buffer'
import { ENTRY_ID } from '../database/outbox.ts'
import { parseMessageId } from '../ports/message-id.ts'
import type { Epoch, LogRecord, Offset } from '../ports/room-log.ts'

/** What stands in a record that makes a row of its own. */
interface Written {
  readonly kind: 'message' | 'system'
  readonly body: string
  /** Who may see it, beside its sender; null: everybody in the room. */
  readonly to: string | null
  /** Of the transactional outbox; null: somebody sent it. */
  readonly entry: string | null
}

/** What a record of a room's log comes to. `ref`: the earlier message that it is about. */
export type Said =
  | Written
  | { readonly kind: 'unreadable' }
  | { readonly kind: 'edit'; readonly ref: Offset; readonly body: string }
  | { readonly kind: 'delete'; readonly ref: Offset }
  | { readonly kind: 'reaction'; readonly ref: Offset; readonly emoji: string; readonly op: 'add' | 'remove' }
  /** It is about nothing that there is. */
  | { readonly kind: 'nothing' }

/** Longer ones are of no server of ours: ids that are kept in indexes, and an emoji with all that can belong to it, in bytes. */
const LONGEST_ID = 64
const LONGEST_EMOJI = 64

const UNREADABLE: Said = { kind: 'unreadable' }
const NOTHING: Said = { kind: 'nothing' }

/** Reads a record of the log's life `epoch`, sent by somebody who has, or had, an account. */
export const readRecord = ({ offset, headers, body: bytes }: LogRecord, epoch: Epoch): Said => {
  const body = textOf(bytes)
  const [to, entry] = [headers.get('to') ?? null, headers.get(ENTRY_ID) ?? null]
  if (body === undefined || !isClean(headers) || !isId(to) || !isId(entry)) return UNREADABLE
  const type = headers.get('type') ?? 'message'
  if (type === 'message') return entry === null ? { kind: 'message', body, to, entry } : UNREADABLE
  // What the server says goes through the transactional outbox, and to everybody.
  if (type === 'system') return entry !== null && to === null ? { kind: 'system', body, to, entry } : UNREADABLE
  if (type !== 'edit' && type !== 'delete' && type !== 'reaction') return UNREADABLE
  const ref = parseMessageId(headers.get('ref') ?? '')
  if (ref?.epoch !== epoch || ref.offset >= offset) return NOTHING
  if (type === 'edit') return { kind: 'edit', ref: ref.offset, body }
  if (type === 'delete') return { kind: 'delete', ref: ref.offset }
  const op = headers.get('op') ?? 'add'
  if (body === '' || bytes.length > LONGEST_EMOJI || (op !== 'add' && op !== 'remove')) return NOTHING
  return { kind: 'reaction', ref: ref.offset, emoji: body, op }
}

/** PostgreSQL's text has no NUL. */
const NUL = '\0'

const textOf = (bytes: Buffer): string | undefined =>
  isUtf8(bytes) && !bytes.includes(0) ? bytes.toString('utf8') : undefined

const isClean = (headers: LogRecord['headers']): boolean =>
  [...headers].every(([name, value]) => !name.includes(NUL) && !value.includes(NUL))

const isId = (text: string | null): boolean => text === null || (text !== '' && text.length <= LONGEST_ID)
