import type { Friend, Person } from '../../api-types.ts'
import { useList } from '../../hooks/use-load.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { FindPeople } from './find-people.tsx'
import { PersonRow } from './person-row.tsx'
import { Listing } from './screen.tsx'

interface PickPeopleProps {
  readonly picked: readonly Person[]
  readonly onPick: (picked: readonly Person[]) => void
  /** Those who are in already. */
  readonly members?: ReadonlySet<string>
}

const NOBODY: ReadonlySet<string> = new Set()

/** Chooses several people: friends, or whoever is found by name. */
export const PickPeople = ({ picked, onPick, members = NOBODY }: PickPeopleProps) => {
  const { user } = useProduct()
  const friends = useList<Friend>('/friends', ['friends'])
  const known = (friends.items ?? []).map(({ person }) => person)
  // Whoever is a friend keeps their place, so that the button just pressed does.
  const others = picked.filter(({ id }) => !known.some(friend => friend.id === id))
  const render = (person: Person) => {
    const has = picked.some(({ id }) => id === person.id)
    return (
      <PersonRow key={person.id} person={person} chosen={has}>
        {person.id === user || members.has(person.id) ? (
          <span className="faint">{person.id === user ? text.thatsYou : text['role.member']}</span>
        ) : (
          <button
            type="button"
            className="quiet"
            aria-label={text.actOn(has ? text.unpick : text.pick, person.displayName)}
            onClick={() => onPick(has ? picked.filter(({ id }) => id !== person.id) : [...picked, person])}
          >
            {has ? text.unpick : text.pick}
          </button>
        )}
      </PersonRow>
    )
  }
  return (
    <div className="pick">
      {others.length + known.length > 0 && (
        <Listing list={{ ...friends, items: [...others, ...known] }} empty="" render={render} />
      )}
      <FindPeople render={render} />
      <p className="faint" role="status">
        {picked.length > 0 ? text.pickedCount(picked.length) : ''}
      </p>
    </div>
  )
}
