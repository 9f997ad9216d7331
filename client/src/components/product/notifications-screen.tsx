import { useContext } from 'react'
import type { Invitation, Notification } from '../../api-types.ts'
import { useAct } from '../../hooks/use-act.ts'
import { useList } from '../../hooks/use-load.ts'
import { RoomsContext } from '../../hooks/use-my-rooms.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { formatBrief, text } from '../../text/text.ts'
import { ActButton } from './act-button.tsx'
import { Invitations } from './invitations.tsx'
import { titleOf } from './room-rights.ts'
import { Listing, Screen, Section, Trouble } from './screen.tsx'

/** What one is to know, the newest first. */
export const NotificationsScreen = () => {
  const { api, changes } = useProduct()
  const list = useList<Notification>('/notifications', ['notifications'])
  const invitations = useList<Invitation>('/invitations', ['invitations'])
  const mark = (ids?: readonly string[]) => async (): Promise<void> => {
    await api.post('/notifications/read', ids ? { ids } : {})
    changes.happened('notifications')
  }
  const reading = useAct()
  const follow = ({ id, read }: Notification): void => {
    if (!read) reading.run(mark([id]))
  }
  const rooms = useContext(RoomsContext)
  const roomNames = new Map([
    ...rooms.map(room => [room.id, titleOf(room)] as const),
    ...(invitations.items ?? []).map(({ room }) => [room.id, room.name] as const),
  ])
  const unread = list.items?.some(({ read }) => !read)
  return (
    <Screen title={text.notifications}>
      <Section title={text.yourInvitations}>
        <Invitations list={invitations} />
      </Section>
      <Section title={text.news}>
        {unread && (
          <p className="acts start">
            <ActButton act={mark()}>{text.markAllRead}</ActButton>
          </p>
        )}
        <Trouble problem={reading.problem} />
        <Listing
          list={list}
          empty={text.noNotifications}
          render={each => (
            <Row key={each.id} news={each} line={lineOf(each, roomNames)} onFollow={() => follow(each)} />
          )}
        />
      </Section>
    </Screen>
  )
}

interface RowProps {
  readonly news: Notification
  readonly line: string
  readonly onFollow: () => void
}

const Row = ({ news, line, onFollow }: RowProps) => {
  const when = formatBrief(news.createdAt)
  return (
    <li className={news.read ? 'row' : 'row fresh'}>
      <a className="who stacked" href={hrefOf(news)} onClick={onFollow}>
        <span>{line}</span>
        <span className="faint">{when}</span>
      </a>
    </li>
  )
}

const lineOf = ({ kind, actor, room }: Notification, names: ReadonlyMap<string, string>): string =>
  text[`news.${kind}`](actor?.displayName ?? text.goneUser, names.get(room ?? '') ?? '')

/** An invitation stands above, as long as it waits. */
const hrefOf = ({ kind, actor, room }: Notification): string => {
  if (kind === 'requested' && actor) return `#/person/${actor.id}`
  return kind === 'mentioned' && room !== undefined ? `#/room/${room}` : '#/notifications'
}
