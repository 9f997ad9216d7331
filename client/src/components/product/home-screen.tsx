import type { Friend, Invitation } from '../../api-types.ts'
import { useList } from '../../hooks/use-load.ts'
import { useMe } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { Invitations } from './invitations.tsx'
import { PersonRow } from './person-row.tsx'
import { MessageAct } from './relation.tsx'
import { Listing, Screen, Section } from './screen.tsx'

/** Where one arrives: what waits for an answer, who is there, and the ways on. */
export const HomeScreen = () => {
  const me = useMe()
  const invitations = useList<Invitation>('/invitations', ['invitations'])
  const friends = useList<Friend>('/friends', ['friends'])
  return (
    <Screen title={text.home}>
      <p className="greeting">{text.greeting(me?.displayName ?? '')}</p>
      <p className="ways">
        <a className="primary small link" href="#/new">
          {text.newRoom}
        </a>
        <a className="quiet link" href="#/rooms">
          {text.browse}
        </a>
        <a className="quiet link" href="#/friends">
          {text.findTitle}
        </a>
      </p>
      {invitations.items && invitations.items.length > 0 && (
        <Section title={text.yourInvitations}>
          <Invitations list={invitations} />
        </Section>
      )}
      <Section title={text.yourFriends}>
        <Listing
          list={friends}
          empty={text.noFriends}
          render={({ person, online, lastSeen }) => (
            <PersonRow key={person.id} person={person} online={online} lastSeen={lastSeen}>
              <MessageAct person={person} />
            </PersonRow>
          )}
        />
      </Section>
    </Screen>
  )
}
