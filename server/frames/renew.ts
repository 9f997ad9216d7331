import { fail } from '../errors.ts'
import { parseDestination } from '../fanout/destination.ts'
import { credentialsOf } from './connect.ts'
import { DONE, type FrameHandler } from './connection.ts'

/**
 * SEND to /session/renew: a new token of the same user and session goes on where the old one ends, and every subscription is checked
 * against it. The token is in the headers, as in CONNECT, or is the body.
 */
export const renew: FrameHandler = async (connection, frame) => {
  const inHeaders = credentialsOf(frame)
  const token = inHeaders.token ?? inHeaders.passcode ?? frame.body.toString('utf8').trim()
  const identity = await connection.around.access.authenticate({ token })
  const { user, session } = connection.identity
  if (identity.user !== user) throw fail('BAD_CREDENTIALS', 'the new token is of another user')
  if (identity.session !== session) throw fail('BAD_CREDENTIALS', 'the new token is of another session')
  for (const { destination, ended } of connection.subscriptions.values()) {
    if (ended) continue
    const place = parseDestination(destination)
    if ('room' in place && !(await connection.around.access.mayRead(identity, place.room))) {
      throw fail('FORBIDDEN', `to read ${place.room} with the new token`)
    }
  }
  connection.renew(identity)
  return DONE
}
