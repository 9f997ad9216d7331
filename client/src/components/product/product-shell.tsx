import { type ReactNode, useCallback, useEffect, useState } from 'react'
import type { RoomId } from '../../chat/index.ts'
import { useConnectionState } from '../../hooks/use-chat.ts'
import { useLoad } from '../../hooks/use-load.ts'
import { RoomsContext, useMyRooms } from '../../hooks/use-my-rooms.ts'
import { type Place, placeIn, useFragment } from '../../hooks/use-place.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { UnreadContext, useWake } from '../../hooks/use-seen.ts'
import { useUnread } from '../../hooks/use-unread.ts'
import { explain, text } from '../../text/text.ts'
import { Frame } from '../frame.tsx'
import { AccountScreen } from './account-screen.tsx'
import { BrowseScreen } from './browse-screen.tsx'
import { DevicesScreen } from './devices-screen.tsx'
import { FriendsScreen } from './friends-screen.tsx'
import { HomeScreen } from './home-screen.tsx'
import { InviteScreen } from './invite-screen.tsx'
import { JoinScreen } from './join-screen.tsx'
import { MembersScreen } from './members-screen.tsx'
import { NewRoomScreen } from './new-room-screen.tsx'
import { NotificationsScreen } from './notifications-screen.tsx'
import { PersonScreen } from './person-screen.tsx'
import { LostPage } from './problem-page.tsx'
import { ProductSide } from './product-side.tsx'
import { RoomScreen } from './room-screen.tsx'
import { MenuContext } from './screen.tsx'
import { SettingsScreen } from './settings-screen.tsx'

/** Everything that somebody who is signed in sees. */
export const ProductShell = () => {
  const { chat } = useProduct()
  const place = placeIn(useFragment())
  const here = place.is === 'room' ? place.room : undefined
  const [visited, visit] = useState<RoomId>()
  const rooms = useMyRooms(visited === here ? here : undefined)
  const items = rooms.items ?? []
  const news = useLoad<{ readonly unread: number }>('/notifications/unread', ['notifications']).data?.unread ?? 0
  useWake(chat)
  const unread = useUnread(items)
  return (
    <Frame
      side={<ProductSide rooms={rooms} place={place} news={news} />}
      label={text.ways}
      where={JSON.stringify(place)}
      render={menu => (
        <UnreadContext value={news + unread}>
          <RoomsContext value={items}>
            <MenuContext value={menu}>
              <Announcement />
              <Refused />
              {screenOf(place, visit)}
            </MenuContext>
          </RoomsContext>
        </UnreadContext>
      )}
    />
  )
}

const screenOf = (place: Place, onVisit: (id: RoomId) => void): ReactNode => {
  switch (place.is) {
    case 'room':
      return <RoomScreen key={place.room} id={place.room} onVisit={onVisit} />
    case 'members':
      return <MembersScreen key={place.room} id={place.room} />
    case 'settings':
      return <SettingsScreen key={place.room} id={place.room} />
    case 'invite':
      return <InviteScreen key={place.room} id={place.room} />
    case 'person':
      return <PersonScreen key={place.user} user={place.user} />
    case 'join':
      return <JoinScreen token={place.token} />
    case 'friends':
      return <FriendsScreen />
    case 'notifications':
      return <NotificationsScreen />
    case 'account':
      return <AccountScreen />
    case 'devices':
      return <DevicesScreen />
    case 'rooms':
      return <BrowseScreen />
    case 'new':
      return <NewRoomScreen />
    case 'lost':
      return <LostPage />
    // Whoever is in has signed in.
    case 'home':
    case 'sign-in':
    case 'sign-up':
      return <HomeScreen />
  }
}

/** What an admin says to everybody. */
const Announcement = () => {
  const { chat } = useProduct()
  const [said, setSaid] = useState<string>()
  const hear = useCallback((body: unknown) => {
    if (typeof body === 'object' && body !== null && 'text' in body && typeof body.text === 'string') setSaid(body.text)
  }, [])
  useEffect(
    () => chat.onEvent(event => event.is === 'event' && event.type === 'announcement' && hear(event.body)),
    [chat, hear],
  )
  if (said === undefined) return null
  return (
    <div className="banner" role="alert">
      <p>{said}</p>
      <button type="button" className="quiet" onClick={() => setSaid(undefined)}>
        {text.closeRooms}
      </button>
    </div>
  )
}

/** Why there will be no connection unless one asks for it. */
const Refused = () => {
  const { chat } = useProduct()
  const state = useConnectionState(chat)
  if (state.is !== 'refused') return null
  return (
    <div className="banner" role="alert">
      <p>{explain(state.problem.code)}</p>
      <button type="button" className="quiet" onClick={() => chat.signIn({ token: '' })}>
        {text.again}
      </button>
    </div>
  )
}
