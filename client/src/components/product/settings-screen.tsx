import { useState } from 'react'
import type { RoomInfo } from '../../api-types.ts'
import type { RoomId } from '../../chat/index.ts'
import { useAct } from '../../hooks/use-act.ts'
import { useLoad } from '../../hooks/use-load.ts'
import { go } from '../../hooks/use-place.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { ActButton } from './act-button.tsx'
import { Form, FormEnd } from './form.tsx'
import { ProblemPage } from './problem-page.tsx'
import { ROOM_TOLD, RoomFields, type RoomSaid, saidOfRoom } from './room-fields.tsx'
import { leads, titleOf } from './room-rights.ts'
import { Screen, Section, Waiting } from './screen.tsx'

/** What a room is called, who may see it; leaving it, and its end. */
export const SettingsScreen = ({ id }: { readonly id: RoomId }) => {
  const { data: room, problem } = useLoad<RoomInfo>(`/rooms/${id}`, ['rooms', `room ${id}`])
  if (!room) return problem ? <ProblemPage problem={problem} /> : <Waiting title={text.roomSettings} />
  return (
    <Screen title={text.roomSettings} back={{ href: `#/room/${id}`, label: titleOf(room) }}>
      {leads(room) ? <SettingsForm room={room} /> : <About room={room} />}
      {room.visibility !== 'direct' && room.role !== undefined && <Leaving room={room} />}
    </Screen>
  )
}

const About = ({ room }: { readonly room: RoomInfo }) => (
  <Section title={titleOf(room)}>
    <p>{room.about || text.noTopic}</p>
    <p className="faint">{room.visibility === 'public' ? text.publicHint : text.privateHint}</p>
  </Section>
)

const SettingsForm = ({ room }: { readonly room: RoomInfo }) => {
  const { api, changes } = useProduct()
  const act = useAct()
  // What one has not touched stays as others may change it meanwhile.
  const [edits, edit] = useState<Partial<RoomSaid>>({})
  // What saving answered is newer than `room`, until that is read again.
  const [answer, setAnswer] = useState({ to: room, room })
  const [saved, setSaved] = useState(false)
  const submit = (): void => {
    setSaved(false)
    act.run(async () => {
      setAnswer({ to: room, room: await api.patch<RoomInfo>(`/rooms/${room.id}`, edits) })
      edit({})
      setSaved(true)
      changes.happened('rooms', `room ${room.id}`)
    })
  }
  return (
    <Form problem={act.problem} onSubmit={submit}>
      <RoomFields
        problem={act.problem}
        value={{ ...saidOfRoom(answer.to === room ? answer.room : room), ...edits }}
        onChange={change => edit(before => ({ ...before, ...change }))}
        withVisibility={room.role === 'owner'}
      />
      <FormEnd act={act} told={ROOM_TOLD} done={saved ? text.saved : ''}>
        {text.save}
      </FormEnd>
    </Form>
  )
}

const Leaving = ({ room }: { readonly room: RoomInfo }) => {
  const { api, chat, changes } = useProduct()
  const end = (path: string) => async (): Promise<void> => {
    await api.delete(path)
    chat.leave(room.id)
    changes.happened('rooms')
    go('#/')
  }
  return (
    <Section title={room.role === 'owner' ? text.deleteRoom : text.leaveThisRoom}>
      <p className="faint">{room.role === 'owner' ? text.deleteRoomHint : text.leaveHint}</p>
      <p className="acts start">
        {room.role === 'owner' ? (
          <ActButton grave act={end(`/rooms/${room.id}`)}>
            {text.deleteRoom}
          </ActButton>
        ) : (
          <ActButton grave act={end(`/rooms/${room.id}/membership`)}>
            {text.leaveThisRoom}
          </ActButton>
        )}
      </p>
    </Section>
  )
}
