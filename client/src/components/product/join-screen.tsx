import type { RoomInfo } from '../../api-types.ts'
import { go } from '../../hooks/use-place.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { Logo } from '../icons.tsx'
import { ActButton } from './act-button.tsx'
import { Screen } from './screen.tsx'

/** Where a link to a room leads: nobody joins by merely following it. */
export const JoinScreen = ({ token }: { readonly token: string }) => {
  const { api, changes } = useProduct()
  const join = async (): Promise<void> => {
    const room = await api.post<RoomInfo>('/links/join', { token })
    changes.happened('rooms', 'invitations')
    go(`#/room/${room.id}`)
  }
  return (
    <Screen title={text.joinByLink}>
      <div className="blank">
        <Logo />
        <h2>{text.joinByLink}</h2>
        <p>{text.joinByLinkHint}</p>
        <ActButton strong act={join}>
          {text.joinRoomNow}
        </ActButton>
      </div>
    </Screen>
  )
}
