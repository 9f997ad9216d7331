const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/**
 * Which web pages may connect: those that this host served, and those on `origins` (`*`: any). A node that only this
 * machine can reach is only asked for by a loopback name, or by one of `hosts`, which a proxy before it has: or a page could
 * come to it through a name of its own that points here.
 */
export const originCheck = (options: {
  readonly origins: readonly string[]
  readonly hosts?: readonly string[] | undefined
  readonly loopback: boolean
}) => {
  const listed = new Set(options.origins.map(origin => origin.toLowerCase()))
  const hosts = new Set(options.hosts)
  return (origin: string, host: string): boolean => {
    if (listed.has('*') || listed.has(origin.toLowerCase())) return true
    if (!URL.canParse(origin) || !URL.canParse(`http://${host}`)) return false
    const { hostname } = new URL(`http://${host}`)
    if (options.loopback && !LOOPBACK.test(hostname) && !hosts.has(hostname)) return false
    return new URL(origin).host === new URL(`${new URL(origin).protocol}//${host}`).host
  }
}

/** Whether `address` is one that only this machine can reach. */
export const isLoopback = (address: string): boolean => LOOPBACK.test(address) || address === '::1'
