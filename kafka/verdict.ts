import { KafkaError } from './wire.ts'

/**
 * What a broker's error says of a batch:
 * - `kept`: it is in the log
 * - `open`: it may be in the log, or get there
 * - `again`: it is not in the log, and another try may be better
 * - `numbers`, `fenced`: it is not in the log, since its number is not the next one, or not of a producer that may write
 * - `large`: it is not in the log, and smaller ones would be
 * - `refused`: it is not in the log, and will not be
 *
 * All but the first tell of this try alone: an earlier one may have had more success.
 */
export type Verdict = 'kept' | 'open' | 'again' | 'numbers' | 'fenced' | 'large' | 'refused'

const verdicts: ReadonlyMap<number, Verdict> = new Map([
  [KafkaError.NONE, 'kept'],
  [KafkaError.UNKNOWN_SERVER_ERROR, 'open'],
  [KafkaError.REQUEST_TIMED_OUT, 'open'],
  [KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND, 'open'],
  [KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, 'numbers'],
  [KafkaError.DUPLICATE_SEQUENCE_NUMBER, 'numbers'],
  [KafkaError.UNKNOWN_PRODUCER_ID, 'numbers'],
  [KafkaError.INVALID_PRODUCER_EPOCH, 'fenced'],
  [KafkaError.PRODUCER_FENCED, 'fenced'],
  [KafkaError.MESSAGE_TOO_LARGE, 'large'],
  [KafkaError.RECORD_LIST_TOO_LARGE, 'large'],
  // A leader that moves or is missing, a disk that fails, copies that are missing, a quota.
  ...[3, 5, 6, 8, 9, 13, 19, 56, 72, 74, 75, 89, 100].map((code): [number, Verdict] => [code, 'again']),
])

export const verdictOf = (errorCode: number): Verdict => verdicts.get(errorCode) ?? 'refused'

/** The reason as an operator should read it. */
export const reasonOf = (errorCode: number): string =>
  errorCode === KafkaError.INVALID_TIMESTAMP
    ? "a batch reached the broker too late, or this node's clock and the broker's differ"
    : 'the broker refuses a batch'
