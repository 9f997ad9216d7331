import { fromJson, type Message } from '../chat/index.ts'
import { useName } from '../hooks/use-product.ts'
import { formatMoment, text } from '../text/text.ts'

/** What the server says of the room: who came, what it is called now. */
export const SystemRow = ({ said }: { readonly said: Message }) => {
  const event = eventIn(said.body)
  const actor = useName(said.sender)
  const user = useName(event['user'] ?? said.sender)
  const line = lineOf(event, actor, user, said.sender === event['user'])
  if (line === undefined) return null
  return (
    <li className="system" title={formatMoment(said.time)}>
      {line}
    </li>
  )
}

type Event = Readonly<Partial<Record<string, string>>>

const eventIn = (body: string): Event => {
  const said = fromJson(body)
  if (typeof said !== 'object' || said === null) return {}
  return Object.fromEntries(Object.entries(said).filter(([, value]) => typeof value === 'string'))
}

/** Undefined: nothing that we know of. */
const lineOf = (event: Event, actor: string, user: string, themselves: boolean): string | undefined => {
  switch (event['event'] ?? '') {
    case 'joined':
      return text.systemJoined(user)
    case 'left':
      return themselves ? text.systemLeft(user) : text.systemRemoved(actor, user)
    case 'renamed':
      return text.systemRenamed(actor, event['name'] ?? '')
    case 'described':
      return text.systemDescribed(actor)
    case 'visibility':
      return event['visibility'] === 'public' ? text.systemPublic(actor) : text.systemPrivate(actor)
    case 'role':
      if (event['role'] === 'owner') return text.systemOwner(actor, user)
      return event['role'] === 'admin' ? text.systemAdmin(actor, user) : text.systemMember(actor, user)
    default:
      return undefined
  }
}
