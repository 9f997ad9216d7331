import { type ReactNode, useLayoutEffect, useRef } from 'react'
import { useMedia } from '../hooks/use-media.ts'
import { text } from '../text/text.ts'
import { focusComposer } from './composer.tsx'
import { CloseIcon, MenuIcon } from './icons.tsx'

interface FrameProps {
  readonly side: ReactNode
  /** What the side is called. */
  readonly label: string
  /** Where the reader is: going elsewhere closes the drawer. */
  readonly where: string | undefined
  /** The main part; `menu` opens the side where there is no place for it. */
  readonly render: (menu: ReactNode) => ReactNode
}

/** A side with the ways to everywhere, in a drawer on narrow screens, and the main part beside it. */
export const Frame = ({ side, label, where, render }: FrameProps) => {
  const wide = useMedia('(min-width: 52rem)')
  const drawer = useRef<HTMLDialogElement>(null)
  // Before whatever is there takes the focus, which a drawer that closes gives back to what opened it.
  useLayoutEffect(() => drawer.current?.close(), [where])

  const menu = wide ? undefined : (
    <button
      type="button"
      className="icon-button"
      onClick={() => drawer.current?.showModal()}
      aria-label={text.openRooms}
    >
      <MenuIcon />
    </button>
  )
  return (
    <div className="shell">
      <button type="button" className="skip" onClick={focusComposer}>
        {text.skip}
      </button>
      {wide ? (
        <aside className="side">{side}</aside>
      ) : (
        <dialog ref={drawer} className="drawer side" aria-label={label} closedby="any">
          <button
            type="button"
            className="icon-button close"
            onClick={() => drawer.current?.close()}
            aria-label={text.closeRooms}
          >
            <CloseIcon />
          </button>
          {side}
        </dialog>
      )}
      <main className="main">{render(menu)}</main>
    </div>
  )
}
