import { useEffect, useState } from 'react'
import { useSession, ProductContext } from '../../hooks/use-product.ts'
import { Product } from '../../product.ts'
import { openStore, Remembered } from '../../remembered.ts'
import { Session } from '../../session.ts'
import { explain, text } from '../../text/text.ts'
import { Door } from './door.tsx'
import { ProductShell } from './product-shell.tsx'

const store = openStore('localStorage')
const tab = openStore('sessionStorage')

/** The chat product: a door, and behind it everything for whoever is signed in. */
export const ProductApp = () => {
  const [session] = useState(() => new Session(store))
  const state = useSession(session)
  useEffect(() => void session.open(), [session])
  switch (state.is) {
    case 'opening':
      return <p className="sr-only">{text.loading}</p>
    case 'away':
      return <Away code={state.problem.code} onRetry={() => void session.open()} />
    case 'out':
      return <Door session={session} problem={state.problem} />
    case 'in':
      return <SignedIn key={state.session} session={session} user={state.user.id} />
  }
}

const SignedIn = ({ session, user }: { readonly session: Session; readonly user: string }) => {
  const [product] = useState(
    () =>
      new Product({
        session,
        user,
        remembered: new Remembered(store, tab, user),
        url: `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/ws`,
      }),
  )
  useEffect(() => {
    product.chat.start()
    return () => product.chat.stop()
  }, [product])
  return (
    <ProductContext value={product}>
      <ProductShell />
    </ProductContext>
  )
}

interface AwayProps {
  readonly code: string
  readonly onRetry: () => void
}

/** The server does not answer. */
export const Away = ({ code, onRetry }: AwayProps) => (
  <main className="welcome">
    <div className="card" role="alert">
      <h1>{text.errorTitle}</h1>
      <p>{explain(code)}</p>
      <button type="button" className="primary" onClick={onRetry}>
        {text.again}
      </button>
    </div>
  </main>
)
