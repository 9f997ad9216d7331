import { useMemo, useState } from 'react'
import type { Ban, Member, Role, RoomInfo } from '../../api-types.ts'
import type { RoomId } from '../../chat/index.ts'
import { useKnown } from '../../hooks/use-known.ts'
import { useList, useLoad } from '../../hooks/use-load.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { ActButton } from './act-button.tsx'
import { PersonRow } from './person-row.tsx'
import { ProblemPage } from './problem-page.tsx'
import { AllActs } from './relation.tsx'
import { leads, titleOf } from './room-rights.ts'
import { Listing, Screen, Section, Waiting } from './screen.tsx'

const rank: Readonly<Record<Role, number>> = { member: 0, admin: 1, owner: 2 }

/** Who is in a room, and for those who lead it what they can do about it. */
export const MembersScreen = ({ id }: { readonly id: RoomId }) => {
  const { data: room, problem } = useLoad<RoomInfo>(`/rooms/${id}`, ['rooms', `room ${id}`])
  const members = useList<Member>(`/rooms/${id}/members`, [`room ${id}`])
  useKnown(useMemo(() => members.items?.map(({ person }) => person), [members.items]))
  if (!room) return problem ? <ProblemPage problem={problem} /> : <Waiting title={text.members} />
  return (
    <Screen title={text.members} back={{ href: `#/room/${id}`, label: titleOf(room) }}>
      <p className="faint">{text.memberCount(room.memberCount, room.maxMembers)}</p>
      <Listing
        list={members}
        empty=""
        render={member => <MemberRow key={member.person.id} room={room} member={member} />}
      />
      {leads(room) && <Bans id={id} />}
    </Screen>
  )
}

interface MemberRowProps {
  readonly room: RoomInfo
  readonly member: Member
}

const MemberRow = ({ room, member: { person, role } }: MemberRowProps) => {
  const { user } = useProduct()
  const [open, setOpen] = useState(false)
  const note = `@${person.name} · ${text[`role.${role}`]}`
  const below = room.role !== undefined && rank[room.role] > rank[role] && leads(room)
  if (person.id === user) {
    return (
      <PersonRow person={person} note={note}>
        <span className="faint">{text.thatsYou}</span>
      </PersonRow>
    )
  }
  const acts = (
    <>
      <AllActs person={person} />
      {below && <LeaderActs room={room} person={person} role={role} />}
    </>
  )
  return (
    <PersonRow person={person} note={note} below={open && acts}>
      <button
        type="button"
        className="quiet"
        onClick={() => setOpen(!open)}
        aria-expanded={open}
        aria-label={text.actOn(text.acts, person.displayName)}
      >
        {text.acts}
      </button>
    </PersonRow>
  )
}

const LeaderActs = ({ room, person, role }: { readonly room: RoomInfo } & Pick<Member, 'person' | 'role'>) => {
  const { api, changes } = useProduct()
  const name = person.displayName
  const after = (work: () => Promise<unknown>) => async () => {
    await work()
    changes.happened('rooms', `room ${room.id}`)
  }
  const give = (wanted: Role) => after(() => api.put(`/rooms/${room.id}/members/${person.id}/role`, { role: wanted }))
  return (
    <>
      {room.role === 'owner' && (
        <>
          <ActButton act={give(role === 'admin' ? 'member' : 'admin')} whom={name}>
            {role === 'admin' ? text.makeMember : text.makeAdmin}
          </ActButton>
          <ActButton act={give('owner')} grave whom={name}>
            {text.handOn}
          </ActButton>
        </>
      )}
      <ActButton act={after(() => api.delete(`/rooms/${room.id}/members/${person.id}`))} grave whom={name}>
        {text.kick}
      </ActButton>
      <ActButton act={after(() => api.put(`/rooms/${room.id}/bans/${person.id}`))} grave whom={name}>
        {text.ban}
      </ActButton>
    </>
  )
}

const Bans = ({ id }: { readonly id: RoomId }) => {
  const { api, changes } = useProduct()
  const bans = useList<Ban>(`/rooms/${id}/bans`, [`room ${id}`])
  const lift = (user: string) => async (): Promise<void> => {
    await api.delete(`/rooms/${id}/bans/${user}`)
    changes.happened(`room ${id}`)
  }
  return (
    <Section title={text.banned}>
      <Listing
        list={bans}
        empty={text.nobodyBanned}
        render={({ person }) => (
          <PersonRow key={person.id} person={person}>
            <ActButton act={lift(person.id)} whom={person.displayName}>
              {text.liftBan}
            </ActButton>
          </PersonRow>
        )}
      />
    </Section>
  )
}
