import { memo } from 'react'
import { partsOf } from './links.ts'

interface LinkedTextProps {
  readonly body: string
  /** The text goes on. */
  readonly cut: boolean
}

/** A message as it was written: its line breaks, and its addresses to follow. */
export const LinkedText = memo(({ body, cut }: LinkedTextProps) => (
  <p className="said" dir="auto">
    {partsOf(body, cut).map(({ text, href }, index) =>
      href === undefined ? (
        text
      ) : (
        // Parts of a text never change places.
        <a key={index} href={href} target="_blank" rel="noopener noreferrer nofollow ugc">
          {text}
        </a>
      ),
    )}
  </p>
))
