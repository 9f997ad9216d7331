import { useCallback, useEffect, useRef, useState } from 'react'
import type { Page } from '../api-types.ts'
import { problemIn } from '../api.ts'
import type { Topic } from '../changes.ts'
import type { Problem } from '../chat/index.ts'
import { useProduct } from './use-product.ts'

/** Counts up whenever something of `topics` has changed. */
const useTurn = (topics: readonly Topic[]): number => {
  const { changes } = useProduct()
  const [turn, setTurn] = useState(0)
  const of = topics.join('\n')
  useEffect(() => changes.watch(of.split('\n') as Topic[], () => setTurn(before => before + 1)), [changes, of])
  return turn
}

interface Loaded<T> {
  readonly data?: T
  readonly problem?: Problem | undefined
}

/** What the API says at `path`, read again when something of `topics` has changed; until then, and on trouble, what it said last. */
export const useLoad = <T>(path: string, topics: readonly Topic[]): Loaded<T> => {
  const { api } = useProduct()
  const turn = useTurn(topics)
  const [state, setState] = useState<Loaded<T> & { readonly path: string }>({ path })
  useEffect(() => {
    const abort = new AbortController()
    api.get<T>(path, {}, abort.signal).then(
      data => setState({ path, data }),
      (error: unknown) => {
        if (abort.signal.aborted) return
        setState(before => ({ ...(before.path === path ? before : { path }), problem: problemIn(error) }))
      },
    )
    return () => abort.abort()
  }, [api, path, turn])
  return state.path === path ? state : {}
}

/** How many entries are asked for at once, and how many when a list that has grown is read again. */
const PAGE = 50
const AGAIN = 100

export interface List<Item> {
  /** Undefined: not read yet. */
  readonly items: readonly Item[] | undefined
  readonly problem: Problem | undefined
  /** Reads the next page; absent: there is none. */
  readonly more: (() => void) | undefined
}

interface Listed<Item> {
  readonly path: string
  readonly items?: readonly Item[]
  readonly next?: string | undefined
  readonly problem?: Problem
}

/**
 * A list, page by page: at once as many as `least`, where there are so many. `path` may have a query, with a `limit` of its
 * own; undefined: nothing is asked for.
 */
export const useList = <Item>(path: string | undefined, topics: readonly Topic[], least = 0): List<Item> => {
  const { api } = useProduct()
  const turn = useTurn(topics)
  const [state, setState] = useState<Listed<Item>>({ path: '' })
  const ask = useCallback(
    (query: Readonly<Record<string, string | number>>, signal?: AbortSignal) => {
      const [base = '', given] = (path ?? '').split('?')
      return api.get<Page<Item>>(base, { ...query, ...Object.fromEntries(new URLSearchParams(given)) }, signal)
    },
    [api, path],
  )
  const mine = state.path === path
  const known = useRef(0)
  known.current = mine ? (state.items?.length ?? 0) : 0
  useEffect(() => {
    if (path === undefined) return undefined
    const abort = new AbortController()
    // As much as is shown already: what was shown does not vanish because something was added.
    const read = async (): Promise<Page<Item>> => {
      const wanted = Math.max(least, known.current)
      let page = await ask({ limit: wanted > PAGE ? AGAIN : PAGE }, abort.signal)
      while (page.next !== undefined && page.items.length < wanted) {
        const { items, next } = await ask({ limit: AGAIN, cursor: page.next }, abort.signal)
        page = { items: [...page.items, ...items], ...(next !== undefined && { next }) }
      }
      return page
    }
    read().then(
      ({ items, next }) => setState({ path, items, next }),
      (error: unknown) => {
        if (abort.signal.aborted) return
        setState(now => ({ ...(now.path === path ? now : { path }), problem: problemIn(error) }))
      },
    )
    return () => abort.abort()
  }, [ask, least, path, turn])

  const { next } = state
  const more = (): void => {
    ask({ limit: PAGE, cursor: next ?? '' }).then(
      page =>
        setState(now =>
          now === state ? { path: state.path, items: [...(now.items ?? []), ...page.items], next: page.next } : now,
        ),
      (error: unknown) => setState(now => (now === state ? { ...now, problem: problemIn(error) } : now)),
    )
  }
  return {
    items: mine ? state.items : undefined,
    problem: mine ? state.problem : undefined,
    more: mine && next !== undefined ? more : undefined,
  }
}
