import fc from 'fast-check'

const by = fc.nat({ max: 2 })
const ref = fc.nat({ max: 30 })
const sending = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant('message' as const), by, to: fc.option(by, { freq: 4 }) }) },
  fc.record({ act: fc.constantFrom('edit' as const, 'delete' as const), by, ref }),
  fc.record({
    act: fc.constant('reaction' as const),
    by,
    ref,
    emoji: fc.constantFrom('👍', '👎'),
    op: fc.constantFrom('add' as const, 'remove' as const),
  }),
)
export type Sending = typeof sending extends fc.Arbitrary<infer T> ? T : never

/** What three people do in a room, by their numbers; `ref`: the message, by its number. `copy`: the archive catches up. */
export const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: sending },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('read' as const), by, ref }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('copy' as const) }) },
  ),
  { maxLength: 40 },
)

interface Message {
  readonly by: number
  readonly to: number | null
  readonly offset: number
  body: string
  changed: number
  edited: boolean
  deleted: boolean
  readonly reactions: Set<string>
}

/** A room as its people would tell it: one thing after the other, in one list. */
export class Model {
  /** The message-id of each record. */
  readonly ids: string[] = []
  readonly #messages: Message[] = []
  readonly #read: number[]
  readonly #users: readonly string[]

  constructor(users: readonly string[]) {
    this.#users = users
    this.#read = users.map(() => -1)
  }

  /** What is to be sent; `kept` is told as which message-id it stands in the log. */
  send(step: Sending): { body: string; headers: Record<string, string>; kept: (id: string) => void } {
    const offset = this.ids.length
    const kept = (id: string): void => void this.ids.push(id)
    if (step.act === 'message') {
      const { by, to } = step
      const body = `said ${offset}`
      const message = {
        by,
        to,
        offset,
        body,
        changed: offset,
        edited: false,
        deleted: false,
        reactions: new Set<string>(),
      }
      this.#messages.push(message)
      return { body, headers: to === null ? {} : { to: this.#users[to]! }, kept }
    }
    // One in a few is about nothing that there is.
    const about = this.ids[step.ref % (offset + 1)]
    const target = this.#messages.find(each => this.ids[each.offset] === about && !each.deleted && about !== undefined)
    const headers: Record<string, string> = { type: step.act, ref: about ?? 'x-1' }
    if (step.act === 'reaction') headers['op'] = step.op
    const body = step.act === 'edit' ? `edited ${offset}` : step.act === 'reaction' ? step.emoji : ''
    if (target) this.#change(target, step, body, offset)
    return { body, headers, kept }
  }

  #change(target: Message, step: Exclude<Sending, { act: 'message' }>, body: string, offset: number): void {
    if (step.act === 'reaction') {
      const reaction = `${step.by} ${step.emoji}`
      if (step.op === 'remove') target.reactions.delete(reaction)
      else if (target.to === null || [target.by, target.to].includes(step.by)) target.reactions.add(reaction)
    } else if (step.act === 'delete') {
      target.body = ''
      target.deleted = true
      target.reactions.clear()
    } else {
      if (target.by !== step.by) return
      target.body = body
      target.edited = true
    }
    target.changed = offset
  }

  /** Whether the place has moved. */
  read(by: number, message: string): boolean {
    const offset = this.ids.indexOf(message)
    if (offset <= this.#read[by]!) return false
    this.#read[by] = offset
    return true
  }

  unread(user: number): number {
    return this.#messages.filter(
      ({ by, to, offset, deleted }) =>
        by !== user && !deleted && offset > this.#read[user]! && (to === null || to === user),
    ).length
  }

  rows(): object[] {
    return this.#messages.map(({ offset, body, changed, edited, deleted, reactions }) => ({
      offset,
      body,
      changed,
      edited,
      deleted,
      reactions: [...reactions].toSorted(),
    }))
  }
}
