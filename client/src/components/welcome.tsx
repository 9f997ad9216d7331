import { type FormEvent, useEffect, useRef, useState } from 'react'
import { type Account, namedAccount, tokenAccount } from '../account.ts'
import { isRoomId, type Problem } from '../chat/index.ts'
import { goTo, useRoute } from '../hooks/use-route.ts'
import { explain, text } from '../text/text.ts'
import { Field } from './field.tsx'
import { Logo } from './icons.tsx'

interface WelcomeProps {
  /** The name used last. */
  readonly name: string
  /** Why the server refused the last try, and whether that was with a token. */
  readonly refused?: { readonly problem: Problem; readonly token: boolean }
  readonly onSignIn: (account: Account) => void
}

/** The first visit, and the way back in after a refusal. */
export const Welcome = ({ name, refused, onSignIn }: WelcomeProps) => {
  const [withToken, setWithToken] = useState(refused !== undefined)
  const [typed, setTyped] = useState(withToken ? '' : name)
  const route = useRoute()
  const [room, setRoom] = useState(route ?? 'general')
  const [wrong, setWrong] = useState<{ readonly who?: string; readonly room?: string }>({})

  const form = useRef<HTMLFormElement>(null)
  useEffect(() => form.current?.querySelector<HTMLInputElement>('[aria-invalid="true"]')?.focus(), [wrong])
  const asksForToken = refused?.problem.code === 'BAD_CREDENTIALS' && !refused.token
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    const account = withToken ? tokenAccount(typed) : namedAccount(typed)
    const who = account ? {} : { who: withToken ? text.tokenWrong : text.nameWrong }
    const where = isRoomId(room) ? {} : { room: text.roomWrong }
    setWrong({ ...who, ...where })
    if (!account || !isRoomId(room)) return
    goTo(room)
    onSignIn(account)
  }
  const change = (): void => {
    setWithToken(!withToken)
    setTyped(withToken ? name : '')
    setWrong({})
  }

  return (
    <main className="welcome">
      <form ref={form} className="card" onSubmit={submit} noValidate>
        <div className="brand">
          <Logo />
          <h1>Hoofbeat</h1>
        </div>
        <p className="tagline">{text.tagline}</p>
        {refused && (
          <p className={asksForToken ? 'notice' : 'problem'} role="alert">
            {asksForToken ? text.tokenNeeded : explain(refused.problem.code)}
          </p>
        )}
        <Field
          key={withToken ? 'token' : 'name'}
          label={withToken ? text.token : text.yourName}
          hint={withToken ? text.tokenHint : text.nameHint}
          wrong={wrong.who}
          value={typed}
          onChange={setTyped}
          autoComplete={withToken ? 'off' : 'nickname'}
          secret={withToken}
          focus
        />
        <Field label={text.room} hint={text.roomHint} wrong={wrong.room} value={room} onChange={setRoom} name />
        <button type="submit" className="primary">
          {text.enter}
        </button>
        <button type="button" className="quiet" onClick={change}>
          {withToken ? text.useName : text.useToken}
        </button>
      </form>
    </main>
  )
}
