import { useEffect, useState } from 'react'
import { text } from '../text/text.ts'
import { CheckIcon, LinkIcon } from './icons.tsx'

/** Copies the page's address, which names the room. Pages that came over plain HTTP have no clipboard. */
export const CopyLink = () => {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return undefined
    const timer = setTimeout(() => setCopied(false), 2500)
    return () => clearTimeout(timer)
  }, [copied])
  if (!isSecureContext) return null
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(location.href)
    setCopied(true)
  }
  const label = copied ? text.linkCopied : text.copyLink
  return (
    <button type="button" className="icon-button" onClick={() => void copy()} aria-label={text.copyLink} title={label}>
      {copied ? <CheckIcon /> : <LinkIcon />}
      <span className="sr-only" role="status">
        {copied ? text.linkCopied : ''}
      </span>
    </button>
  )
}
