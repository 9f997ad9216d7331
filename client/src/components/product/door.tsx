import { type ReactNode, useState } from 'react'
import type { Problem } from '../../chat/index.ts'
import { useAct } from '../../hooks/use-act.ts'
import { go, placeIn, useFragment } from '../../hooks/use-place.ts'
import type { Session } from '../../session.ts'
import { explain, text } from '../../text/text.ts'
import { Logo } from '../icons.tsx'
import {
  DisplayNameField,
  NAME_TOLD,
  NameField,
  NEW_PASSWORD_TOLD,
  NewPasswordField,
  PASSWORD_TOLD,
  PasswordField,
} from './account-fields.tsx'
import { demand, Form, FormEnd } from './form.tsx'

interface DoorProps {
  readonly session: Session
  /** Why one is not in any more. */
  readonly problem: Problem | undefined
}

/** What whoever is not signed in sees: home, signing up, signing in. */
export const Door = ({ session, problem }: DoorProps) => {
  const fragment = useFragment()
  const place = placeIn(fragment)
  // Whoever followed a link goes on to where it leads.
  const [wanted, want] = useState('#/')
  if (place.is !== 'sign-in' && place.is !== 'sign-up' && fragment !== wanted) want(fragment)
  const said = problem && <p className="notice">{explain(problem.code)}</p>
  if (place.is === 'sign-up') {
    return (
      <Card>
        <SignUp session={session} wanted={wanted} />
      </Card>
    )
  }
  if (place.is !== 'home' || problem) {
    return (
      <Card>
        {said}
        <SignIn session={session} wanted={wanted} />
      </Card>
    )
  }
  return (
    <Card>
      <p className="tagline">{text.tagline}</p>
      <p>{text.homeSays}</p>
      <a className="primary link" href="#/sign-up">
        {text.signUp}
      </a>
      <a className="quiet link" href="#/sign-in">
        {text.haveAccount}
      </a>
    </Card>
  )
}

const Card = ({ children }: { readonly children: ReactNode }) => (
  <main className="welcome">
    <div className="card">
      <div className="brand">
        <Logo />
        <h1>Hoofbeat</h1>
      </div>
      {children}
    </div>
  </main>
)

interface FormProps {
  readonly session: Session
  /** Where to go once one is in. */
  readonly wanted: string
}

const SignIn = ({ session, wanted }: FormProps) => {
  const act = useAct()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const submit = (): void =>
    act.run(async () => {
      demand(name, 'NO_NAME')
      demand(password, 'NO_PASSWORD')
      await session.signIn(name, password)
      go(wanted)
    })
  const { problem } = act
  return (
    <Form problem={problem} onSubmit={submit}>
      <h2>{text.signIn}</h2>
      <NameField problem={problem} value={name} onChange={setName} />
      <PasswordField problem={problem} refused={text.wrongSignIn} value={password} onChange={setPassword} />
      <FormEnd act={act} told={[...NAME_TOLD, ...PASSWORD_TOLD]}>
        {text.signIn}
      </FormEnd>
      <a className="quiet link" href="#/sign-up">
        {text.noAccount}
      </a>
    </Form>
  )
}

const SignUp = ({ session, wanted }: FormProps) => {
  const act = useAct()
  const [name, setName] = useState('')
  const [displayName, setDisplayName] = useState('')
  const [password, setPassword] = useState('')
  const submit = (): void =>
    act.run(async () => {
      demand(name, 'NO_NAME')
      await session.signUp(name, password, displayName)
      go(wanted)
    })
  const { problem } = act
  return (
    <Form problem={problem} onSubmit={submit}>
      <h2>{text.signUp}</h2>
      <NameField fresh problem={problem} value={name} onChange={setName} />
      <NewPasswordField problem={problem} value={password} onChange={setPassword} />
      <DisplayNameField value={displayName} onChange={setDisplayName} />
      <FormEnd act={act} told={[...NAME_TOLD, ...NEW_PASSWORD_TOLD]}>
        {text.signUp}
      </FormEnd>
      <a className="quiet link" href="#/sign-in">
        {text.haveAccount}
      </a>
    </Form>
  )
}
