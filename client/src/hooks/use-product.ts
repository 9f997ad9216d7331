import { createContext, useCallback, useContext, useSyncExternalStore } from 'react'
import type { Account, Person } from '../api-types.ts'
import type { Product } from '../product.ts'
import type { SessionState, Session } from '../session.ts'
import { text } from '../text/text.ts'

/** Undefined where people are the names that they give themselves. */
export const ProductContext = createContext<Product | undefined>(undefined)

export const useProduct = (): Product => {
  const product = useContext(ProductContext)
  if (!product) throw new Error('nobody is signed in here')
  return product
}

export const useSession = (session: Session): SessionState =>
  useSyncExternalStore(session.subscribe, () => session.state)

/** Who is signed in. */
export const useMe = (): Account | undefined => {
  const state = useSession(useProduct().session)
  return state.is === 'in' ? state.user : undefined
}

const nowhere = (): (() => void) => () => {}

/** What somebody is called, of whom messages and signals say only the id. */
export const useName = (id: string): string => {
  const product = useContext(ProductContext)
  // A message of one's own that is on its way has no sender yet.
  const known = id === '' ? undefined : product
  const person = useSyncExternalStore(product?.people.subscribe ?? nowhere, () => known?.people.get(id))
  return known ? nameOf(person) : id
}

/** The same for whoever asks later. */
export const useNaming = (): ((id: string) => string) => {
  const product = useContext(ProductContext)
  return useCallback(id => (product ? nameOf(product.people.get(id)) : id), [product])
}

/** The same of several, joined by commas. */
export const useNames = (ids: readonly string[]): string => {
  const { people } = useProduct()
  return useSyncExternalStore(people.subscribe, () => ids.map(id => nameOf(people.get(id))).join(', '))
}

const nameOf = (person: Person | 'gone' | undefined): string =>
  person === 'gone' ? text.goneUser : (person?.displayName ?? '…')

/** When somebody who is not there was last; `read`: what was known of it when it was read. Undefined: not known. */
export const useLastSeen = (
  id: string,
  read: { readonly online: boolean | undefined; readonly lastSeen: number | undefined },
): number | undefined => {
  const { chat } = useProduct()
  const online = useOnline(id) ?? read.online
  const left = useSyncExternalStore(chat.subscribe, () => chat.presence.left(id))
  if (online !== false) return undefined
  return left ?? (read.online === false ? read.lastSeen : undefined)
}

/** Whether somebody is there; undefined: not known. */
export const useOnline = (id: string): boolean | undefined => {
  const { chat } = useProduct()
  return useSyncExternalStore(chat.subscribe, () => chat.presence.online(id))
}
