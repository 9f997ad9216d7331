import type { ErrorCode } from '../../server/errors.ts'
import { readClient, type Limits, type Version } from './client-stream.ts'

export type LoginAnswer =
  | { readonly kind: 'connected'; readonly version: Version; readonly user: string }
  | { readonly kind: 'refused'; readonly codes: ReadonlySet<ErrorCode> }
  | { readonly kind: 'nothing' }

const VERSIONS: readonly Version[] = ['1.0', '1.1', '1.2']

/** What has to come of the first frame of a connection to a node with open access ([S-11] to [S-17], [S-22]). */
export const expectLogin = (bytes: Buffer, limits: Limits): LoginAnswer => {
  const reading = readClient(bytes, undefined, limits)
  if (reading.kind === 'more') return { kind: 'nothing' }
  if (reading.kind === 'wrong') return { kind: 'refused', codes: new Set([...reading.codes, 'NOT_CONNECTED' as const]) }
  const { command, headers } = reading.frame
  if (command !== 'CONNECT' && command !== 'STOMP') return { kind: 'refused', codes: new Set(['NOT_CONNECTED']) }
  const codes = new Set<ErrorCode>()
  const offered = (headers.get('accept-version') ?? '1.0').split(',').map(version => version.trim())
  const version = VERSIONS.findLast(each => offered.includes(each))
  if (version === undefined) codes.add('UNSUPPORTED_VERSION')
  if (version !== '1.0' && !/^\d+,\d+$/.test(headers.get('heart-beat') ?? '0,0')) codes.add('BAD_HEADER')
  const user = (headers.get('login') ?? '').trim() || 'anonymous'
  if ([...user].length > 128 || /\p{Cc}/u.test(user)) codes.add('BAD_CREDENTIALS')
  return codes.size > 0 ? { kind: 'refused', codes } : { kind: 'connected', version: version!, user }
}
