const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/

/**
 * Which web pages may connect: those that this host served, and those on `origins` (`*`: any). A node that only this
 * machine can reach is only asked for by a loopback name, or a page could come to it through a name of its own that
 * points here.
 */
export const originCheck = (options: { origins: readonly string[]; loopback: boolean }) => {
  const listed = new Set(options.origins.map(origin => origin.toLowerCase()))
  return (origin: string, host: string): boolean => {
    if (listed.has('*') || listed.has(origin.toLowerCase())) return true
    if (!URL.canParse(origin) || !URL.canParse(`http://${host}`)) return false
    if (options.loopback && !LOOPBACK.test(new URL(`http://${host}`).hostname)) return false
    return new URL(origin).host === new URL(`${new URL(origin).protocol}//${host}`).host
  }
}

/** Whether `address` is one that only this machine can reach. */
export const isLoopback = (address: string): boolean => LOOPBACK.test(address) || address === '::1'
