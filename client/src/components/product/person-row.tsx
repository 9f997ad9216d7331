import type { ReactNode } from 'react'
import type { Person } from '../../api-types.ts'
import { useLastSeen, useOnline } from '../../hooks/use-product.ts'
import { formatBrief, text } from '../../text/text.ts'
import { Avatar } from '../avatar.tsx'

/** Whether somebody is there, where that is known. */
export const Dot = ({ online }: { readonly online: boolean | undefined }) =>
  online === undefined ? null : (
    <span className="presence" data-online={online} role="img" aria-label={online ? text.isOnline : text.isOffline} />
  )

interface PersonRowProps {
  readonly person: Person
  /** As it was when the list was read; what was told since counts more. */
  readonly online?: boolean | undefined
  /** Epoch ms. */
  readonly lastSeen?: number | undefined
  /** What stands below the name; absent: the status. */
  readonly note?: ReactNode
  readonly chosen?: boolean
  /** What can be done. */
  readonly children?: ReactNode
  /** What more can be done, on lines of its own. */
  readonly below?: ReactNode
}

/** Somebody in a list. */
export const PersonRow = ({ person, online, lastSeen, note, chosen = false, children, below }: PersonRowProps) => {
  const now = useOnline(person.id) ?? online
  const left = useLastSeen(person.id, { online, lastSeen })
  const seen = left === undefined ? undefined : text.lastSeen(formatBrief(left))
  return (
    <li className={chosen ? 'row fresh' : 'row'}>
      <a className="who" href={`#/person/${person.id}`}>
        <span className="avatar-frame">
          <Avatar name={person.displayName || text.goneUser} />
          <Dot online={now} />
        </span>
        <span className="who-text">
          <span className="who-name">{person.displayName || text.goneUser}</span>
          <span className="faint">
            {note ?? [`@${person.name}`, person.statusText, seen].filter(Boolean).join(' · ')}
          </span>
        </span>
      </a>
      {children && <span className="acts">{children}</span>}
      {below && <span className="acts below">{below}</span>}
    </li>
  )
}
