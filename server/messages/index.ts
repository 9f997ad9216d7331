/** Messages, as they are kept for ever: the archive of the rooms' logs, and how far people have read. */

export { openArchive } from './archive.ts'
export { eraseRoom, forgetMessages } from './erasure.ts'
export { Hints } from './hints.ts'
export { beginReading, moveRead, readPlaceOf, UNREAD_MOST, unreadIn, unreadOf } from './reading.ts'
