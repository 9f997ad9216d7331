import { memo } from 'react'
import { partsOf } from './links.ts'
import { piecesOf } from './shorten.ts'

interface LinkedTextProps {
  readonly body: string
  /** The text goes on. */
  readonly cut: boolean
}

/** A message as it was written: its line breaks, and its addresses to follow. */
export const LinkedText = memo(({ body, cut }: LinkedTextProps) => {
  const pieces = piecesOf(body)
  return (
    <p className="said">
      {pieces.length === 1 ? (
        <Linked text={body} cut={cut} />
      ) : (
        pieces.map((piece, index) => (
          // Pieces and parts of a text never change places.
          <span key={index} className="piece">
            <Linked text={piece} cut={cut && index === pieces.length - 1} />
          </span>
        ))
      )}
    </p>
  )
})

const Linked = ({ text, cut }: { readonly text: string; readonly cut: boolean }) =>
  partsOf(text, cut).map(({ text: part, href }, index) =>
    href === undefined ? (
      part
    ) : (
      <a key={index} href={href} target="_blank" rel="noopener noreferrer nofollow ugc">
        {part}
      </a>
    ),
  )
