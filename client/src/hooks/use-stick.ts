import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'

/** How near the bottom, in pixels, counts as at the bottom. */
const NEAR = 60

export interface Stick {
  readonly scroller: RefObject<HTMLDivElement | null>
  readonly content: RefObject<HTMLDivElement | null>
  /** Whether the newest message is in view, and stays so as more come. */
  readonly stuck: boolean
  readonly toBottom: () => void
  /** Stays where it is although the content grows. */
  readonly release: () => void
}

/** Keeps a scroller at its bottom while its content or its size changes, until the reader scrolls up. */
export const useStick = (): Stick => {
  const scroller = useRef<HTMLDivElement>(null)
  const content = useRef<HTMLDivElement>(null)
  const sticking = useRef(true)
  const [stuck, setStuck] = useState(true)

  const toBottom = useCallback(() => {
    sticking.current = true
    setStuck(true)
    if (scroller.current) scroller.current.scrollTop = scroller.current.scrollHeight
  }, [])

  const release = useCallback(() => {
    sticking.current = false
  }, [])

  useLayoutEffect(toBottom, [toBottom])
  useEffect(() => {
    const { current: box } = scroller
    const { current: inner } = content
    if (!box || !inner) return undefined
    let { scrollTop } = box
    const look = (): void => {
      sticking.current = isNear(box)
      setStuck(sticking.current)
    }
    const onScroll = (): void => {
      // Content that grows moves the bottom away without any scrolling: only the reader's going up unsticks.
      if (isNear(box) || box.scrollTop < scrollTop) look()
      scrollTop = box.scrollTop
    }
    const onResize = (): void => {
      if (sticking.current) box.scrollTop = box.scrollHeight
      else look()
    }
    const observer = new ResizeObserver(onResize)
    observer.observe(box)
    observer.observe(inner)
    box.addEventListener('scroll', onScroll, { passive: true })
    return () => {
      observer.disconnect()
      box.removeEventListener('scroll', onScroll)
    }
  }, [])

  return { scroller, content, stuck, toBottom, release }
}

const isNear = (box: HTMLElement): boolean => box.scrollHeight - box.scrollTop - box.clientHeight < NEAR
