import type { Endpoint } from './client.ts'

export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Addresses that a proxy which a node trusts says its clients have: limits per address then hold for each. */
let addresses = 0
const nextAddress = (): string => {
  addresses++
  return `10.${(addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses & 255}`
}

/** Asks a node over HTTP, whatever it answers. */
export const call = async (
  { url }: Endpoint,
  method: string,
  path: string,
  { token, body, address }: { readonly token?: string; readonly body?: object; readonly address?: string } = {},
): Promise<Answer> => {
  const { host } = new URL(url)
  const response = await fetch(`http://${host}/api${path}`, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body && { 'content-type': 'application/json' }),
      ...(address !== undefined && { 'x-forwarded-for': address }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) }
}

/** The same, where an error ends the load. */
export const ask = async (...asked: Parameters<typeof call>): Promise<Answer['body']> => {
  const { status, body } = await call(...asked)
  if (status >= 400) throw new Error(`${asked[1]} ${asked[2]}: ${status} ${JSON.stringify(body)}`)
  return body
}

/** How somebody signs in. */
export interface Account {
  readonly name: string
  readonly password: string
}

export interface SignedIn {
  readonly user: string
  readonly token: string
  readonly session: string
}

/** Signs somebody in, from an address of their own. */
export const signIn = async (endpoint: Endpoint, account: Account): Promise<SignedIn> => {
  const body = { ...account, keep: 'body' }
  const signed = await ask(endpoint, 'POST', '/session', { body, address: nextAddress() })
  return {
    user: (signed['user'] as { id: string }).id,
    token: signed['accessToken'] as string,
    session: signed['session'] as string,
  }
}

/** Signs in one after the other: passwords are looked at one at a time anyway. */
export const signInAll = async (endpoint: Endpoint, accounts: readonly Account[]): Promise<SignedIn[]> => {
  const all: SignedIn[] = []
  for (const account of accounts) all.push(await signIn(endpoint, account))
  return all
}
