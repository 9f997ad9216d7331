import { useState } from 'react'
import type { RoomInfo } from '../../api-types.ts'
import { useList } from '../../hooks/use-load.ts'
import { useSettled } from '../../hooks/use-settled.ts'
import { text } from '../../text/text.ts'
import { Listing, Screen } from './screen.tsx'

/** Public rooms, by the beginning of their name. */
export const BrowseScreen = () => {
  const [typed, setTyped] = useState('')
  const search = useSettled(typed.trim())
  const rooms = useList<RoomInfo>(`/rooms/public${search ? `?${new URLSearchParams({ search })}` : ''}`, ['rooms'])
  return (
    <Screen title={text.browse}>
      <input
        type="search"
        value={typed}
        onChange={event => setTyped(event.target.value)}
        aria-label={text.findRoom}
        placeholder={text.findRoom}
        autoComplete="off"
        spellCheck={false}
      />
      <Listing
        list={rooms}
        empty={search ? text.noRoomsFound : text.noPublicRooms}
        render={room => <RoomRow key={room.id} room={room} />}
      />
    </Screen>
  )
}

const RoomRow = ({ room }: { readonly room: RoomInfo }) => (
  <li className="row">
    <a className="who stacked" href={`#/room/${room.id}`}>
      <span className="who-name">#&nbsp;{room.name}</span>
      <span className="faint">
        {[text.membersIn(room.memberCount), room.role && text[`role.${room.role}`], room.about]
          .filter(Boolean)
          .join(' · ')}
      </span>
    </a>
  </li>
)
