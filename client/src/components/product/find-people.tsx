import { useId, useState, type ReactNode } from 'react'
import type { Person } from '../../api-types.ts'
import { useList } from '../../hooks/use-load.ts'
import { useSettled } from '../../hooks/use-settled.ts'
import { text } from '../../text/text.ts'
import { Listing } from './screen.tsx'

/** Fewer letters than this find nobody. */
const LEAST = 2
/** How many are shown at once: of each it may be asked how one stands to them. */
const SHOWN = '20'

interface FindPeopleProps {
  readonly render: (person: Person) => ReactNode
}

/** Searches people by the beginning of their name. */
export const FindPeople = ({ render }: FindPeopleProps) => {
  const id = useId()
  const [typed, setTyped] = useState('')
  const search = useSettled(typed.trim())
  const enough = Array.from(search).length >= LEAST
  const found = useList<Person>(enough ? `/users?${new URLSearchParams({ search, limit: SHOWN })}` : undefined, [])
  return (
    <div className="find">
      <label htmlFor={id} className="sr-only">
        {text.findPeople}
      </label>
      <input
        id={id}
        type="search"
        value={typed}
        onChange={event => setTyped(event.target.value)}
        placeholder={text.findPeople}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
      />
      {enough && <Listing list={found} empty={text.nobodyFound} render={render} />}
    </div>
  )
}
