import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import { useAct } from '../../hooks/use-act.ts'
import { explain, text } from '../../text/text.ts'

/** What was just pressed is gone: whoever goes on by keyboard does so from the beginning of the page. */
const focusSomewhere = (): void => {
  if (document.activeElement === document.body) document.querySelector<HTMLElement>('main h1')?.focus()
}

interface ActButtonProps {
  /** What it does. */
  readonly children: string
  readonly act: () => Promise<unknown>
  /** Whom or what it concerns: one of many that look alike says so to who does not see what stands beside it. */
  readonly whom?: string
  readonly strong?: boolean
  /** What cannot be undone is asked for twice. */
  readonly grave?: boolean
}

/** A button that asks the server for something, and says when that fails. */
export const ActButton = ({ children, act, whom, strong = false, grave = false }: ActButtonProps) => {
  const { busy, problem, run } = useAct()
  const [sure, setSure] = useState(false)
  const button = useRef<HTMLButtonElement>(null)
  const asked = useRef(false)
  useLayoutEffect(
    () => () => {
      if (button.current !== null && button.current === document.activeElement) queueMicrotask(focusSomewhere)
    },
    [],
  )
  useEffect(() => {
    // The question stands where the button was, and the button where the question was.
    if (sure || asked.current) button.current?.focus()
    asked.current = sure
  }, [sure])
  if (sure) {
    return (
      <span className="sure">
        <button
          type="button"
          className="quiet danger"
          ref={button}
          aria-label={whom && text.actOn(text.really(children), whom)}
          onClick={() => {
            setSure(false)
            run(act)
          }}
        >
          {text.really(children)}
        </button>
        <button type="button" className="quiet" onClick={() => setSure(false)}>
          {text.cancel}
        </button>
      </span>
    )
  }
  return (
    <>
      <button
        ref={button}
        type="button"
        className={strong ? 'primary small' : 'quiet'}
        onClick={() => (grave ? setSure(true) : run(act))}
        aria-disabled={busy}
        aria-label={whom && text.actOn(children, whom)}
      >
        {children}
      </button>
      {problem && (
        <span className="wrong small" role="alert">
          {explain(problem.code)}
        </span>
      )}
    </>
  )
}
