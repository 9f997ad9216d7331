import { useState } from 'react'
import type { Account } from '../../api-types.ts'
import { useAct } from '../../hooks/use-act.ts'
import { go } from '../../hooks/use-place.ts'
import { useMe, useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { Field } from '../field.tsx'
import {
  DisplayNameField,
  NEW_PASSWORD_TOLD,
  NewPasswordField,
  PASSWORD_TOLD,
  PasswordField,
} from './account-fields.tsx'
import { demand, Form, FormEnd } from './form.tsx'
import { Screen, Section } from './screen.tsx'
import { SignOut } from './sign-out.tsx'

/** What the server takes of a status. */
const MOST_STATUS = 140

/** One's own account: profile, password, devices, signing out, and its end. */
export const AccountScreen = () => {
  const me = useMe()
  if (!me) return null
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
          <SignOut />
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

const ProfileForm = ({ me }: { readonly me: Account }) => {
  const { api, session, people } = useProduct()
  const act = useAct()
  const [displayName, setDisplayName] = useState(me.displayName)
  const [statusText, setStatusText] = useState(me.statusText)
  const [saved, setSaved] = useState(false)
  const submit = (): void => {
    setSaved(false)
    act.run(async () => {
      const account = await api.patch<Account>('/me', { displayName, statusText })
      session.update(account)
      people.put([account])
      setDisplayName(account.displayName)
      setStatusText(account.statusText)
      setSaved(true)
    })
  }
  return (
    <Form problem={act.problem} onSubmit={submit}>
      <p className="faint">{text.signInName(me.name)}</p>
      <DisplayNameField value={displayName} onChange={setDisplayName} />
      <Field
        label={text.status}
        hint={text.statusHint}
        wrong={undefined}
        value={statusText}
        onChange={setStatusText}
        most={MOST_STATUS}
      />
      <FormEnd act={act} done={saved ? text.saved : ''}>
        {text.save}
      </FormEnd>
    </Form>
  )
}

const PasswordForm = () => {
  const { api, changes } = useProduct()
  const act = useAct()
  const [old, setOld] = useState('')
  const [password, setPassword] = useState('')
  const [saved, setSaved] = useState(false)
  const submit = (): void => {
    setSaved(false)
    act.run(async () => {
      demand(old, 'NO_PASSWORD')
      demand(password, 'BAD_PASSWORD')
      await api.put('/me/password', { old, password })
      setOld('')
      setPassword('')
      setSaved(true)
      changes.happened('devices')
    })
  }
  const { problem } = act
  return (
    <Form problem={problem} onSubmit={submit}>
      <PasswordField label={text.oldPassword} problem={problem} value={old} onChange={setOld} />
      <NewPasswordField label={text.newPassword} problem={problem} value={password} onChange={setPassword} />
      <FormEnd act={act} told={[...PASSWORD_TOLD, ...NEW_PASSWORD_TOLD]} done={saved ? text.passwordChanged : ''}>
        {text.changePassword}
      </FormEnd>
    </Form>
  )
}

const DeleteForm = () => {
  const { api, session } = useProduct()
  const act = useAct()
  const [password, setPassword] = useState('')
  const submit = (): void =>
    act.run(async () => {
      demand(password, 'NO_PASSWORD')
      await api.post('/me/deletion', { password })
      session.left()
      go('#/')
    })
  return (
    <Form problem={act.problem} onSubmit={submit}>
      <p className="faint">{text.deleteAccountHint}</p>
      <PasswordField label={text.passwordToDelete} problem={act.problem} value={password} onChange={setPassword} />
      <FormEnd act={act} told={PASSWORD_TOLD} grave>
        {text.deleteForEver}
      </FormEnd>
    </Form>
  )
}
