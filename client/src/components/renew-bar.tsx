import { type FormEvent, useState } from 'react'
import { type Account, tokenAccount } from '../account.ts'
import { text } from '../text/text.ts'

interface RenewBarProps {
  readonly user: string
  readonly onRenew: (account: Account) => void
}

/** Asks for a new token of the same user before the present one expires. */
export const RenewBar = ({ user, onRenew }: RenewBarProps) => {
  const [token, setToken] = useState('')
  const [wrong, setWrong] = useState(false)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    const account = tokenAccount(token)
    if (account?.user === user) onRenew(account)
    else setWrong(true)
  }
  return (
    <form className="renew" onSubmit={submit} role="alert">
      <strong>{text.renewTitle}</strong>
      <input
        type="password"
        value={token}
        onChange={event => setToken(event.target.value)}
        aria-label={text.token}
        aria-invalid={wrong}
        autoComplete="off"
        placeholder={text.token}
      />
      <button type="submit" className="primary small">
        {text.renewButton}
      </button>
      {wrong && <span className="wrong">{text.tokenWrong}</span>}
    </form>
  )
}
