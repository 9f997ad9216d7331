import type { Invitation, RoomInfo } from '../../api-types.ts'
import type { List } from '../../hooks/use-load.ts'
import { go } from '../../hooks/use-place.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { ActButton } from './act-button.tsx'
import { Listing } from './screen.tsx'

/** Invitations that wait for an answer. */
export const Invitations = ({ list }: { readonly list: List<Invitation> }) => (
  <Listing list={list} empty={text.noInvitations} render={each => <Row key={each.id} invitation={each} />} />
)

const Row = ({ invitation: { id, room, inviter } }: { readonly invitation: Invitation }) => {
  const { api, changes } = useProduct()
  const answer = async (how: 'accept' | 'decline'): Promise<void> => {
    await api.post<RoomInfo | undefined>(`/invitations/${id}/${how}`)
    changes.happened('rooms', 'invitations', 'notifications', `room ${room.id}`)
    if (how === 'accept') go(`#/room/${room.id}`)
  }
  return (
    <li className="row">
      <span className="who-text">
        <span className="who-name">#&nbsp;{room.name}</span>
        <span className="faint">{text.invitedBy(inviter.displayName || text.goneUser)}</span>
      </span>
      <span className="acts">
        <ActButton strong act={() => answer('accept')} whom={room.name}>
          {text.accept}
        </ActButton>
        <ActButton act={() => answer('decline')} whom={room.name}>
          {text.decline}
        </ActButton>
      </span>
    </li>
  )
}
