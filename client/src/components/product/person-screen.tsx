import { useEffect } from 'react'
import type { Person, PresenceOf } from '../../api-types.ts'
import { useLoad } from '../../hooks/use-load.ts'
import { useLastSeen, useOnline, useProduct } from '../../hooks/use-product.ts'
import { formatBrief, text } from '../../text/text.ts'
import { Avatar } from '../avatar.tsx'
import { ProblemPage } from './problem-page.tsx'
import { Dot } from './person-row.tsx'
import { AllActs } from './relation.tsx'
import { Screen, Waiting } from './screen.tsx'

/** Somebody: who they are, whether they are there, what can be done. */
export const PersonScreen = ({ user }: { readonly user: string }) => {
  const { people } = useProduct()
  const { data: person, problem } = useLoad<Person>(`/users/${user}`, [])
  const presence = useLoad<{ readonly items: readonly PresenceOf[] }>(`/presence?user=${user}`, ['friends']).data
    ?.items[0]
  const online = useOnline(user) ?? presence?.online
  const seen = useLastSeen(user, { online: presence?.online, lastSeen: presence?.lastSeen })
  useEffect(() => {
    if (person) people.put([person])
  }, [people, person])
  if (!person) return problem ? <ProblemPage problem={problem} /> : <Waiting title={text.person} />
  return (
    <Screen title={person.displayName}>
      <div className="profile">
        <span className="avatar-frame large">
          <Avatar name={person.displayName} />
          <Dot online={online} />
        </span>
        <p className="who-name">{person.displayName}</p>
        <p className="faint">@{person.name}</p>
        {person.statusText && <p>{person.statusText}</p>}
        {seen !== undefined && <p className="faint">{text.lastSeen(formatBrief(seen))}</p>}
        {online && <p className="faint">{text.isOnline}</p>}
        <p className="acts">
          <AllActs person={person} />
        </p>
      </div>
    </Screen>
  )
}
