import { ATTEMPT, readBody } from './message.ts'
import type { Place, Sent } from './message.ts'
import { Tally } from './tally.ts'

/** What was promised and did not hold. */
export type Breach = 'lost' | 'twice' | 'disorder' | 'forbidden' | 'gap' | 'window' | 'stuck' | 'wrong'
export interface Broken {
  readonly breach: Breach
  /** One line: what, and where. */
  readonly what: string
  /** Epoch ms. */
  readonly time: number
}

/** A record as the log has it. */
export interface Kept {
  readonly offset: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}
/** What a client that resumes was given, in the order in which it came, since the last comparison. */
export interface Delivered {
  readonly name: string
  readonly room: string
  /** The first offset that it has not been compared for. */
  from: number
  readonly list: { readonly offset: number; readonly sender: number; readonly n: number }[]
}
interface Acknowledged extends Sent {
  readonly offset: number
}
interface Sender {
  readonly name: string
  /** May not send at all. */
  readonly barred: boolean
}

const NOTHING = -1
/** A few of a kind say enough. */
const MOST_TOLD = 40

/** A room's log as far as it was read, and what was acknowledged beyond that. Two numbers a message, for the whole run. */
class Book {
  epoch: string | undefined
  /** By offset; NOTHING where the log has no message. */
  readonly senders: number[] = []
  readonly numbers: number[] = []
  readonly attempts: number[] = []
  readonly open: Acknowledged[] = []
  /** Which messages of a sender it has. */
  readonly has = new Map<number, Set<number>>()
  /** The last one of each connection of a sender. */
  readonly last = new Map<string, number>()

  get next(): number {
    return this.senders.length
  }
}

/**
 * Knows every message that was acknowledged, every one that is in the log, and compares both with what was delivered.
 * What does not fit is in `broken`.
 */
export class Ledger {
  readonly broken: Broken[] = []
  readonly tally = new Tally()
  readonly #books = new Map<string, Book>()
  readonly #senders: Sender[] = []

  /** A sender's number, which its messages carry. */
  enter(sender: Sender): number {
    return this.#senders.push(sender) - 1
  }

  broke(breach: Breach, what: string): void {
    this.tally.add(`broken ${breach}`)
    if (this.tally.of(`broken ${breach}`) <= MOST_TOLD) this.broken.push({ breach, what, time: Date.now() })
  }

  /** A RECEIPT has said that a message is kept, and where. */
  acknowledged(room: string, { epoch, offset }: Place, sent: Sent): void {
    this.tally.add('acknowledged')
    const book = this.#bookOf(room)
    this.sameLife(room, epoch, `the RECEIPT of ${this.#title(sent)}`)
    const acknowledged = { ...sent, offset }
    if (offset < book.next) this.#confirm(room, book, acknowledged)
    else book.open.push(acknowledged)
  }

  /** No room is made anew in a run. */
  sameLife(room: string, epoch: string, where: string): void {
    const book = this.#bookOf(room)
    book.epoch ??= epoch
    if (book.epoch !== epoch) this.broke('wrong', `${where} names another life of ${room}: ${epoch}, not ${book.epoch}`)
  }

  /** The offset up to which the room's log was read. */
  next(room: string): number {
    return this.#bookOf(room).next
  }

  /** Reads on in a room's log: `records` are those from `next` on, in order; `end` is the offset after them. */
  learn(room: string, records: readonly Kept[], end: number): void {
    const book = this.#bookOf(room)
    for (const record of records) this.#enterRecord(room, book, record)
    this.#fill(book, end)
    const known = book.open.filter(({ offset }) => offset < end)
    book.open.splice(0, Infinity, ...book.open.filter(({ offset }) => offset >= end))
    for (const each of known) this.#confirm(room, book, each)
  }

  /** Reads the whole log again: nothing of it may have changed. */
  reread(room: string, records: readonly Kept[]): void {
    const book = this.#bookOf(room)
    const kept = new Map(records.map(({ offset, body }) => [offset, readBody(body)]))
    for (let offset = 0; offset < book.next; offset++) {
      const [sender, n] = [book.senders[offset], book.numbers[offset]]
      const now = kept.get(offset)
      if ((now?.sender ?? NOTHING) !== sender || (now !== undefined && now.n !== n)) {
        this.broke(
          'lost',
          `${room} ${offset} was ${this.#titleAt(book, offset)} and is ${now ? this.#title(now) : 'gone'}`,
        )
      }
    }
  }

  /** Whether all that was acknowledged lies before what was read of the log. */
  get settled(): boolean {
    return [...this.#books.values()].every(({ open }) => open.length === 0)
  }

  /** Compares what a client was given with the log, up to `end`, and forgets it. */
  compare(delivered: Delivered, end: number): void {
    const book = this.#bookOf(delivered.room)
    let at = 0
    for (let offset = delivered.from; offset < end; offset++) {
      if (book.senders[offset] === NOTHING) continue
      const got = delivered.list[at]
      if (got?.offset !== offset) {
        const next = got ? `next it got ${got.offset}` : 'it got no later one'
        this.broke(
          'lost',
          `${delivered.name} was not given ${delivered.room} ${offset}, ${this.#titleAt(book, offset)}: ${next}`,
        )
        break
      }
      if (got.sender !== book.senders[offset] || got.n !== book.numbers[offset]) {
        const title = this.#title(got)
        this.broke(
          'wrong',
          `${delivered.name} was given ${title} as ${delivered.room} ${offset}, which is ${this.#titleAt(book, offset)}`,
        )
      }
      at++
    }
    const later = delivered.list.findIndex(({ offset }) => offset >= end)
    delivered.list.splice(0, later < 0 ? delivered.list.length : later)
    delivered.from = Math.max(delivered.from, end)
  }

  #bookOf(room: string): Book {
    let book = this.#books.get(room)
    if (!book) this.#books.set(room, (book = new Book()))
    return book
  }

  #fill(book: Book, end: number): void {
    while (book.next < end) {
      book.senders.push(NOTHING)
      book.numbers.push(NOTHING)
      book.attempts.push(NOTHING)
    }
  }

  #enterRecord(room: string, book: Book, { offset, headers, body }: Kept): void {
    const sent = readBody(body)
    const sender = sent && this.#senders[sent.sender]
    if (!sent || !sender)
      return this.broke('wrong', `${room} ${offset} is nothing that was sent: ${body.toString('utf8', 0, 40)}`)
    this.#fill(book, offset)
    const attempt = Number(headers.get(ATTEMPT))
    book.senders.push(sent.sender)
    book.numbers.push(sent.n)
    book.attempts.push(attempt)
    this.tally.add('kept')
    if (sender.barred) this.broke('forbidden', `${room} ${offset} is from ${sender.name}, which may not send there`)
    const has = book.has.get(sent.sender) ?? new Set()
    book.has.set(sent.sender, has)
    if (has.has(sent.n)) this.broke('twice', `${room} has ${this.#title(sent)} twice, the second time at ${offset}`)
    has.add(sent.n)
    const connection = `${sent.sender}/${attempt}`
    const before = book.last.get(connection) ?? NOTHING
    if (before > sent.n)
      this.broke('disorder', `${room} ${offset}: ${this.#title(sent)} comes after ${before} of the same connection`)
    book.last.set(connection, sent.n)
  }

  #confirm(room: string, book: Book, { sender, n, attempt, offset }: Acknowledged): void {
    if (book.senders[offset] !== sender || book.numbers[offset] !== n) {
      const found = this.#titleAt(book, offset)
      this.broke(
        'lost',
        `${this.#title({ sender, n })} was acknowledged as ${room} ${offset}, where the log has ${found}`,
      )
    } else if (book.attempts[offset] !== attempt) this.tally.add('repeats recognised')
  }

  #title({ sender, n }: Pick<Sent, 'sender' | 'n'>): string {
    return `${this.#senders[sender]?.name ?? `sender ${sender}`}'s ${n}`
  }

  #titleAt(book: Book, offset: number): string {
    const sender = book.senders[offset] ?? NOTHING
    return sender === NOTHING ? 'nothing' : this.#title({ sender, n: book.numbers[offset]! })
  }
}
