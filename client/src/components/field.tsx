import { useEffect, useId, useRef } from 'react'

interface FieldProps {
  readonly label: string
  readonly hint: string
  /** What is wrong with the value. */
  readonly wrong: string | undefined
  readonly value: string
  readonly onChange: (value: string) => void
  readonly autoComplete?: string
  readonly secret?: boolean
  /** A room's name: no spelling, no capitals. */
  readonly name?: boolean
  /** Takes the focus when it appears. */
  readonly focus?: boolean
  /** How long the value may become, as JavaScript counts. */
  readonly most?: number
}

/** A line of input with its label, its hint and what is wrong with it. */
export const Field = ({ label, hint, wrong, value, onChange, autoComplete = 'off', ...is }: FieldProps) => {
  const id = useId()
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    if (is.focus) input.current?.focus()
  }, [is.focus])

  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        ref={input}
        type={is.secret ? 'password' : 'text'}
        value={value}
        onChange={event => onChange(event.target.value)}
        autoComplete={autoComplete}
        autoCapitalize={is.name ? 'none' : undefined}
        spellCheck={false}
        maxLength={is.most}
        aria-invalid={wrong !== undefined}
        aria-describedby={`${id}-hint`}
      />
      <p id={`${id}-hint`} className={wrong === undefined ? 'hint' : 'hint wrong'} role={wrong && 'alert'}>
        {wrong ?? hint}
      </p>
    </div>
  )
}
