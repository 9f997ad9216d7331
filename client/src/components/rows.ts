import type { Message, Outgoing, RoomView } from '../chat/index.ts'

/** One line of a room, top to bottom. */
export type Row =
  | { readonly kind: 'day'; readonly id: string; readonly time: number }
  | { readonly kind: 'gap'; readonly id: string }
  /** What the server says of the room. */
  | { readonly kind: 'system'; readonly id: string; readonly said: Message }
  | {
      readonly kind: 'message'
      readonly id: string
      readonly said: Said
      readonly own: boolean
      /** The first and the last of several by the same sender, one soon after the other. */
      readonly first: boolean
      readonly last: boolean
    }

/** A message as it is shown: one of the room, or one of ours on its way there. */
export type Said = Message | Outgoing

export const isOutgoing = (said: Said): said is Outgoing => 'created' in said
export const timeOf = (said: Said): number => (isOutgoing(said) ? said.created : said.time)

/** After a longer silence, ms, the same sender begins anew. */
const TOGETHER = 300_000

/** Lays out a room for `user`. */
export const rowsOf = ({ messages, outgoing, broken }: RoomView, user: string): Row[] => {
  const rows: Row[] = []
  const all: readonly Said[] = [...messages.filter(isShown), ...outgoing]
  let day = ''
  all.forEach((said, index) => {
    const id = keyOf(said)
    const time = timeOf(said)
    const gap = isOutgoing(said) ? broken && index === all.length - outgoing.length : said.gap === true
    if (gap) rows.push({ kind: 'gap', id: `gap ${id}` })
    const today = new Date(time).toDateString()
    if (today !== day) rows.push({ kind: 'day', id: `day ${id}`, time })
    if (isSystem(said)) {
      rows.push({ kind: 'system', id, said })
      day = today
      return
    }
    const first = gap || today !== day || !together(all[index - 1], said, user)
    day = today
    rows.push({ kind: 'message', id, said, own: senderOf(said, user) === user, first, last: true })
    if (!first) closeUp(rows)
  })
  if (broken && outgoing.length === 0) rows.push({ kind: 'gap', id: 'gap' })
  return rows
}

/** The message before the newest row turns out not to be the last of its sender's. */
const closeUp = (rows: Row[]): void => {
  const before = rows.at(-2)
  if (before?.kind === 'message') rows[rows.length - 2] = { ...before, last: false }
}

export const isMessage = ({ type }: Message): boolean => type === undefined || type === 'message'
const isSystem = (said: Said): said is Message => !isOutgoing(said) && said.type === 'system'
/** What changes earlier messages is no line of its own. */
const isShown = (message: Message): boolean => isMessage(message) || isSystem(message)

const keyOf = (said: Said): string => (isOutgoing(said) ? said.key : (said.key ?? said.id))

const senderOf = (said: Said, user: string): string => (isOutgoing(said) ? user : said.sender)

const together = (before: Said | undefined, said: Said, user: string): boolean =>
  before !== undefined &&
  !isSystem(before) &&
  senderOf(before, user) === senderOf(said, user) &&
  Math.abs(timeOf(said) - timeOf(before)) < TOGETHER

/** How many messages by others came after the one with the id `mark`, in order of time. */
export const unreadOf = (messages: readonly Message[], mark: string | undefined, user: string): number => {
  if (mark === undefined) return 0
  const seen = messages.findLastIndex(({ id }) => id === mark)
  return messages.slice(seen + 1).filter(message => message.sender !== user && isMessage(message)).length
}
