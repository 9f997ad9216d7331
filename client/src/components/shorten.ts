const MOST_CHARACTERS = 800
const MOST_LINES = 14
/** Of what is shown whole, so much is laid out at once. */
const PIECE = 4000

/** The beginning of a long text; undefined where the text is short enough to be shown whole. */
export const shorten = (text: string): string | undefined => {
  const line = endOfLine(text, MOST_LINES)
  // A little more than the limit is not worth hiding.
  if (text.length <= MOST_CHARACTERS * 1.25 && line === undefined) return undefined
  return text.slice(0, wholeCharacters(text, Math.min(line ?? text.length, MOST_CHARACTERS))).trimEnd()
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

/** Cuts a long text into pieces, one below the other: at ends of lines where there are any, otherwise between words. */
export const piecesOf = (text: string): string[] => {
  const pieces: string[] = []
  let at = 0
  while (text.length - at > PIECE * 1.25) {
    const piece = text.slice(at, at + PIECE)
    const end = Math.max(piece.lastIndexOf('\n'), 0) || Math.max(piece.lastIndexOf(' '), 0)
    // The space or the end of the line at the cut is what the cut stands for.
    pieces.push(end > 0 ? piece.slice(0, end) : text.slice(at, wholeCharacters(text, at + PIECE)))
    at = end > 0 ? at + end + 1 : wholeCharacters(text, at + PIECE)
  }
  return [...pieces, text.slice(at)]
}

/** `end`, or one less where that would cut a character in two. */
const wholeCharacters = (text: string, end: number): number =>
  /[\uD800-\uDBFF]/.test(text.charAt(end - 1)) ? end - 1 : end
