/** What people call the sender. A node adds it to what its clients send. */
export const SENDER_NAME = 'sender-name'
/** By this header of a record that the server itself decided on, readers know a repeat of it: no sender may set it. */
export const ENTRY_ID = 'entry-id'

/** Headers that are ours to set: whatever a sender or an outsider put into a record under these names stays there. */
const RESERVED = new Set([
  'destination',
  'subscription',
  'message-id',
  'content-length',
  'timestamp',
  'sender',
  SENDER_NAME,
  'erased',
  'ack',
  'id',
  'receipt',
  'receipt-id',
  'transaction',
  'idempotency-key',
  'recovered',
  'first',
])
/** Some clients trim the names that they read, so white space around a name does not make it another one. */
export const isReserved = (name: string): boolean => RESERVED.has(name.trim())

/** Whether a header of a SEND is kept with its record. */
export const isKept = (name: string): boolean => !isReserved(name) && name.trim() !== ENTRY_ID
