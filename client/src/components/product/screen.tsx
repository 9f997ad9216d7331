import { createContext, type ReactNode, useContext, useEffect, useRef } from 'react'
import type { Problem } from '../../chat/index.ts'
import { useConnectionState } from '../../hooks/use-chat.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { useTitleHere } from '../../hooks/use-seen.ts'
import type { List } from '../../hooks/use-load.ts'
import { explain, text } from '../../text/text.ts'
import { ConnectionNews } from '../announcer.tsx'
import { ConnectionBanner } from '../connection.tsx'

/** What opens the side, where there is no place for it. */
export const MenuContext = createContext<ReactNode>(undefined)

interface ScreenProps {
  readonly title: string
  /** What leads back; absent: nowhere to go back to. */
  readonly back?: { readonly href: string; readonly label: string }
  readonly children: ReactNode
}

/** One page of the product: its title, and below it what scrolls. */
export const Screen = ({ title, back, children }: ScreenProps) => {
  const { chat } = useProduct()
  const state = useConnectionState(chat)
  const menu = useContext(MenuContext)
  const heading = useRef<HTMLHeadingElement>(null)
  // Whoever comes by keyboard or listens begins at the top of the new page.
  useEffect(() => heading.current?.focus({ preventScroll: true }), [title])
  useTitleHere(title)
  return (
    <>
      <header className="bar">
        {menu}
        {back && (
          <a className="back" href={back.href}>
            <span aria-hidden="true">←</span> {back.label}
          </a>
        )}
        <h1 ref={heading} className="room-title" tabIndex={-1}>
          {title}
        </h1>
      </header>
      <ConnectionBanner state={state} onRetry={() => chat.retryNow()} otherwise="" />
      <div className="sr-only">
        <ConnectionNews state={state} />
      </div>
      <div className="screen">
        <div className="screen-inner">{children}</div>
      </div>
    </>
  )
}

/** A page that is being asked for. */
export const Waiting = ({ title = text.loading }: { readonly title?: string }) => (
  <Screen title={title}>
    <p className="faint appears" role="status">
      {text.loading}
    </p>
  </Screen>
)

interface SectionProps {
  readonly title: string
  readonly children: ReactNode
}

export const Section = ({ title, children }: SectionProps) => (
  <section className="section" aria-label={title}>
    <h2>{title}</h2>
    {children}
  </section>
)

/** What went wrong; nothing where nothing did. */
export const Trouble = ({ problem }: { readonly problem: Problem | undefined }) =>
  problem === undefined ? null : (
    <p className="problem" role="alert">
      {explain(problem.code)}
    </p>
  )

interface ListingProps<Item> {
  readonly list: List<Item>
  /** What is said where there is nothing. */
  readonly empty: string
  readonly render: (item: Item) => ReactNode
}

/** A list from the API: its entries, that there are none, or what is wrong; and a way to more. */
export const Listing = <Item,>({ list: { items, problem, more }, empty, render }: ListingProps<Item>) => (
  <>
    <Trouble problem={problem} />
    {!items && !problem && <p className="faint appears">{text.loading}</p>}
    {items?.length === 0 && <p className="faint">{empty}</p>}
    {items && items.length > 0 && <ul className="rows">{items.map(render)}</ul>}
    {more && (
      <button type="button" className="quiet" onClick={more}>
        {text.more}
      </button>
    )}
  </>
)
