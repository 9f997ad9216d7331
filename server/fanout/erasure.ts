import type { LogRecord } from '../ports/room-log.ts'
import { EMPTY } from '../stomp/frame.ts'
import { Batch } from './batch.ts'
import { parseMessageId } from './destination.ts'
import { ENTRY_ID } from './reserved.ts'

/** Whether nobody is to be shown any more what this user has written. Absent: that is so of nobody. */
export type IsErased = ((user: string) => boolean) | undefined

/** A record as subscribers are shown it. `erased`: of what somebody wrote only its place and its kind are left. */
export interface Shown extends LogRecord {
  readonly erased?: true
}

/** `records` with what was erased taken out. They are the same ones where nothing was. */
export const shown = (records: readonly Shown[], isErased: IsErased): readonly Shown[] => {
  if (!isErased) return records
  const first = records.findIndex(record => isOver(record, isErased))
  if (first < 0) return records
  return records.map((record, i) => (i >= first && isOver(record, isErased) ? blank(record) : record))
}

/** `batch` without what was erased; the same one where nothing was. */
export const reshown = (batch: Batch, isErased: IsErased): Batch => {
  const records = shown(batch.records, isErased)
  return records === batch.records ? batch : new Batch(batch.room, batch.epoch, records)
}

/** What the server itself said is nobody's writing. */
const isOver = ({ sender, headers, erased }: Shown, isErased: NonNullable<IsErased>): boolean =>
  isErased(sender) && !erased && !headers.has(ENTRY_ID)

/**
 * What it is and which message it is about stays, so that a message that was deleted stays deleted and an answer an answer: as far as
 * nothing can be written there.
 */
const blank = ({ offset, time, sender, headers }: Shown): Shown => {
  const [type, ref] = [headers.get('type'), headers.get('ref')]
  const kept = new Map<string, string>()
  if (type !== undefined && KINDS.has(type)) kept.set('type', type)
  if (ref !== undefined && parseMessageId(ref)) kept.set('ref', ref)
  return { offset, time, sender, headers: kept, body: EMPTY, erased: true }
}

const KINDS = new Set(['message', 'edit', 'delete', 'reaction'])
