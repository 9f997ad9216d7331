import { type FormEvent, type ReactNode, useEffect, useRef } from 'react'
import { Refusal } from '../../api.ts'
import type { Problem } from '../../chat/index.ts'
import type { Act } from '../../hooks/use-act.ts'
import { explain } from '../../text/text.ts'
import { Trouble } from './screen.tsx'

interface FormProps {
  readonly id?: string
  /** What went wrong the last time that it was sent. */
  readonly problem: Problem | undefined
  readonly onSubmit: () => void
  readonly children: ReactNode
}

/** Fields that are sent together. After trouble the first one that is wrong has the focus. */
export const Form = ({ id, problem, onSubmit, children }: FormProps) => {
  const form = useRef<HTMLFormElement>(null)
  useEffect(() => {
    if (problem) form.current?.querySelector<HTMLInputElement>('[aria-invalid="true"]')?.focus()
  }, [problem])
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    onSubmit()
  }
  return (
    <form id={id} ref={form} className="form" onSubmit={submit} noValidate>
      {children}
    </form>
  )
}

interface FormEndProps {
  readonly act: Pick<Act, 'busy' | 'problem'>
  /** Problems of which a field tells. */
  readonly told?: readonly string[]
  /** What was done, once it is. */
  readonly done?: string
  readonly grave?: boolean
  /** The form, where it stands outside of it. */
  readonly form?: string
  readonly children: ReactNode
}

/** The button that sends a form; above it what went wrong, beside it what was done. */
export const FormEnd = ({
  act: { busy, problem },
  told = [],
  done = '',
  grave = false,
  form,
  children,
}: FormEndProps) => (
  <>
    {problem && !told.includes(problem.code) && <Trouble problem={problem} />}
    <p className="form-end">
      <button type="submit" form={form} className={grave ? 'quiet danger' : 'primary'} aria-disabled={busy}>
        {children}
      </button>
      <span role="status" className="faint">
        {done}
      </span>
    </p>
  </>
)

/** Throws Refusal where nothing was filled in. */
export const demand = (value: string, code: string): void => {
  if (value === '') throw new Refusal(0, { code, message: '', advice: '' })
}

/** What a field says of `problem`, where that is one of those that it tells of. */
export const saidOf = (problem: Problem | undefined, told: readonly string[]): string | undefined =>
  problem && told.includes(problem.code) ? explain(problem.code) : undefined
