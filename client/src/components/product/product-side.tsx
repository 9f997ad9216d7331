import { memo, type ReactNode } from 'react'
import type { RoomInfo } from '../../api-types.ts'
import { useRoom } from '../../hooks/use-chat.ts'
import type { List } from '../../hooks/use-load.ts'
import type { Place } from '../../hooks/use-place.ts'
import { useMe, useOnline, useProduct } from '../../hooks/use-product.ts'
import { useUnread } from '../../hooks/use-unread.ts'
import { formatNumber, text } from '../../text/text.ts'
import { Avatar } from '../avatar.tsx'
import { AlertIcon, BellIcon, HomeIcon, Logo, PeopleIcon, PlusIcon, SearchIcon } from '../icons.tsx'
import { Dot } from './person-row.tsx'
import { titleOf } from './room-rights.ts'
import { Trouble } from './screen.tsx'

interface ProductSideProps {
  readonly rooms: List<RoomInfo>
  readonly place: Place
  /** How many notifications are unread. */
  readonly news: number
}

export const ProductSide = ({ rooms, place, news }: ProductSideProps) => {
  const me = useMe()
  const here = 'room' in place ? place.room : undefined
  const items = rooms.items ?? []
  const direct = items.filter(({ visibility }) => visibility === 'direct')
  const others = items.filter(({ visibility }) => visibility !== 'direct')
  const list = (listed: readonly RoomInfo[]): ReactNode => (
    <ul>
      {listed.map(room => (
        <RoomItem key={room.id} room={room} current={room.id === here} />
      ))}
    </ul>
  )
  return (
    <>
      <div className="side-top">
        <Logo />
        <span className="wordmark">Hoofbeat</span>
      </div>
      <nav className="rooms" aria-label={text.ways}>
        <ul className="side-ways">
          <Way href="#/" icon={<HomeIcon />} current={place.is === 'home'} label={text.home} />
          <Way
            href="#/notifications"
            icon={<BellIcon />}
            current={place.is === 'notifications'}
            label={text.notifications}
            count={news}
          />
          <Way href="#/friends" icon={<PeopleIcon />} current={place.is === 'friends'} label={text.friends} />
          <Way href="#/rooms" icon={<SearchIcon />} current={place.is === 'rooms'} label={text.browse} />
          <Way href="#/new" icon={<PlusIcon />} current={place.is === 'new'} label={text.newRoom} />
        </ul>
        <h2>{text.yourRooms}</h2>
        {rooms.items && others.length === 0 && <p className="faint pad">{text.noRoomsYet}</p>}
        {list(others)}
        {direct.length > 0 && <h2>{text.directRooms}</h2>}
        {list(direct)}
        {!rooms.items && <Trouble problem={rooms.problem} />}
        {rooms.more && (
          <button type="button" className="quiet" onClick={rooms.more}>
            {text.more}
          </button>
        )}
      </nav>
      <div className="me">
        <a className="who" href="#/account">
          <Avatar name={me?.displayName ?? ''} />
          <span className="me-name">
            <span className="sr-only">{text.account}: </span>
            {me?.displayName}
          </span>
        </a>
      </div>
    </>
  )
}

interface WayProps {
  readonly href: string
  readonly icon: ReactNode
  readonly label: string
  readonly current: boolean
  readonly count?: number
}

const Way = ({ href, icon, label, current, count = 0 }: WayProps) => (
  <li className={count > 0 ? 'room way unread' : 'room way'}>
    <a href={href} aria-current={current ? 'page' : undefined}>
      {icon}
      <span className="room-name">{label}</span>
      <Badge count={count} />
    </a>
  </li>
)

const Badge = ({ count }: { readonly count: number }) => {
  if (count === 0) return null
  const shown = count > 99 ? '99+' : formatNumber(count)
  return (
    <span className="badge">
      <span aria-hidden="true">{shown}</span>
      <span className="sr-only">{text.unread(shown)}</span>
    </span>
  )
}

interface RoomItemProps {
  readonly room: RoomInfo
  readonly current: boolean
}

const RoomItem = memo(({ room, current }: RoomItemProps) => {
  const { chat } = useProduct()
  const view = useRoom(chat, room.id)
  const online = useOnline(room.other?.id ?? '')
  const unread = useUnread([room])
  const direct = room.visibility === 'direct'
  return (
    <li className={['room', ...(unread > 0 ? ['unread'] : []), ...(direct ? ['direct'] : [])].join(' ')}>
      <a href={`#/room/${room.id}`} aria-current={current ? 'page' : undefined}>
        {direct && (
          <span className="presence-place">
            <Dot online={online} />
          </span>
        )}
        <span className="room-name">{titleOf(room)}</span>
        {view?.is === 'refused' && <AlertIcon />}
        <Badge count={unread} />
      </a>
    </li>
  )
})
