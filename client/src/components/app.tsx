import { useCallback, useEffect, useState } from 'react'
import type { Account } from '../account.ts'
import { Chat } from '../chat/index.ts'
import { useConnectionState } from '../hooks/use-chat.ts'
import { openStore, Remembered } from '../remembered.ts'
import { Shell } from './shell.tsx'
import { Welcome } from './welcome.tsx'

const remembered = new Remembered(openStore('localStorage'), openStore('sessionStorage'))

/** A token that is wanted: the chat waits for it. */
export interface Renewal {
  readonly answer: (token: string) => void
}

export const App = () => {
  const [renewal, setRenewal] = useState<Renewal>()
  const open = useCallback(
    ({ user, credentials }: Account) =>
      new Chat({
        url: `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/ws`,
        user,
        credentials,
        store: remembered.lasting,
        renew: () => new Promise(answer => setRenewal({ answer })),
      }),
    [],
  )
  const [chat, setChat] = useState(() => {
    const account = remembered.account()
    return account && open(account)
  })
  useEffect(() => {
    chat?.start()
    return () => chat?.stop()
  }, [chat])

  const signIn = (account: Account): void => {
    remembered.signedIn(account)
    setRenewal(undefined)
    if (chat?.user === account.user) chat.signIn(account.credentials)
    else setChat(open(account))
  }
  const renew = (account: Account): void => {
    remembered.signedIn(account)
    if ('token' in account.credentials) renewal?.answer(account.credentials.token)
    setRenewal(undefined)
  }
  const signOut = (): void => {
    remembered.signedOut()
    setRenewal(undefined)
    setChat(undefined)
  }

  if (!chat) return <Welcome name={remembered.name()} onSignIn={signIn} />
  return (
    <SignedIn
      chat={chat}
      onSignIn={signIn}
      onSignOut={signOut}
      renewal={renewal && { user: chat.user, onRenew: renew }}
    />
  )
}

interface SignedInProps {
  readonly chat: Chat
  readonly onSignIn: (account: Account) => void
  readonly onSignOut: () => void
  readonly renewal: { readonly user: string; readonly onRenew: (account: Account) => void } | undefined
}

const SignedIn = ({ chat, onSignIn, onSignOut, renewal }: SignedInProps) => {
  const state = useConnectionState(chat)
  if (state.is === 'refused') {
    const refused = { problem: state.problem, token: chat.withToken }
    return <Welcome name={remembered.name()} refused={refused} onSignIn={onSignIn} />
  }
  return <Shell chat={chat} remembered={remembered} onSignOut={onSignOut} renewal={renewal} />
}
