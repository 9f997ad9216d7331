import { useId, useState } from 'react'
import type { Person, RoomInfo } from '../../api-types.ts'
import { useAct } from '../../hooks/use-act.ts'
import { go } from '../../hooks/use-place.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { Form, FormEnd } from './form.tsx'
import { PickPeople } from './pick-people.tsx'
import { ROOM_TOLD, RoomFields, type RoomSaid } from './room-fields.tsx'
import { Screen, Section } from './screen.tsx'

/** Makes a room, and invites people to it at once. */
export const NewRoomScreen = () => {
  const { api, changes } = useProduct()
  const act = useAct()
  const form = useId()
  const [said, say] = useState<RoomSaid>({ name: '', about: '', visibility: 'private' })
  const [invited, setInvited] = useState<readonly Person[]>([])
  const submit = (): void =>
    act.run(async () => {
      const room = await api.create<RoomInfo>('/rooms', { ...said, invite: invited.map(({ id }) => id) })
      changes.happened('rooms')
      go(`#/room/${room.id}`)
    })
  return (
    <Screen title={text.newRoom}>
      <Form id={form} problem={act.problem} onSubmit={submit}>
        <RoomFields
          problem={act.problem}
          value={said}
          onChange={change => say(before => ({ ...before, ...change }))}
          focus
        />
      </Form>
      <Section title={text.inviteNow}>
        <PickPeople picked={invited} onPick={setInvited} />
      </Section>
      <FormEnd act={act} told={ROOM_TOLD} form={form}>
        {text.makeRoom}
      </FormEnd>
    </Screen>
  )
}
