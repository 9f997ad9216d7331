import { type FormEvent, type KeyboardEvent, type RefObject, useEffect, useRef, useState } from 'react'
import type { RoomId } from '../chat/index.ts'
import type { Remembered } from '../remembered.ts'
import { formatNumber, text } from '../text/text.ts'
import { SendIcon } from './icons.tsx'

/** The longest message, in characters as JavaScript counts them: in any script it fits a frame. */
const MOST = 100_000
/** From here on the count is shown. */
const NEARLY = MOST - 1000

/** The id of what one writes into. */
const COMPOSER = 'composer'

/** To where one writes, or where there is none to the main part's beginning. */
export const focusComposer = (): void =>
  (document.getElementById(COMPOSER) ?? document.querySelector<HTMLElement>('main h1'))?.focus()

interface ComposerProps {
  readonly room: RoomId
  /** What the room is called. */
  readonly title: string
  readonly remembered: Remembered
  readonly onSend: (said: string) => void
  readonly onType: (() => void) | undefined
}

/** Where one writes. What is not sent yet is kept with the room. */
export const Composer = ({ room, title, remembered, onSend, onType }: ComposerProps) => {
  const [draft, setDraft] = useState(() => remembered.draft(room))
  const input = useRef<HTMLTextAreaElement>(null)
  useEffect(() => remembered.keepDraft(room, draft), [remembered, room, draft])
  useFit(input, draft)
  useEffect(() => {
    // On a touch screen the focus would cover half of the room with a keyboard.
    if (globalThis.matchMedia('(pointer: fine)').matches) input.current?.focus()
  }, [])

  const sendable = draft.trim() !== '' && draft.length <= MOST
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (!sendable) return
    onSend(draft.trim())
    setDraft('')
    input.current?.focus()
  }
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>): void => {
    // While a syllable is being composed Enter completes it; browsers that end composing first still say 229.
    const composing = event.nativeEvent.isComposing || event.keyCode === 229
    if (event.key === 'Enter' && !event.shiftKey && !composing) submit(event)
  }

  return (
    <form className="composer" onSubmit={submit}>
      <div className="composer-inner">
        <div className="composer-box">
          <textarea
            ref={input}
            id={COMPOSER}
            value={draft}
            onChange={event => {
              setDraft(event.target.value)
              if (event.target.value.trim() !== '') onType?.()
            }}
            onKeyDown={onKeyDown}
            rows={1}
            enterKeyHint="send"
            aria-label={text.writeTo(title)}
            aria-describedby="composer-hint"
            aria-invalid={draft.length > MOST}
            placeholder={text.writeTo(title)}
          />
          <button type="submit" className="send" aria-label={text.send} title={text.send} disabled={!sendable}>
            <SendIcon />
          </button>
        </div>
        <p id="composer-hint" className={draft.length > MOST ? 'composer-hint wrong' : 'composer-hint'}>
          {draft.length > NEARLY ? <Left left={MOST - draft.length} /> : text.composerHint}
        </p>
      </div>
    </form>
  )
}

const Left = ({ left }: { readonly left: number }) => (
  <span role="status">{left < 0 ? text.over(formatNumber(-left)) : text.left(formatNumber(left))}</span>
)

/** Makes the input as high as its text, where the browser does not do that by itself; CSS sets the bounds. */
const useFit = (input: RefObject<HTMLTextAreaElement | null>, draft: string): void => {
  useEffect(() => {
    if (!input.current || CSS.supports('field-sizing', 'content')) return
    input.current.style.height = 'auto'
    input.current.style.height = `${input.current.scrollHeight}px`
  }, [input, draft])
}
