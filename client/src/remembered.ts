import { type Account, namedAccount, tokenAccount } from './account.ts'
import { isRoomId, type RoomId } from './chat/index.ts'

/** A browser's storage, or one for as long as the page lasts where the browser allows none. */
export const openStore = (which: 'localStorage' | 'sessionStorage'): Storage => {
  try {
    const store = globalThis[which]
    store.getItem('')
    return store
  } catch {
    return passing()
  }
}

const passing = (): Storage => {
  const items = new Map<string, string>()
  return {
    get length() {
      return items.size
    },
    key: index => [...items.keys()][index] ?? null,
    getItem: name => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: name => void items.delete(name),
    clear: () => items.clear(),
  }
}

/** How many rooms are kept open. */
const MOST_ROOMS = 20

/** What the browser remembers from one visit to the next: `lasting` for all tabs, `tab` for this one and its reloads. */
export class Remembered {
  readonly lasting: Storage
  readonly #tab: Storage
  /** What the names of all items that concern rooms begin with. */
  readonly #own: string

  /** `user`: whose rooms they are, where several people who use one browser are told apart. */
  constructor(lasting: Storage, tab: Storage, user?: string) {
    this.lasting = lasting
    this.#tab = tab
    this.#own = user === undefined ? 'hoofbeat' : `hoofbeat/${user}`
  }

  /** The account that this tab goes on with. A token is remembered by the tab alone. */
  account(): Account | undefined {
    const token = this.#tab.getItem('hoofbeat/token')
    if (token) return tokenAccount(token)
    // Two tabs may be two people: what this tab was told last counts, and '' says that it signed out.
    return namedAccount(this.#tab.getItem('hoofbeat/name') ?? this.name())
  }

  name(): string {
    return this.lasting.getItem('hoofbeat/name') ?? ''
  }

  signedIn({ user, credentials }: Account): void {
    if ('token' in credentials) {
      set(this.#tab, 'hoofbeat/token', credentials.token)
    } else {
      this.#tab.removeItem('hoofbeat/token')
      set(this.#tab, 'hoofbeat/name', user)
      set(this.lasting, 'hoofbeat/name', user)
    }
  }

  signedOut(): void {
    this.#tab.removeItem('hoofbeat/token')
    set(this.#tab, 'hoofbeat/name', '')
  }

  /** The rooms visited, as they are listed. */
  rooms(): readonly RoomId[] {
    return (this.lasting.getItem('hoofbeat/rooms') ?? '').split(' ').filter(isRoomId)
  }

  keepRooms(rooms: readonly RoomId[]): void {
    set(this.lasting, 'hoofbeat/rooms', rooms.join(' '))
  }

  /** The newest message of a room that was seen. */
  mark(room: RoomId): string | undefined {
    return this.lasting.getItem(`${this.#own}/seen/${room}`) ?? undefined
  }

  setMark(room: RoomId, id: string): void {
    set(this.lasting, `${this.#own}/seen/${room}`, id)
  }

  /** A room that was left. */
  forget(room: RoomId): void {
    this.lasting.removeItem(`${this.#own}/seen/${room}`)
    this.#tab.removeItem(`${this.#own}/draft/${room}`)
  }

  draft(room: RoomId): string {
    return this.#tab.getItem(`${this.#own}/draft/${room}`) ?? ''
  }

  keepDraft(room: RoomId, draft: string): void {
    if (draft === '') this.#tab.removeItem(`${this.#own}/draft/${room}`)
    else set(this.#tab, `${this.#own}/draft/${room}`, draft)
  }
}

/** Whoever has signed out leaves nothing that they wrote: neither what waited to be sent nor drafts. */
export const forgetWritten = (lasting: Storage, tab: Storage): void => {
  removeAll(lasting, /^hoofbeat\/unsent\//)
  removeAll(tab, /^hoofbeat\/[^/]+\/draft\//)
}

const removeAll = (store: Storage, names: RegExp): void => {
  const all = Array.from({ length: store.length }, (_, index) => store.key(index) ?? '')
  for (const name of all) if (names.test(name)) store.removeItem(name)
}

/** `rooms` with `room`, at the top where it is new; the oldest one gives way. */
export const withRoom = (rooms: readonly RoomId[], room: RoomId): readonly RoomId[] =>
  rooms.includes(room) ? rooms : [room, ...rooms].slice(0, MOST_ROOMS)

const set = (store: Storage, name: string, value: string): void => {
  try {
    store.setItem(name, value)
  } catch {
    // The store is full: the page works without.
  }
}
