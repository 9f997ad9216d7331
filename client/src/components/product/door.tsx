import { type FormEvent, type ReactNode, useState } from 'react'
import type { Problem } from '../../chat/index.ts'
import { useAct } from '../../hooks/use-act.ts'
import { go, placeIn, useFragment } from '../../hooks/use-place.ts'
import type { Session } from '../../session.ts'
import { explain, text } from '../../text/text.ts'
import { Field } from '../field.tsx'
import { Logo } from '../icons.tsx'

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
  const [wanted] = useState(() => (['home', 'sign-in', 'sign-up'].includes(place.is) ? '#/' : fragment))
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
  const { busy, problem, run } = useAct()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    run(async () => {
      await session.signIn(name, password)
      go(wanted)
    })
  }
  return (
    <form className="form" onSubmit={submit} noValidate>
      <h2>{text.signIn}</h2>
      {problem && (
        <p className="problem" role="alert">
          {problem.code === 'BAD_CREDENTIALS' ? text.wrongSignIn : explain(problem.code)}
        </p>
      )}
      <Field
        label={text.name}
        hint=""
        wrong={undefined}
        value={name}
        onChange={setName}
        autoComplete="username"
        name
        focus
      />
      <Field
        label={text.password}
        hint=""
        wrong={undefined}
        value={password}
        onChange={setPassword}
        autoComplete="current-password"
        secret
      />
      <button type="submit" className="primary" disabled={busy || name === '' || password === ''}>
        {text.signIn}
      </button>
      <a className="quiet link" href="#/sign-up">
        {text.noAccount}
      </a>
    </form>
  )
}

const SignUp = ({ session, wanted }: FormProps) => {
  const { busy, problem, run } = useAct()
  const [name, setName] = useState('')
  const [displayName, setDisplayName] = useState('')
  const [password, setPassword] = useState('')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    run(async () => {
      await session.signUp(name, password, displayName)
      go(wanted)
    })
  }
  const of = (...codes: readonly string[]): string | undefined =>
    problem && codes.includes(problem.code) ? explain(problem.code) : undefined
  const wrong = { name: of('BAD_NAME', 'NAME_TAKEN'), password: of('BAD_PASSWORD') }
  return (
    <form className="form" onSubmit={submit} noValidate>
      <h2>{text.signUp}</h2>
      {problem && !wrong.name && !wrong.password && (
        <p className="problem" role="alert">
          {explain(problem.code)}
        </p>
      )}
      <Field
        label={text.name}
        hint={text.newNameHint}
        wrong={wrong.name}
        value={name}
        onChange={setName}
        autoComplete="username"
        name
        focus
      />
      <Field
        label={text.displayName}
        hint={text.displayNameHint}
        wrong={undefined}
        value={displayName}
        onChange={setDisplayName}
        autoComplete="nickname"
      />
      <Field
        label={text.password}
        hint={text.newPasswordHint}
        wrong={wrong.password}
        value={password}
        onChange={setPassword}
        autoComplete="new-password"
        secret
      />
      <button type="submit" className="primary" disabled={busy || name === '' || password === ''}>
        {text.signUp}
      </button>
      <a className="quiet link" href="#/sign-in">
        {text.haveAccount}
      </a>
    </form>
  )
}
