import type { Person, Relation } from '../../api-types.ts'
import { go } from '../../hooks/use-place.ts'
import { useLoad } from '../../hooks/use-load.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { ActButton } from './act-button.tsx'

interface RelationProps {
  readonly person: Person
  /** How one stands to them. */
  readonly relation: Relation
}

/** What can be done about a friendship, as it stands. */
export const FriendshipActs = ({ person: { id, displayName }, relation: { state, blocking } }: RelationProps) => {
  const { api, changes } = useProduct()
  const after = (work: () => Promise<unknown>) => async () => {
    await work()
    changes.happened('friends', 'notifications')
  }
  if (blocking) return null
  if (state === 'friends') {
    return (
      <ActButton grave act={after(() => api.delete(`/friends/${id}`))} whom={displayName}>
        {text.removeFriend}
      </ActButton>
    )
  }
  if (state === 'requested') {
    return (
      <ActButton act={after(() => api.delete(`/friend-requests/${id}`))} whom={displayName}>
        {text.cancelRequest}
      </ActButton>
    )
  }
  if (state === 'asked') {
    return (
      <>
        <ActButton strong act={after(() => api.post(`/friend-requests/${id}/accept`))} whom={displayName}>
          {text.accept}
        </ActButton>
        <ActButton act={after(() => api.post(`/friend-requests/${id}/decline`))} whom={displayName}>
          {text.decline}
        </ActButton>
      </>
    )
  }
  return (
    <ActButton act={after(() => api.put(`/friend-requests/${id}`))} whom={displayName}>
      {text.addFriend}
    </ActButton>
  )
}

export const BlockAct = ({ person: { id, displayName }, relation: { blocking } }: RelationProps) => {
  const { api, changes } = useProduct()
  const set = async (): Promise<void> => {
    await (blocking ? api.delete(`/blocks/${id}`) : api.put(`/blocks/${id}`))
    changes.happened('friends')
  }
  return (
    <ActButton act={set} grave={!blocking} whom={displayName}>
      {blocking ? text.unblock : text.block}
    </ActButton>
  )
}

/** Opens the direct room with somebody. */
export const MessageAct = ({ person: { id, displayName } }: { readonly person: Person }) => {
  const product = useProduct()
  const open = async (): Promise<void> => {
    const room = await product.direct(id)
    go(`#/room/${room.id}`)
  }
  return (
    <ActButton act={open} whom={displayName}>
      {text.message}
    </ActButton>
  )
}

/** The same for somebody of whom only the name is known: how one stands to them is asked for. */
export const AllActs = ({ person }: { readonly person: Person }) => {
  const { user } = useProduct()
  return person.id === user ? <span className="faint">{text.thatsYou}</span> : <Known person={person} />
}

const Known = ({ person }: { readonly person: Person }) => {
  const { data: relation } = useLoad<Relation>(`/friends/${person.id}`, ['friends'])
  if (!relation) return null
  return (
    <>
      {!relation.blocking && <MessageAct person={person} />}
      <FriendshipActs person={person} relation={relation} />
      <BlockAct person={person} relation={relation} />
    </>
  )
}
