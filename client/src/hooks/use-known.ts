import { useEffect } from 'react'
import type { Page, Person, PresenceOf } from '../api-types.ts'
import type { Product } from '../product.ts'
import { useProduct } from './use-product.ts'

/** Of so many one can ask at once whether they are there. */
const AT_ONCE = 100

/** Remembers what people are called, and finds out whether they are there; of those that are told by name nothing is asked. */
export const useKnown = (people: readonly Person[] | undefined): void => {
  const product = useProduct()
  useEffect(() => {
    if (!people) return undefined
    product.people.put(people)
    const abort = new AbortController()
    void seed(product, people, abort.signal)
    return () => abort.abort()
  }, [product, people])
}

const seed = async ({ api, chat, user }: Product, people: readonly Person[], signal: AbortSignal): Promise<void> => {
  const unknown = people.map(({ id }) => id).filter(id => id !== user && !chat.presence.told(id))
  for (let from = 0; from < unknown.length; from += AT_ONCE) {
    const some = unknown.slice(from, from + AT_ONCE)
    // Where it cannot be told now, what is told later is enough.
    const answer = await api.get<Page<PresenceOf>>('/presence', { user: some }, signal).catch(() => undefined)
    for (const { id, online } of answer?.items ?? []) chat.seed(id, online)
  }
}
