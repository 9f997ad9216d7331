import type { Friend, Person } from '../../api-types.ts'
import { useList } from '../../hooks/use-load.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { FindPeople } from './find-people.tsx'
import { PersonRow } from './person-row.tsx'

interface PickPeopleProps {
  readonly picked: readonly Person[]
  readonly onPick: (picked: readonly Person[]) => void
}

/** Chooses several people: friends, or whoever is found by name. */
export const PickPeople = ({ picked, onPick }: PickPeopleProps) => {
  const { user } = useProduct()
  const friends = useList<Friend>('/friends', ['friends'])
  const render = (person: Person) => {
    const has = picked.some(({ id }) => id === person.id)
    return (
      <PersonRow key={person.id} person={person}>
        <button
          type="button"
          className="quiet"
          aria-label={has ? text.unpickOf(person.displayName) : text.pickOf(person.displayName)}
          onClick={() => onPick(has ? picked.filter(({ id }) => id !== person.id) : [...picked, person])}
          disabled={person.id === user}
        >
          {has ? text.unpick : text.pick}
        </button>
      </PersonRow>
    )
  }
  const others = (friends.items ?? []).map(({ person }) => person).filter(({ id }) => !picked.some(p => p.id === id))
  return (
    <div className="pick">
      {picked.length > 0 && <ul className="rows picked">{picked.map(render)}</ul>}
      {others.length > 0 && <ul className="rows">{others.map(render)}</ul>}
      <FindPeople render={render} />
    </div>
  )
}
