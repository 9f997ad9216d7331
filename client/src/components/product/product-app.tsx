import { useCallback, useEffect, useState } from 'react'
import { backOff } from '../../chat/back-off.ts'
import { useSession, ProductContext } from '../../hooks/use-product.ts'
import { Product } from '../../product.ts'
import { forgetWritten, openStore, Remembered } from '../../remembered.ts'
import { Session } from '../../session.ts'
import { explain, text } from '../../text/text.ts'
import { Logo } from '../icons.tsx'
import { Door } from './door.tsx'
import { ProductShell } from './product-shell.tsx'

const store = openStore('localStorage')
const tab = openStore('sessionStorage')

/** The chat product: a door, and behind it everything for whoever is signed in. */
export const ProductApp = () => {
  const [session] = useState(() => new Session(store))
  const state = useSession(session)
  const open = useCallback(() => void session.open(), [session])
  useEffect(open, [open])
  // After the chat was stopped: it writes nothing any more.
  useEffect(() => {
    if (state.is === 'out') forgetWritten(store, tab)
  }, [state.is])
  switch (state.is) {
    case 'opening':
      return <Opening />
    case 'away':
      return <Away code={state.problem.code} onRetry={open} byItself />
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

/** What is shown before it is known what to show. */
export const Opening = () => (
  <main className="welcome appears">
    <div className="blank" role="status">
      <Logo />
      <p>{text.loading}</p>
    </div>
  </main>
)

interface AwayProps {
  readonly code: string
  readonly onRetry: () => void
  /** It is tried again and again without anybody's doing. */
  readonly byItself?: boolean
}

/** The page cannot be shown now. */
export const Away = ({ code, onRetry, byItself = false }: AwayProps) => {
  const [tried, setTried] = useState(0)
  useEffect(() => {
    if (!byItself) return undefined
    const retry = (): void => {
      onRetry()
      setTried(before => before + 1)
    }
    const timer = setTimeout(retry, backOff(tried))
    globalThis.addEventListener('online', retry)
    return () => {
      clearTimeout(timer)
      globalThis.removeEventListener('online', retry)
    }
  }, [byItself, onRetry, tried])
  return (
    <main className="welcome">
      <div className="card" role="alert">
        <div className="brand">
          <Logo />
          <h1>{text.errorTitle}</h1>
        </div>
        <p>
          {explain(code)} {byItself && text.triesItself}
        </p>
        <button type="button" className="primary" onClick={onRetry}>
          {text.again}
        </button>
      </div>
    </main>
  )
}
