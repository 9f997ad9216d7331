import type { Problem } from '../../chat/index.ts'
import { explain, text } from '../../text/text.ts'
import { AlertIcon } from '../icons.tsx'
import { Screen } from './screen.tsx'

const MISSING = new Set(['NOT_FOUND', 'NO_SUCH_ROOM', 'NO_SUCH_USER', 'BAD_REQUEST'])

/** Instead of what cannot be shown: that it is not there, or what went wrong. */
export const ProblemPage = ({ problem }: { readonly problem: Problem }) => {
  const missing = MISSING.has(problem.code)
  return (
    <Screen title={missing ? text.lostTitle : text.errorTitle}>
      <div className="blank" role="alert">
        <AlertIcon />
        <h2>{missing ? text.lostTitle : text.errorTitle}</h2>
        <p>{explain(problem.code)}</p>
        <a className="primary small link" href="#/">
          {text.toHome}
        </a>
      </div>
    </Screen>
  )
}

export const LostPage = () => <ProblemPage problem={{ code: 'NOT_FOUND', message: '', advice: '' }} />
