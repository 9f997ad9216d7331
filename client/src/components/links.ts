/** A stretch of text, and where it leads if it is a link. */
export interface Part {
  readonly text: string
  readonly href?: string
}

const CANDIDATE = /https?:\/\/[^\s<>"'`]+/gi
/** Marks that end a sentence rather than an address. */
const TRAILING = /[.,;:!?…·)\]}»”’。、，！？）」』】]$/

/** Finds the http and https addresses in a text. With `cut`, the text goes on: an address at its very end is no link. */
export const partsOf = (text: string, cut = false): Part[] => {
  const parts: Part[] = []
  let at = 0
  for (const match of text.matchAll(CANDIDATE)) {
    const address = trimmed(match[0])
    const end = match.index + address.length
    if (!isSafe(address) || (cut && match.index + match[0].length === text.length)) continue
    if (match.index > at) parts.push({ text: text.slice(at, match.index) })
    parts.push({ text: address, href: address })
    at = end
  }
  if (at < text.length) parts.push({ text: text.slice(at) })
  return parts
}

const trimmed = (found: string): string => {
  let address = found
  while (TRAILING.test(address) && !closesItsOwn(address)) address = address.slice(0, -1)
  return address
}

/** The bracket at the end has its opening one in the address itself, as in many an encyclopedia's. */
const closesItsOwn = (address: string): boolean =>
  address.endsWith(')') && address.split('(').length >= address.split(')').length

/** An address with a user name in it is made to look like another one. */
const isSafe = (address: string): boolean => {
  if (!URL.canParse(address)) return false
  const { username, password } = new URL(address)
  return username === '' && password === ''
}
