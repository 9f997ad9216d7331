import type { Outcome } from '../frames/connection.ts'
import type { RoomId } from '../ports/room-log.ts'
import type { Frame } from '../stomp/frame.ts'
import { costOf, type Intake } from './intake.ts'
import { Lanes } from './lanes.ts'

/** The frames of one connection that are being worked on: in order for each room, and counted in what the node takes in. */
export class UnderWay {
  readonly #intake: Intake
  readonly #lanes = new Lanes()
  /** What they come to, and the receipts that they asked for. */
  readonly #outcomes = new Map<Promise<Outcome>, string | undefined>()

  constructor(intake: Intake) {
    this.#intake = intake
  }

  get count(): number {
    return this.#outcomes.size
  }

  /** `frame` is being worked on; returns what `end` is to be told. */
  begin(frame: Frame, outcome: Promise<Outcome>, receipt: string | undefined): number {
    const bytes = costOf(frame)
    this.#intake.add(bytes)
    this.#outcomes.set(outcome, receipt)
    return bytes
  }

  end(outcome: Promise<Outcome>, bytes: number): void {
    this.#outcomes.delete(outcome)
    this.#intake.remove(bytes)
  }

  /** See `Lanes.run`. */
  inOrder<T>(room: RoomId, work: () => T | Promise<T>): T | Promise<T> {
    return this.#lanes.run(room, work)
  }

  /** What has not begun yet will not. */
  refuse(): void {
    this.#lanes.refuse()
  }

  /** Resolves when everything that is under way now is done. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#outcomes.keys())
  }

  /** Resolves when everything is done that is under way now and asked for a RECEIPT. */
  async answered(): Promise<void> {
    const answers = [...this.#outcomes].filter(([, receipt]) => receipt !== undefined)
    await Promise.allSettled(answers.map(([outcome]) => outcome))
  }
}
