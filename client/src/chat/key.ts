type Random = Pick<Crypto, 'getRandomValues'> & { readonly randomUUID?: Crypto['randomUUID'] }

/** A new idempotency key: a version 4 UUID, also where the page came over plain HTTP and has no `randomUUID`. */
export const newKey = (random: Random = crypto): string => {
  if (random.randomUUID) return random.randomUUID()
  const bytes = random.getRandomValues(new Uint8Array(16))
  const hex = [...bytes].map((byte, index) => {
    if (index === 6) return ((byte & 0x0f) | 0x40).toString(16).padStart(2, '0')
    if (index === 8) return ((byte & 0x3f) | 0x80).toString(16).padStart(2, '0')
    return byte.toString(16).padStart(2, '0')
  })
  return [hex.slice(0, 4), hex.slice(4, 6), hex.slice(6, 8), hex.slice(8, 10), hex.slice(10)]
    .map(part => part.join(''))
    .join('-')
}
