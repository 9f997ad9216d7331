import { fail } from '../errors.ts'
import { isUser, type Access } from '../ports/access.ts'
import type { Driver } from '../ports/driver.ts'

/**
 * Access for trying out: whoever says a name is that user, may read and send everywhere, and stays so.
 *
 * White space around the login is dropped; without a login the user is `anonymous`.
 */
export const openAccess = (): Driver<Access> => {
  let closed = false
  const open = (): void => {
    if (closed) throw fail('DRAINING')
  }
  return {
    port: {
      async authenticate({ login = '' }) {
        open()
        const user = login.trim() || 'anonymous'
        if (!isUser(user)) {
          throw fail('BAD_CREDENTIALS', 'a login is at most 128 characters, without control characters')
        }
        return { user }
      },
      mayRead() {
        open()
        return true
      },
      maySend() {
        open()
        return true
      },
      changes() {
        // Nothing ever ends a right here.
      },
    },
    async check() {
      open()
    },
    async close() {
      closed = true
    },
  }
}
