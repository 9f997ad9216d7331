/** How people come in: by a name or token, or by accounts of this server's own. */
export type Access = 'open' | 'token' | 'accounts'

/** Asks the server that the page came from. Rejects where no answer comes; one that does not know has no accounts. */
export const readAccess = async (): Promise<Access> => {
  const response = await fetch('/access', { signal: AbortSignal.timeout(20_000) })
  const said: unknown = response.ok ? await response.json() : undefined
  const access = typeof said === 'object' && said !== null && 'access' in said ? said.access : undefined
  return access === 'accounts' || access === 'token' ? access : 'open'
}
