import type { RoomId } from '../server/ports/room-log.ts'

/**
 * Where a room is in Kafka: `topicOf` and `PARTITION` are all that decides it, one topic with one partition a room.
 *
 * A topic's name may have `A-Z a-z 0-9 . _ -`. Kafka holds `a_b` and `a.b` for the same name in its metrics and refuses
 * the second of them, so `_` is never used, and `-` begins the escapes: `--` is `-`, `-u` is `_`, `-s` is `/`, `-c` is `:`.
 */
export const PARTITION = 0
const PREFIX = 'room.'
const ESCAPES: Readonly<Record<string, string>> = { '-': '--', '_': '-u', '/': '-s', ':': '-c' }

/** The topic of a room. At most 245 characters of Kafka's 249. */
export const topicOf = (room: RoomId): string => PREFIX + room.replace(/[-_/:]/g, character => ESCAPES[character]!)

/** Whether a topic is a room's. Whatever else is in the cluster is none of our business. */
export const isRoomTopic = (topic: string): boolean => topic.startsWith(PREFIX)

/** A batch must fit: 1 MiB, Kafka's default, is less than one message of the largest size. */
export const BATCH_BYTES = 4 * 1024 * 1024

/**
 * The settings of a room's topic.
 * @param logTimeout ms: the broker refuses a record that reaches it later than this after it was appended, so that a
 *   write which was given up can never come true afterwards.
 */
export const topicConfigs = ({
  retentionMs,
  logTimeout,
  replication,
}: {
  readonly retentionMs: number
  readonly logTimeout: number
  readonly replication: number
}): { name: string; value: string }[] =>
  Object.entries({
    'cleanup.policy': 'delete',
    'retention.ms': retentionMs,
    'retention.bytes': -1,
    'max.message.bytes': BATCH_BYTES,
    'message.timestamp.type': 'CreateTime',
    'message.timestamp.before.max.ms': logTimeout,
    'min.insync.replicas': Math.min(2, replication),
    'unclean.leader.election.enable': false,
  }).map(([name, value]) => ({ name, value: String(value) }))
