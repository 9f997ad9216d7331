import { Api } from './api.ts'
import type { RoomInfo } from './api-types.ts'
import { Changes, type Topic } from './changes.ts'
import { Chat, type ChatEvent } from './chat/index.ts'
import { People } from './people.ts'
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
  readonly changes = new Changes()

  constructor({ session, user, remembered, url }: ProductOptions) {
    this.user = user
    this.session = session
    this.remembered = remembered
    this.api = new Api(session)
    this.people = new People(this.api)
    this.chat = new Chat({
      url,
      user,
      credentials: { token: '' },
      events: true,
      freshen: refused => session.token(refused),
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
    if (event.is === 'online') this.changes.everything()
    else if (event.is === 'system') this.changes.happened('rooms', `room ${event.room}`)
    else this.changes.happened(...topicsOf(event))
  }
}

const topicsOf = ({ type, body }: ChatEvent & { is: 'event' }): readonly Topic[] => {
  const room = typeof body === 'object' && body !== null && 'room' in body ? String(body.room) : undefined
  const ofRoom = room === undefined ? [] : [`room ${room}` as const]
  if (type === 'friendship' || type === 'block') return ['friends']
  if (type === 'notification') return ['notifications']
  if (type === 'invitation') return ['invitations', 'rooms', ...ofRoom]
  if (type === 'removed') return ['rooms', ...ofRoom]
  return []
}
