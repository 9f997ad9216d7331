import { useSyncExternalStore } from 'react'
import type { RoomId } from '../../chat/index.ts'
import { useNames, useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'

/** More names than this are counted, not said. */
const MOST = 3

/** Who is writing, and who has read to the end. */
export const CompanyLine = ({ room }: { readonly room: RoomId }) => {
  const { chat, user } = useProduct()
  const { typing, reads } = useSyncExternalStore(chat.subscribe, () => chat.company(room))
  const newest = useSyncExternalStore(chat.subscribe, () => chat.room(room)?.messages.findLast(isSaid))
  const readers = newest === undefined ? [] : [...reads].filter(([, id]) => id === newest.id).map(([who]) => who)
  const seenBy = readers.filter(who => who !== newest?.sender)
  const writing = useNames(typing.slice(0, MOST))
  const seen = useNames(seenBy.slice(0, MOST))
  const line =
    typing.length > 0
      ? text.typing(typing.length, writing)
      : seenBy.length > 0 && newest?.sender === user
        ? seenBy.length > MOST
          ? text.seenByMany(seenBy.length)
          : text.seenBy(seen)
        : ''
  return (
    <p className="company" role="status">
      {line}
    </p>
  )
}

const isSaid = ({ type }: { readonly type?: string }): boolean => type === undefined || type === 'message'
