import { useState } from 'react'
import { problemIn } from '../api.ts'
import type { Problem } from '../chat/index.ts'

export interface Act {
  /** It is under way. */
  readonly busy: boolean
  /** What went wrong the last time. */
  readonly problem: Problem | undefined
  /** Does something, unless something is under way. */
  readonly run: (work: () => Promise<unknown>) => void
}

/** Something that a button or a form does. */
export const useAct = (): Act => {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem>()
  const run = (work: () => Promise<unknown>): void => {
    if (busy) return
    setBusy(true)
    // What went wrong before is not said any more, so that it is heard when it is said again.
    setProblem(undefined)
    work()
      .catch((error: unknown) => setProblem(problemIn(error)))
      .finally(() => setBusy(false))
  }
  return { busy, problem, run }
}
