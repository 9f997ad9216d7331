import { type FormEvent, type ReactNode, useState } from 'react'
import type { Account } from '../../api-types.ts'
import type { Problem } from '../../chat/index.ts'
import { useAct } from '../../hooks/use-act.ts'
import { go } from '../../hooks/use-place.ts'
import { useMe, useProduct } from '../../hooks/use-product.ts'
import { explain, text } from '../../text/text.ts'
import { Field } from '../field.tsx'
import { ActButton } from './act-button.tsx'
import { Screen, Section, Trouble } from './screen.tsx'

/** One's own account: profile, password, devices, signing out, and its end. */
export const AccountScreen = () => {
  const { session } = useProduct()
  const me = useMe()
  if (!me) return null
  const signOut = async (): Promise<void> => {
    await session.signOut()
    go('#/')
  }
  return (
    <Screen title={text.account}>
      <Section title={text.profile}>
        <ProfileForm key={me.id} me={me} />
      </Section>
      <Section title={text.devices}>
        <p className="acts start">
          <a className="quiet link" href="#/devices">
            {text.showDevices}
          </a>
          <ActButton act={signOut}>{text.signOut}</ActButton>
        </p>
      </Section>
      <Section title={text.password}>
        <PasswordForm />
      </Section>
      <Section title={text.deleteAccount}>
        <DeleteForm />
      </Section>
    </Screen>
  )
}

interface EndProps {
  readonly busy: boolean
  readonly done: string
  readonly children: ReactNode
  readonly grave?: boolean
}

const FormEnd = ({ busy, done, children, grave = false }: EndProps) => (
  <p className="form-end">
    <button type="submit" className={grave ? 'quiet danger' : 'primary'} disabled={busy}>
      {children}
    </button>
    <span role="status" className="faint">
      {done}
    </span>
  </p>
)

const ProfileForm = ({ me }: { readonly me: Account }) => {
  const { api, session, people } = useProduct()
  const { busy, problem, run } = useAct()
  const [displayName, setDisplayName] = useState(me.displayName)
  const [statusText, setStatusText] = useState(me.statusText)
  const [saved, setSaved] = useState(false)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setSaved(false)
    run(async () => {
      const account = await api.patch<Account>('/me', { displayName, statusText })
      session.update(account)
      people.put([account])
      setDisplayName(account.displayName)
      setSaved(true)
    })
  }
  return (
    <form className="form" onSubmit={submit} noValidate>
      <p className="faint">{text.signInName(me.name)}</p>
      <Field
        label={text.displayName}
        hint={text.displayNameHint}
        wrong={undefined}
        value={displayName}
        onChange={setDisplayName}
        autoComplete="nickname"
      />
      <Field label={text.status} hint={text.statusHint} wrong={undefined} value={statusText} onChange={setStatusText} />
      <Trouble problem={problem} />
      <FormEnd busy={busy} done={saved ? text.saved : ''}>
        {text.save}
      </FormEnd>
    </form>
  )
}

/** What is wrong with the password that was given to be let do something. */
const wrongPassword = (problem: Problem | undefined): string | undefined =>
  problem?.code === 'BAD_CREDENTIALS' ? text.wrongPassword : undefined

const PasswordForm = () => {
  const { api, changes } = useProduct()
  const { busy, problem, run } = useAct()
  const [old, setOld] = useState('')
  const [password, setPassword] = useState('')
  const [saved, setSaved] = useState(false)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setSaved(false)
    run(async () => {
      await api.put('/me/password', { old, password })
      setOld('')
      setPassword('')
      setSaved(true)
      changes.happened('devices')
    })
  }
  const ill = problem?.code === 'BAD_PASSWORD' ? explain('BAD_PASSWORD') : undefined
  const wrong = wrongPassword(problem)
  return (
    <form className="form" onSubmit={submit} noValidate>
      <Field
        label={text.oldPassword}
        hint=""
        wrong={wrong}
        value={old}
        onChange={setOld}
        autoComplete="current-password"
        secret
      />
      <Field
        label={text.newPassword}
        hint={text.newPasswordHint}
        wrong={ill}
        value={password}
        onChange={setPassword}
        autoComplete="new-password"
        secret
      />
      {wrong === undefined && ill === undefined && <Trouble problem={problem} />}
      <FormEnd busy={busy || old === '' || password === ''} done={saved ? text.passwordChanged : ''}>
        {text.changePassword}
      </FormEnd>
    </form>
  )
}

const DeleteForm = () => {
  const { api, session } = useProduct()
  const { busy, problem, run } = useAct()
  const [password, setPassword] = useState('')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    run(async () => {
      await api.post('/me/deletion', { password })
      session.left()
      go('#/')
    })
  }
  const wrong = wrongPassword(problem)
  return (
    <form className="form" onSubmit={submit} noValidate>
      <p className="faint">{text.deleteAccountHint}</p>
      <Field
        label={text.passwordToDelete}
        hint=""
        wrong={wrong}
        value={password}
        onChange={setPassword}
        autoComplete="current-password"
        secret
      />
      {wrong === undefined && <Trouble problem={problem} />}
      <FormEnd busy={busy || password === ''} done="" grave>
        {text.deleteForEver}
      </FormEnd>
    </form>
  )
}
