import fc from 'fast-check'
import { HoofbeatError } from '../../errors.ts'
import type { Act } from '../pair.ts'

export type Side = 0 | 1

/** What two people do to each other. */
export const acts = fc.array(
  fc.tuple(
    fc.constantFrom<Side[]>(0, 1),
    fc.constantFrom<Act[]>('request', 'request', 'accept', 'accept', 'decline', 'cancel', 'remove', 'block', 'unblock'),
  ),
  { maxLength: 25 },
)

/** The code that `work` throws, or that it was done. */
export const outcome = (work: () => void): string => {
  try {
    work()
    return 'done'
  } catch (error) {
    return codeOf(error)
  }
}

/** The code of an error that a client is told of. */
export const codeOf = (error: unknown): string => {
  if (error instanceof HoofbeatError) return error.code
  throw error
}

class Refused extends HoofbeatError {}

/** What two people are to each other, put down as facts, and how a person would say the rules. */
export class Model {
  friends = false
  /** Whether each has asked the other, and blocks the other. */
  readonly asks = [false, false]
  readonly blocks = [false, false]

  act(me: Side, act: Act): void {
    const them = me === 0 ? 1 : 0
    /** I have been asked, and know of it. */
    const asked = this.asks[them] === true && !this.blocks[me]
    switch (act) {
      case 'request':
        if (this.blocks[me]) throw new Refused('FORBIDDEN')
        if (this.friends) return
        if (asked) this.meet()
        else this.asks[me] = true
        return
      case 'accept':
        if (this.friends) return
        if (!asked) throw new Refused('NO_SUCH_REQUEST')
        this.meet()
        return
      case 'decline':
        if (!asked) throw new Refused('NO_SUCH_REQUEST')
        this.asks[them] = false
        return
      case 'cancel':
        if (!this.asks[me]) throw new Refused('NO_SUCH_REQUEST')
        this.asks[me] = false
        return
      case 'remove':
        this.friends = false
        return
      case 'block':
        if (this.blocks[me]) return
        this.friends = false
        this.asks.fill(false)
        this.blocks[me] = true
        return
      case 'unblock':
        if (this.blocks[me]) this.asks[them] = false
        this.blocks[me] = false
    }
  }

  /** How one of them sees it: the standing, and whether they block the other. */
  view(me: Side): [standing: string, blocking: boolean] {
    const them = me === 0 ? 1 : 0
    const blocking = this.blocks[me] === true
    if (this.friends) return ['friends', blocking]
    if (this.asks[me]) return ['requested', blocking]
    return [this.asks[them] && !blocking ? 'asked' : 'none', blocking]
  }

  private meet(): void {
    this.friends = true
    this.asks.fill(false)
  }
}
