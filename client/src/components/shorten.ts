const MOST_CHARACTERS = 800
const MOST_LINES = 14

/** The beginning of a long text; undefined where the text is short enough to be shown whole. */
export const shorten = (text: string): string | undefined => {
  const line = endOfLine(text, MOST_LINES)
  // A little more than the limit is not worth hiding.
  if (text.length <= MOST_CHARACTERS * 1.25 && line === undefined) return undefined
  const end = Math.min(line ?? text.length, MOST_CHARACTERS)
  const broken = /[\uD800-\uDBFF]/.test(text.charAt(end - 1)) ? end - 1 : end
  return text.slice(0, broken).trimEnd()
}

/** Where line number `count` ends, if at least three more follow it. */
const endOfLine = (text: string, count: number): number | undefined => {
  let end = -1
  for (let line = 0; line < count; line++) {
    end = text.indexOf('\n', end + 1)
    if (end < 0) return undefined
  }
  return text.slice(end + 1).split('\n', 3).length === 3 ? end : undefined
}
