import { useState } from 'react'
import type { Invitation, InvitationLink, Member, Person, RoomInfo } from '../../api-types.ts'
import type { RoomId } from '../../chat/index.ts'
import { useAct } from '../../hooks/use-act.ts'
import { useList, useLoad } from '../../hooks/use-load.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { formatBrief, text } from '../../text/text.ts'
import { ActButton } from './act-button.tsx'
import { PersonRow } from './person-row.tsx'
import { PickPeople } from './pick-people.tsx'
import { ProblemPage } from './problem-page.tsx'
import { leads, titleOf } from './room-rights.ts'
import { Listing, Screen, Section, Trouble, Waiting } from './screen.tsx'

/** Asks people into a room: by name, or by a link to give away. */
export const InviteScreen = ({ id }: { readonly id: RoomId }) => {
  const { data: room, problem } = useLoad<RoomInfo>(`/rooms/${id}`, ['rooms', `room ${id}`])
  if (!room) return problem ? <ProblemPage problem={problem} /> : <Waiting title={text.invite} />
  return (
    <Screen title={text.invite} back={{ href: `#/room/${id}`, label: titleOf(room) }}>
      <Section title={text.invitePeople}>
        <InviteForm id={id} />
      </Section>
      {leads(room) && (
        <>
          <Invited id={id} />
          <Links id={id} />
        </>
      )}
    </Screen>
  )
}

const InviteForm = ({ id }: { readonly id: RoomId }) => {
  const { api, changes } = useProduct()
  const { busy, problem, run } = useAct()
  const [picked, setPicked] = useState<readonly Person[]>([])
  const [sent, setSent] = useState(false)
  const { items: members } = useList<Member>(`/rooms/${id}/members`, [`room ${id}`])
  const send = (): void => {
    setSent(false)
    run(async () => {
      await api.create(`/rooms/${id}/invitations`, { users: picked.map(person => person.id) })
      setPicked([])
      setSent(true)
      changes.happened(`room ${id}`)
    })
  }
  return (
    <>
      <PickPeople picked={picked} onPick={setPicked} members={new Set(members?.map(({ person }) => person.id))} />
      <Trouble problem={problem} />
      <p className="form-end">
        <button type="button" className="primary" onClick={send} disabled={picked.length === 0} aria-disabled={busy}>
          {text.sendInvitations}
        </button>
        <span role="status" className="faint">
          {sent ? text.invitationsSent : ''}
        </span>
      </p>
    </>
  )
}

const Invited = ({ id }: { readonly id: RoomId }) => {
  const { api, changes } = useProduct()
  const invited = useList<Invitation>(`/rooms/${id}/invitations`, ['invitations', `room ${id}`])
  const revoke = (invitation: string) => async (): Promise<void> => {
    await api.post(`/invitations/${invitation}/revoke`)
    changes.happened(`room ${id}`)
  }
  return (
    <Section title={text.invited}>
      <Listing
        list={invited}
        empty={text.nobodyInvited}
        render={({ id: invitation, invitee }) => (
          <PersonRow key={invitation} person={invitee}>
            <ActButton act={revoke(invitation)} whom={invitee.displayName}>
              {text.revoke}
            </ActButton>
          </PersonRow>
        )}
      />
    </Section>
  )
}

const Links = ({ id }: { readonly id: RoomId }) => {
  const { api, changes } = useProduct()
  const links = useList<InvitationLink>(`/rooms/${id}/links`, [`room ${id}`])
  const [made, setMade] = useState<string>()
  const make = async (): Promise<void> => {
    const { token } = await api.post<{ readonly token: string }>(`/rooms/${id}/links`, {})
    setMade(`${location.origin}${location.pathname}#/join/${token}`)
    changes.happened(`room ${id}`)
  }
  const revoke = (link: string) => async (): Promise<void> => {
    await api.delete(`/rooms/${id}/links/${link}`)
    changes.happened(`room ${id}`)
  }
  return (
    <Section title={text.links}>
      <p className="faint">{text.linksHint}</p>
      {made && <MadeLink address={made} />}
      <p className="acts start">
        <ActButton strong act={make}>
          {text.makeLink}
        </ActButton>
      </p>
      <Listing
        list={links}
        empty={text.noLinks}
        render={link => (
          <li key={link.id} className="row">
            <span className="who-text">
              <span>{text.linkUses(link.uses)}</span>
              <span className="faint">
                {text[`link.${link.state}`]} · {formatBrief(link.createdAt)}
              </span>
            </span>
            {link.state === 'open' && (
              <span className="acts">
                <ActButton act={revoke(link.id)}>{text.revoke}</ActButton>
              </span>
            )}
          </li>
        )}
      />
    </Section>
  )
}

/** It is shown this once. Pages that came over plain HTTP have no clipboard: there it is copied by hand. */
const MadeLink = ({ address }: { readonly address: string }) => {
  const [copied, setCopied] = useState(false)
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(address)
    setCopied(true)
  }
  return (
    <p className="made-link">
      <input readOnly value={address} aria-label={text.newLink} onFocus={event => event.target.select()} />
      {isSecureContext && <ActButton act={copy}>{copied ? text.linkCopied : text.copy}</ActButton>}
    </p>
  )
}
