import { Component, type ReactNode, useCallback, useEffect, useState } from 'react'
import { type Access, readAccess } from '../access.ts'
import { text } from '../text/text.ts'
import { App } from './app.tsx'
import { Away, ProductApp } from './product/product-app.tsx'

/** The page: a chat by name or token, or the chat product where people have accounts. */
export const Page = () => {
  const [access, setAccess] = useState<Access | 'away'>()
  const look = useCallback(() => {
    readAccess().then(setAccess, () => setAccess('away'))
  }, [])
  useEffect(look, [look])
  if (access === undefined) return <p className="sr-only">{text.loading}</p>
  if (access === 'away') return <Away code="UNREACHABLE" onRetry={look} byItself />
  return <Safe>{access === 'accounts' ? <ProductApp /> : <App />}</Safe>
}

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
