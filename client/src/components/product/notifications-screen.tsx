import type { Invitation, Notification } from '../../api-types.ts'
import { useList } from '../../hooks/use-load.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { formatBrief, text } from '../../text/text.ts'
import { ActButton } from './act-button.tsx'
import { Invitations } from './invitations.tsx'
import { Listing, Screen, Section } from './screen.tsx'

/** What one is to know, the newest first. */
export const NotificationsScreen = () => {
  const { api, changes } = useProduct()
  const list = useList<Notification>('/notifications', ['notifications'])
  const invitations = useList<Invitation>('/invitations', ['invitations'])
  const mark = (ids?: readonly string[]) => async (): Promise<void> => {
    await api.post('/notifications/read', ids ? { ids } : {})
    changes.happened('notifications')
  }
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
        <Listing
          list={list}
          empty={text.noNotifications}
          render={each => (
            <li key={each.id} className={each.read ? 'row' : 'row fresh'}>
              <a className="who" href={hrefOf(each)} aria-label={lineOf(each)} onClick={() => void mark([each.id])()}>
                <span className="who-text">
                  <span>{lineOf(each)}</span>
                  <span className="faint">{formatBrief(each.createdAt)}</span>
                </span>
              </a>
            </li>
          )}
        />
      </Section>
    </Screen>
  )
}

const lineOf = ({ kind, actor }: Notification): string => text[`news.${kind}`](actor?.displayName ?? text.goneUser)

const hrefOf = ({ kind, actor, room }: Notification): string => {
  if (kind === 'requested' && actor) return `#/person/${actor.id}`
  return kind === 'mentioned' && room !== undefined ? `#/room/${room}` : '#/notifications'
}
