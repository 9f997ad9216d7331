import { type FormEvent, useState } from 'react'
import type { OpenVisibility, RoomInfo } from '../../api-types.ts'
import type { RoomId } from '../../chat/index.ts'
import { useAct } from '../../hooks/use-act.ts'
import { useLoad } from '../../hooks/use-load.ts'
import { go } from '../../hooks/use-place.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { explain, text } from '../../text/text.ts'
import { Field } from '../field.tsx'
import { ActButton } from './act-button.tsx'
import { ProblemPage } from './problem-page.tsx'
import { leads, titleOf } from './room-rights.ts'
import { Screen, Section, Trouble } from './screen.tsx'
import { VisibilityField } from './visibility-field.tsx'

/** What a room is called, who may see it; leaving it, and its end. */
export const SettingsScreen = ({ id }: { readonly id: RoomId }) => {
  const { data: room, problem } = useLoad<RoomInfo>(`/rooms/${id}`, ['rooms', `room ${id}`])
  if (!room) return problem ? <ProblemPage problem={problem} /> : <Screen title={text.roomSettings}>{null}</Screen>
  return (
    <Screen title={text.roomSettings} back={{ href: `#/room/${id}`, label: titleOf(room) }}>
      {leads(room) ? (
        <SettingsForm key={`${room.name} ${room.about} ${room.visibility}`} room={room} />
      ) : (
        <About room={room} />
      )}
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
  const { busy, problem, run } = useAct()
  const [name, setName] = useState(room.name ?? '')
  const [about, setAbout] = useState(room.about)
  const [visibility, setVisibility] = useState<OpenVisibility>(room.visibility === 'public' ? 'public' : 'private')
  const [saved, setSaved] = useState(false)
  const owner = room.role === 'owner'
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setSaved(false)
    run(async () => {
      await api.patch(`/rooms/${room.id}`, { name, about, ...(owner && { visibility }) })
      setSaved(true)
      changes.happened('rooms', `room ${room.id}`)
    })
  }
  const badName = problem?.code === 'BAD_NAME'
  return (
    <form className="form" onSubmit={submit} noValidate>
      <Field
        label={text.roomName}
        hint={text.roomNameHint}
        wrong={badName ? explain('BAD_ROOM_NAME') : undefined}
        value={name}
        onChange={setName}
      />
      <Field label={text.topic} hint={text.topicHint} wrong={undefined} value={about} onChange={setAbout} />
      {owner && <VisibilityField value={visibility} onChange={setVisibility} />}
      {!badName && <Trouble problem={problem} />}
      <p className="form-end">
        <button type="submit" className="primary" disabled={busy}>
          {text.save}
        </button>
        <span role="status" className="faint">
          {saved ? text.saved : ''}
        </span>
      </p>
    </form>
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
