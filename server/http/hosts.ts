import { isLoopback } from '../transport/origin.ts'

/**
 * Whether a node may be asked for as `host` (of a request, with or without a port): by the names on `hosts`, where there are
 * none by any. A node that only this machine can reach is asked for by loopback names beside those, and by no other: or a
 * page could come to it through a name of its own that points here.
 */
export const hostCheck = (options: { readonly hosts: readonly string[] | undefined; readonly loopback: boolean }) => {
  const listed = new Set(options.hosts)
  return (host: string): boolean => {
    if (/[/?#@\\]/.test(host) || !URL.canParse(`http://${host}`)) return false
    const { hostname } = new URL(`http://${host}`)
    if (listed.has(hostname)) return true
    return options.loopback ? isLoopback(hostname) : listed.size === 0
  }
}
