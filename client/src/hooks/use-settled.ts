import { useEffect, useState } from 'react'

/** How long somebody who types does so without a pause, ms. */
const PAUSE = 250

/** `value` once it has not changed for a moment: what is being typed is not asked for letter by letter. */
export const useSettled = (value: string): string => {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), PAUSE)
    return () => clearTimeout(timer)
  }, [value])
  return settled
}
