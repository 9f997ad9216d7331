import type { Problem } from '../../chat/index.ts'
import { text } from '../../text/text.ts'
import { Field } from '../field.tsx'
import { saidOf } from './form.tsx'

/** What the server takes of how people call themselves. */
const MOST_DISPLAY_NAME = 64

interface InputProps {
  readonly problem: Problem | undefined
  readonly value: string
  readonly onChange: (value: string) => void
}

/** What NameField and the two kinds of PasswordField tell of. */
export const NAME_TOLD = ['NO_NAME', 'BAD_NAME', 'NAME_TAKEN']
export const PASSWORD_TOLD = ['NO_PASSWORD', 'BAD_CREDENTIALS']
export const NEW_PASSWORD_TOLD = ['BAD_PASSWORD']

/** The name by which one signs in; `fresh`: one that is to be. */
export const NameField = ({ fresh = false, problem, ...input }: InputProps & { readonly fresh?: boolean }) => (
  <Field
    label={text.name}
    hint={fresh ? text.newNameHint : ''}
    wrong={saidOf(problem, NAME_TOLD)}
    autoComplete="username"
    name
    focus
    {...input}
  />
)

interface PasswordFieldProps extends InputProps {
  /** Absent: that it is the password. */
  readonly label?: string
  /** What is said where it is not the right one. */
  readonly refused?: string
}

/** The password that one has. */
export const PasswordField = ({
  label = text.password,
  refused = text.wrongPassword,
  problem,
  ...input
}: PasswordFieldProps) => (
  <Field
    label={label}
    hint=""
    wrong={problem?.code === 'BAD_CREDENTIALS' ? refused : saidOf(problem, PASSWORD_TOLD)}
    autoComplete="current-password"
    secret
    {...input}
  />
)

/** A password that is to be. */
export const NewPasswordField = ({ label = text.password, problem, ...input }: Omit<PasswordFieldProps, 'refused'>) => (
  <Field
    label={label}
    hint={text.newPasswordHint}
    wrong={saidOf(problem, NEW_PASSWORD_TOLD)}
    autoComplete="new-password"
    secret
    {...input}
  />
)

/** What one is called by others. */
export const DisplayNameField = (input: Omit<InputProps, 'problem'>) => (
  <Field
    label={text.displayName}
    hint={text.displayNameHint}
    wrong={undefined}
    autoComplete="nickname"
    most={MOST_DISPLAY_NAME}
    {...input}
  />
)
