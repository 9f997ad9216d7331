import { fail } from '../errors.ts'

/** How two people stand to each other, as one of them sees it: that one has asked, is asked, or they are friends. */
export type Standing = 'none' | 'requested' | 'asked' | 'friends'

/** What there is between two people, seen from one side. */
export interface Pair {
  readonly standing: Standing
  /** I block them, they block me. */
  readonly blocking: boolean
  readonly blocked: boolean
}

export type Act = 'request' | 'accept' | 'decline' | 'cancel' | 'remove' | 'block' | 'unblock'

/** The same, seen from the other side. */
export const mirror = ({ standing, blocking, blocked }: Pair): Pair => ({
  standing: standing === 'requested' ? 'asked' : standing === 'asked' ? 'requested' : standing,
  blocking: blocked,
  blocked: blocking,
})

/** What is shown of it: whom I block may ask me, and I do not see it. */
export const shown = ({ standing, blocking }: Pair): Standing => (blocking && standing === 'asked' ? 'none' : standing)

/**
 * What there is between two people when one of them has done `act`. Throws FORBIDDEN, where one asks somebody whom they
 * block, and NO_SUCH_REQUEST.
 */
export const after = (pair: Pair, act: Act): Pair => ({ ...pair, ...acts[act](pair) })

const acts: Readonly<Record<Act, (pair: Pair) => Partial<Pair>>> = {
  // Whoever is blocked asks as if nothing were: nobody is told of a block.
  request: ({ standing, blocking }) => {
    if (blocking) throw fail('FORBIDDEN', 'you have blocked them')
    return { standing: standing === 'none' ? 'requested' : standing === 'asked' ? 'friends' : standing }
  },
  accept: pair => {
    if (shown(pair) !== 'asked' && pair.standing !== 'friends') throw fail('NO_SUCH_REQUEST')
    return { standing: 'friends' }
  },
  decline: pair => {
    if (shown(pair) !== 'asked') throw fail('NO_SUCH_REQUEST')
    return { standing: 'none' }
  },
  cancel: ({ standing }) => {
    if (standing !== 'requested') throw fail('NO_SUCH_REQUEST')
    return { standing: 'none' }
  },
  remove: ({ standing }) => (standing === 'friends' ? { standing: 'none' } : {}),
  block: ({ blocking }) => (blocking ? {} : { standing: 'none', blocking: true }),
  // What they asked meanwhile has not been seen, and is not to come up now.
  unblock: ({ standing, blocking }) => ({
    standing: blocking && standing === 'asked' ? 'none' : standing,
    blocking: false,
  }),
}
