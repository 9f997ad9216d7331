import type { Delivered } from './ledger.ts'
import { placeIn, readBody } from './message.ts'
import type { World } from './session.ts'

type Headers = ReadonlyMap<string, string>

/** What a client that resumes is given in a room: looked at as it comes, and kept until it is compared with the log. */
export class Inbox {
  readonly delivered: Delivered
  /** The message-id of the newest message: what to resume after. */
  last: string | undefined
  /** When the rights of the present connection end, epoch ms. */
  expires = Infinity
  readonly #world: World
  #offset = -1
  #wanted: { readonly offset: number; readonly reached: () => void } | undefined

  constructor(world: World, name: string, room: string) {
    this.#world = world
    this.delivered = { name, room, from: 0, list: [] }
  }

  /** Where it is: the offset of its newest message; -1: none. */
  get offset(): number {
    return this.#offset
  }

  /** Resolves when it has the message at `offset`, and so all before. */
  async reach(offset: number): Promise<void> {
    if (this.#offset < offset) await new Promise<void>(reached => (this.#wanted = { offset, reached }))
  }

  /** Takes what a RECEIPT of SUBSCRIBE, or a MESSAGE, says of a gap: nothing is ever removed, so there is none. */
  recovered(headers: Headers): void {
    if (headers.get('recovered') !== 'false') return
    const { name, room } = this.delivered
    const first = headers.get('first')
    this.#world.ledger.broke('gap', `${name} was told that ${room} after ${this.#offset} is gone, up to ${first}`)
  }

  /** Takes a MESSAGE. */
  receive(headers: Headers, body: Buffer): void {
    const { name, room, list } = this.delivered
    const { ledger, tally } = this.#world
    const { epoch, offset } = placeIn(headers)
    tally.add('delivered')
    ledger.sameLife(room, epoch, `a MESSAGE to ${name}`)
    this.recovered(headers)
    this.#mayHave(headers, offset)
    const sent = readBody(body)
    if (!sent) ledger.broke('wrong', `${name} was given ${room} ${offset}, which is nothing that was sent`)
    else if (offset === this.#offset) ledger.broke('twice', `${name} was given ${room} ${offset} twice`)
    else if (offset < this.#offset)
      ledger.broke('disorder', `${name} was given ${room} ${offset} after ${this.#offset}`)
    else {
      list.push({ offset, ...sent })
      this.#offset = offset
      this.last = headers.get('message-id')
      this.#tell()
    }
  }

  #mayHave(headers: Headers, offset: number): void {
    const { name, room } = this.delivered
    const { ledger } = this.#world
    const destination = headers.get('destination')
    if (destination !== `/topic/${room}`)
      ledger.broke('forbidden', `${name} was given ${destination}, and asked for ${room}`)
    const late = Number(headers.get('timestamp')) - this.expires
    if (late > 0)
      ledger.broke('forbidden', `${name} was given ${room} ${offset}, sent ${late} ms after its token had ended`)
  }

  #tell(): void {
    if (!this.#wanted || this.#offset < this.#wanted.offset) return
    this.#wanted.reached()
    this.#wanted = undefined
  }
}
