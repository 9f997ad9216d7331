import type { Dated, Friend } from '../../api-types.ts'
import { useList } from '../../hooks/use-load.ts'
import { text } from '../../text/text.ts'
import { FindPeople } from './find-people.tsx'
import { PersonRow } from './person-row.tsx'
import { AllActs, BlockAct, FriendshipActs, MessageAct } from './relation.tsx'
import { Listing, Screen, Section } from './screen.tsx'

/** Friends, requests both ways, whom one has blocked, and a way to find others. */
export const FriendsScreen = () => (
  <Screen title={text.friends}>
    <Section title={text.findTitle}>
      <FindPeople
        render={person => (
          <PersonRow key={person.id} person={person}>
            <AllActs person={person} />
          </PersonRow>
        )}
      />
    </Section>
    <Requests direction="asked" />
    <Requests direction="requested" />
    <Friends />
    <Blocked />
  </Screen>
)

/** Requests that wait; nothing where there are none. */
const Requests = ({ direction }: { readonly direction: 'asked' | 'requested' }) => {
  const list = useList<Dated>(`/friend-requests?direction=${direction}`, ['friends'])
  if (!list.items?.length) return null
  return (
    <Section title={direction === 'asked' ? text.requestsToYou : text.requestsByYou}>
      <Listing
        list={list}
        empty=""
        render={({ person }) => (
          <PersonRow key={person.id} person={person}>
            <FriendshipActs person={person} relation={{ state: direction, blocking: false }} />
          </PersonRow>
        )}
      />
    </Section>
  )
}

const Friends = () => (
  <Section title={text.yourFriends}>
    <Listing
      list={useList<Friend>('/friends', ['friends'])}
      empty={text.noFriends}
      render={({ person, online, lastSeen }) => (
        <PersonRow key={person.id} person={person} online={online} lastSeen={lastSeen}>
          <MessageAct person={person} />
          <FriendshipActs person={person} relation={{ state: 'friends', blocking: false }} />
        </PersonRow>
      )}
    />
  </Section>
)

const Blocked = () => {
  const list = useList<Dated>('/blocks', ['friends'])
  if (!list.items?.length) return null
  return (
    <Section title={text.blocked}>
      <Listing
        list={list}
        empty=""
        render={({ person }) => (
          <PersonRow key={person.id} person={person}>
            <BlockAct person={person} relation={{ state: 'none', blocking: true }} />
          </PersonRow>
        )}
      />
    </Section>
  )
}
