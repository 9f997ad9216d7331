import type { Dated, Friend } from '../../api-types.ts'
import { useList } from '../../hooks/use-load.ts'
import { text } from '../../text/text.ts'
import { FindPeople } from './find-people.tsx'
import { PersonRow } from './person-row.tsx'
import { AllActs, BlockAct, FriendshipActs, MessageAct } from './relation.tsx'
import { Listing, Screen, Section } from './screen.tsx'

/** Friends, requests both ways, whom one has blocked, and a way to find others. */
export const FriendsScreen = () => {
  const friends = useList<Friend>('/friends', ['friends'])
  const asked = useList<Dated>('/friend-requests?direction=asked', ['friends'])
  const requested = useList<Dated>('/friend-requests?direction=requested', ['friends'])
  const blocks = useList<Dated>('/blocks', ['friends'])
  return (
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
      {asked.items && asked.items.length > 0 && (
        <Section title={text.requestsToYou}>
          <Listing list={asked} empty="" render={each => <Request key={each.person.id} {...each} state="asked" />} />
        </Section>
      )}
      {requested.items && requested.items.length > 0 && (
        <Section title={text.requestsByYou}>
          <Listing
            list={requested}
            empty=""
            render={each => <Request key={each.person.id} {...each} state="requested" />}
          />
        </Section>
      )}
      <Section title={text.yourFriends}>
        <Listing
          list={friends}
          empty={text.noFriends}
          render={({ person, online, lastSeen }) => (
            <PersonRow key={person.id} person={person} online={online} lastSeen={lastSeen}>
              <MessageAct person={person} />
              <FriendshipActs person={person} relation={{ state: 'friends', blocking: false }} />
            </PersonRow>
          )}
        />
      </Section>
      {blocks.items && blocks.items.length > 0 && (
        <Section title={text.blocked}>
          <Listing
            list={blocks}
            empty=""
            render={({ person }) => (
              <PersonRow key={person.id} person={person}>
                <BlockAct person={person} relation={{ state: 'none', blocking: true }} />
              </PersonRow>
            )}
          />
        </Section>
      )}
    </Screen>
  )
}

const Request = ({ person, state }: Dated & { readonly state: 'asked' | 'requested' }) => (
  <PersonRow person={person}>
    <FriendshipActs person={person} relation={{ state, blocking: false }} />
  </PersonRow>
)
