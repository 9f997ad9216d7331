import { type ReactNode, useCallback, useContext, useEffect, useLayoutEffect, useMemo } from 'react'
import type { Member, Page, RoomInfo } from '../../api-types.ts'
import type { Message, RoomId } from '../../chat/index.ts'
import { useRoom } from '../../hooks/use-chat.ts'
import { useKnown } from '../../hooks/use-known.ts'
import { useLoad } from '../../hooks/use-load.ts'
import { useOnline, useProduct } from '../../hooks/use-product.ts'
import { useTitleHere } from '../../hooks/use-seen.ts'
import { explain, text } from '../../text/text.ts'
import { GearIcon, InviteIcon, PeopleIcon } from '../icons.tsx'
import { RoomPane } from '../room-pane.tsx'
import { ActButton } from './act-button.tsx'
import { CompanyLine } from './company-line.tsx'
import { Dot } from './person-row.tsx'
import { ProblemPage } from './problem-page.tsx'
import { titleOf, mayInvite } from './room-rights.ts'
import { MenuContext, Waiting } from './screen.tsx'

interface RoomScreenProps {
  readonly id: RoomId
  /** That this room may be read: it is to be joined, as long as one is here. */
  readonly onVisit: (id: RoomId) => void
}

/** A room of the product: its messages, who writes, and the ways to its members and settings. */
export const RoomScreen = ({ id, onVisit }: RoomScreenProps) => {
  const { data: room, problem } = useLoad<RoomInfo>(`/rooms/${id}`, ['rooms', `room ${id}`])
  if (!room) return problem ? <ProblemPage problem={problem} /> : <Waiting />
  return <KnownRoom room={room} gone={problem?.code === 'NO_SUCH_ROOM'} onVisit={onVisit} />
}

interface KnownRoomProps extends Omit<RoomScreenProps, 'id'> {
  readonly room: RoomInfo
  /** It may not be seen any more. */
  readonly gone: boolean
}

const KnownRoom = ({ room, gone, onVisit }: KnownRoomProps) => {
  const { chat, reading, remembered, user } = useProduct()
  const menu = useContext(MenuContext)
  const view = useRoom(chat, room.id)
  const online = useOnline(room.other?.id ?? '')
  const ended = gone || view?.problem?.code === 'REMOVED'
  useEffect(() => onVisit(room.id), [room.id, onVisit])
  // Before what is shown is said to be read.
  useLayoutEffect(() => chat.listen(room.id), [chat, room.id])
  useTitleHere(titleOf(room))
  useMembersKnown(room)
  const seen = useCallback(
    (id: RoomId, messages: readonly Message[]): void => {
      if (room.role !== undefined) reading.see(room, messages, user)
      chat.sayRead(id, messages.at(-1)?.id ?? '')
    },
    [chat, reading, room, user],
  )
  return (
    <RoomPane
      chat={chat}
      room={room.id}
      title={titleOf(room)}
      about={aboutOf(room, online)}
      mark={room.visibility === 'direct' ? <DirectMark online={online} /> : undefined}
      remembered={remembered}
      onSeen={seen}
      menu={menu}
      tools={gone ? <span /> : <Tools room={room} />}
      below={<CompanyLine room={room.id} />}
      instead={insteadOf(room, ended, gone)}
      onType={() => chat.sayTyping(room.id)}
    />
  )
}

/** What stands where one would write, if one may not. */
const insteadOf = (room: RoomInfo, ended: boolean, gone: boolean): ReactNode => {
  if (gone || (ended && room.visibility !== 'public')) return <Ended />
  return room.role === undefined || ended ? <JoinBar room={room} kicked={ended} /> : undefined
}

const aboutOf = ({ visibility, about }: RoomInfo, online: boolean | undefined): string => {
  if (visibility !== 'direct') return about
  return online === undefined ? '' : online ? text.isOnline : text.isOffline
}

/** The same as is said below the title. */
const DirectMark = ({ online }: { readonly online: boolean | undefined }) => (
  <span aria-hidden="true">
    <Dot online={online} />
  </span>
)

/** Their names are wanted at once, and whether they are there. */
const useMembersKnown = ({ id }: RoomInfo): void => {
  const { data: members } = useLoad<Page<Member>>(`/rooms/${id}/members`, [`room ${id}`])
  useKnown(useMemo(() => members?.items.map(({ person }) => person), [members]))
}

const Tools = ({ room }: { readonly room: RoomInfo }) => {
  if (room.visibility === 'direct') {
    return (
      room.other && (
        <a className="icon-button" href={`#/person/${room.other.id}`} aria-label={text.person} title={text.person}>
          <PeopleIcon />
        </a>
      )
    )
  }
  return (
    <>
      {mayInvite(room) && (
        <a className="icon-button" href={`#/invite/${room.id}`} aria-label={text.invite} title={text.invite}>
          <InviteIcon />
        </a>
      )}
      <a className="icon-button" href={`#/members/${room.id}`} aria-label={text.members} title={text.members}>
        <PeopleIcon />
      </a>
      <a
        className="icon-button"
        href={`#/settings/${room.id}`}
        aria-label={text.roomSettings}
        title={text.roomSettings}
      >
        <GearIcon />
      </a>
    </>
  )
}

const Ended = () => (
  <p className="problem in-room" role="alert">
    {explain('REMOVED')}
  </p>
)

/** A public room is read by anyone, and written in by its members. */
const JoinBar = ({ room, kicked }: { readonly room: RoomInfo; readonly kicked: boolean }) => {
  const { api, changes, chat } = useProduct()
  const join = async (): Promise<void> => {
    await api.put(`/rooms/${room.id}/membership`)
    chat.join(room.id)
    changes.happened('rooms', 'invitations', `room ${room.id}`)
  }
  return (
    <div className="join-bar">
      <p className={kicked ? 'wrong' : 'faint'} role={kicked ? 'alert' : undefined}>
        {kicked ? explain('REMOVED') : text.readOnly}
      </p>
      <ActButton strong act={join}>
        {text.joinRoomNow}
      </ActButton>
    </div>
  )
}
