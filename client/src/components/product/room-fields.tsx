import type { OpenVisibility, RoomInfo } from '../../api-types.ts'
import type { Problem } from '../../chat/index.ts'
import { explain, text } from '../../text/text.ts'
import { Field } from '../field.tsx'
import { VisibilityField } from './visibility-field.tsx'

/** What the server takes of what a room says of itself. */
const MOST_ABOUT = 500

/** What those who lead a room say of it. */
export interface RoomSaid {
  readonly name: string
  readonly about: string
  readonly visibility: OpenVisibility
}

/** What RoomFields tell of. */
export const ROOM_TOLD = ['BAD_NAME']

export const saidOfRoom = ({ name = '', about, visibility }: RoomInfo): RoomSaid => ({
  name,
  about,
  visibility: visibility === 'public' ? 'public' : 'private',
})

interface RoomFieldsProps {
  readonly problem: Problem | undefined
  readonly value: RoomSaid
  readonly onChange: (change: Partial<RoomSaid>) => void
  /** Who may read it is for others to say. */
  readonly withVisibility?: boolean
  readonly focus?: boolean
}

/** A room's name and topic, and who may read it. */
export const RoomFields = ({ problem, value, onChange, withVisibility = true, focus = false }: RoomFieldsProps) => (
  <>
    <Field
      label={text.roomName}
      hint={text.roomNameHint}
      wrong={problem?.code === 'BAD_NAME' ? explain('BAD_ROOM_NAME') : undefined}
      value={value.name}
      onChange={name => onChange({ name })}
      focus={focus}
    />
    <Field
      label={text.topic}
      hint={text.topicHint}
      wrong={undefined}
      value={value.about}
      onChange={about => onChange({ about })}
      most={MOST_ABOUT}
    />
    {withVisibility && <VisibilityField value={value.visibility} onChange={visibility => onChange({ visibility })} />}
  </>
)
