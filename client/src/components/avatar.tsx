const COLOURS = 8
const letters = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/** The same colour for the same name, everywhere: the number of a `colour-` class. */
export const colourOf = (name: string): number => {
  let hash = 7
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0
  return hash % COLOURS
}

const initialOf = (name: string): string => {
  for (const { segment } of letters.segment(name)) return segment.toLocaleUpperCase()
  return '?'
}

export const Avatar = ({ name }: { readonly name: string }) => (
  <span className={`avatar colour-${colourOf(name)}`} aria-hidden="true">
    {initialOf(name)}
  </span>
)
