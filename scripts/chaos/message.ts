/** A message of a run: the `n`th of a sender, and on which of the sender's connections it went out. */
export interface Sent {
  readonly sender: number
  readonly n: number
  readonly attempt: number
}
/** A place in a room's log. Offsets of a run are small enough for a number. */
export interface Place {
  readonly epoch: string
  readonly offset: number
}

/** The header that says on which connection of its sender a message went out. */
export const ATTEMPT = 'attempt'
/** Mostly small; now and then one that is not sent in one packet. */
const LENGTHS = [20, 20, 80, 80, 200, 200, 1000, 1000, 4000, 20_000]

/** The body says who it is from, and nothing in it is left to chance: each one can be checked to the last letter. */
export const bodyOf = ({ sender, n }: Pick<Sent, 'sender' | 'n'>): string => {
  const name = `${sender} ${n} `
  return name.padEnd(LENGTHS[(sender * 7 + n * 3) % LENGTHS.length]!, 'hoofbeat ')
}

/** Who a body is from; undefined where it is not as it was sent. */
export const readBody = (body: Buffer): Pick<Sent, 'sender' | 'n'> | undefined => {
  const [, sender, n] = /^(\d{1,6}) (\d{1,9}) /.exec(body.toString('latin1', 0, 20)) ?? []
  const sent = { sender: Number(sender), n: Number(n) }
  return body.equals(Buffer.from(bodyOf(sent))) ? sent : undefined
}

/** The place that a `message-id` says. Throws where there is none. */
export const placeIn = (headers: ReadonlyMap<string, string>): Place => {
  const [, epoch, offset] = /^(\w+)-(\d+)$/.exec(headers.get('message-id') ?? '') ?? []
  if (epoch === undefined) throw new Error(`a frame without a message-id: ${[...headers].join(' ')}`)
  return { epoch, offset: Number(offset) }
}
