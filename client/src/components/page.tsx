import { Component, type ReactNode, useCallback, useEffect, useState } from 'react'
import { type Access, readAccess } from '../access.ts'
import { explain, text } from '../text/text.ts'
import { App } from './app.tsx'
import { Logo } from './icons.tsx'
import { Away, Opening, ProductApp } from './product/product-app.tsx'

/** The page: a chat by name or token, or the chat product where people have accounts. */
export const Page = () => {
  const [access, setAccess] = useState<Access | 'away'>()
  const look = useCallback(() => {
    readAccess().then(setAccess, () => setAccess('away'))
  }, [])
  useEffect(look, [look])
  if (location.pathname !== '/') return <Nowhere />
  if (access === undefined) return <Opening />
  if (access === 'away') return <Away code="UNREACHABLE" onRetry={look} byItself />
  return <Safe>{access === 'accounts' ? <ProductApp /> : <App />}</Safe>
}

/** Whatever the address is, there is one page alone. */
const Nowhere = () => (
  <main className="welcome">
    <div className="card">
      <div className="brand">
        <Logo />
        <h1>{text.lostTitle}</h1>
      </div>
      <p>{explain('NOT_FOUND')}</p>
      <a className="primary link" href="/">
        {text.toHome}
      </a>
    </div>
  </main>
)

/** What is shown when a mistake of ours stops the page. */
class Safe extends Component<{ readonly children: ReactNode }, { readonly broken: boolean }> {
  override readonly state = { broken: false }

  static getDerivedStateFromError(): { readonly broken: boolean } {
    return { broken: true }
  }

  override render(): ReactNode {
    return this.state.broken ? <Away code="INTERNAL" onRetry={() => location.reload()} /> : this.props.children
  }
}
