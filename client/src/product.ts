import { Api } from './api.ts'
import type { RoomInfo } from './api-types.ts'
import { Changes, type Topic } from './changes.ts'
import { Chat, type ChatEvent } from './chat/index.ts'
import { People } from './people.ts'
import { Reading } from './reading.ts'
import type { Remembered } from './remembered.ts'
import type { Session } from './session.ts'

export interface ProductOptions {
  readonly session: Session
  /** The user's id. */
  readonly user: string
  readonly remembered: Remembered
  /** Of the bridge. */
  readonly url: string
}

/** What somebody who is signed in works with. */
export class Product {
  readonly user: string
  readonly session: Session
  readonly remembered: Remembered
  readonly api: Api
  readonly chat: Chat
  readonly people: People
  readonly reading: Reading
  readonly changes = new Changes()

  constructor({ session, user, remembered, url }: ProductOptions) {
    this.user = user
    this.session = session
    this.remembered = remembered
    const bearer = session.bearer(user)
    this.api = new Api(bearer)
    this.people = new People(this.api)
    this.reading = new Reading((room, message) => this.api.post(`/rooms/${room}/read`, { message }))
    this.chat = new Chat({
      url,
      user,
      credentials: { token: '' },
      events: true,
      freshen: bearer.token,
      renew: session.renew,
      store: remembered.lasting,
    })
    this.chat.onEvent(event => this.#heard(event))
  }

  /** Opens the direct room with somebody. Rejects with Refusal. */
  async direct(user: string): Promise<RoomInfo> {
    const room = await this.api.create<RoomInfo>('/direct-rooms', { user })
    this.changes.happened('rooms')
    return room
  }

  /** What is told may change what is shown. */
  #heard(event: ChatEvent): void {
    if (event.is === 'system') this.changes.happened('rooms', `room ${event.room}`)
    if (event.is !== 'event') return
    // The first on the user's own queue: from here on nothing is missed, and anything before it may have been.
    if (event.type === 'presence' && partOf(event.body, 'known') !== undefined) this.changes.everything()
    else if (!this.#read(event)) this.changes.happened(...topicsOf(event))
  }

  /** Whether it is said, and known here already, how far one has read on another device. */
  #read({ type, body }: ChatEvent & { is: 'event' }): boolean {
    const [room, message] = [partOf(body, 'room'), partOf(body, 'message')]
    if (type !== 'read' || typeof room !== 'string' || typeof message !== 'string') return false
    return this.reading.heard(room, message, this.chat.room(room)?.messages ?? [])
  }
}

const partOf = (body: unknown, name: string): unknown =>
  typeof body === 'object' && body !== null ? Reflect.get(body, name) : undefined

const topicsOf = ({ type, body }: ChatEvent & { is: 'event' }): readonly Topic[] => {
  if (type === 'friendship') return ['friends']
  // Invitations of somebody whom one blocks are not listed.
  if (type === 'block') return ['friends', 'invitations']
  if (type === 'notification') return ['notifications']
  const room = partOf(body, 'room')
  // Whatever is told of a room may have changed which rooms one has.
  const ofRoom = typeof room === 'string' ? (['rooms', `room ${room}`] as const) : []
  return type === 'invitation' ? ['invitations', ...ofRoom] : ofRoom
}
