import { useSyncExternalStore } from 'react'
import { go } from '../../hooks/use-place.ts'
import { useProduct } from '../../hooks/use-product.ts'
import { text } from '../../text/text.ts'
import { ActButton } from './act-button.tsx'

/** Signs out, here or everywhere. What is not sent is lost with it: where there is some, that is said first. */
export const SignOut = ({ everywhere = false }: { readonly everywhere?: boolean }) => {
  const { chat, session } = useProduct()
  const unsent = useSyncExternalStore(chat.subscribe, () => chat.unsent)
  const signOut = async (): Promise<void> => {
    await session.signOut(everywhere)
    go('#/')
  }
  return (
    <>
      <ActButton grave={everywhere || unsent > 0} act={signOut}>
        {everywhere ? text.signOutEverywhere : text.signOut}
      </ActButton>
      {unsent > 0 && <span className="wrong small">{text.unsentLost(unsent)}</span>}
    </>
  )
}
