import { type FormEvent, useId, useState } from 'react'
import type { OpenVisibility, Person, RoomInfo } from '../../api-types.ts'
import { useAct } from '../../hooks/use-act.ts'
import { go } from '../../hooks/use-place.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { explain, text } from '../../text/text.ts'
import { Field } from '../field.tsx'
import { PickPeople } from './pick-people.tsx'
import { Screen, Section, Trouble } from './screen.tsx'
import { VisibilityField } from './visibility-field.tsx'

/** Makes a room, and invites people to it at once. */
export const NewRoomScreen = () => {
  const { api, changes } = useProduct()
  const { busy, problem, run } = useAct()
  const form = useId()
  const [name, setName] = useState('')
  const [about, setAbout] = useState('')
  const [visibility, setVisibility] = useState<OpenVisibility>('private')
  const [invited, setInvited] = useState<readonly Person[]>([])
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    run(async () => {
      const invite = invited.map(({ id }) => id)
      const room = await api.create<RoomInfo>('/rooms', { name, about, visibility, invite })
      changes.happened('rooms')
      go(`#/room/${room.id}`)
    })
  }
  const badName = problem?.code === 'BAD_NAME'
  return (
    <Screen title={text.newRoom}>
      <form id={form} className="form" onSubmit={submit} noValidate>
        <Field
          label={text.roomName}
          hint={text.roomNameHint}
          wrong={badName ? explain('BAD_ROOM_NAME') : undefined}
          value={name}
          onChange={setName}
          focus
        />
        <Field label={text.topic} hint={text.topicHint} wrong={undefined} value={about} onChange={setAbout} />
        <VisibilityField value={visibility} onChange={setVisibility} />
      </form>
      <Section title={text.inviteNow}>
        <PickPeople picked={invited} onPick={setInvited} />
      </Section>
      {!badName && <Trouble problem={problem} />}
      <p className="form-end">
        <button type="submit" form={form} className="primary" disabled={busy}>
          {text.makeRoom}
        </button>
      </p>
    </Screen>
  )
}
