import { type ErrorCode, fail, type HoofbeatError } from '../errors.ts'

export type Version = '1.0' | '1.1' | '1.2'

/** One STOMP frame. Of repeated headers the map holds the first. `body` may share memory with what was received, of which it is no small part then. */
export interface Frame {
  readonly command: string
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
}

export const EMPTY: Buffer = Buffer.alloc(0)

/** The versions that are spoken, the best one last. */
export const VERSIONS: readonly Version[] = ['1.0', '1.1', '1.2']

/**
 * The highest version that a client's `accept-version` header names (absent: 1.0, which had no such header).
 * Throws UNSUPPORTED_VERSION, with a `version` header for the ERROR frame, where it names none of ours.
 */
export const chooseVersion = (acceptVersion: string | undefined): Version => {
  if (acceptVersion === undefined) return '1.0'
  const offered = acceptVersion.split(',').map(version => version.trim())
  const chosen = VERSIONS.findLast(version => offered.includes(version))
  if (chosen === undefined) throw fail('UNSUPPORTED_VERSION', undefined, { headers: { version: VERSIONS.join(',') } })
  return chosen
}

/** The error of a frame whose headers are known: it names the receipt that was asked for. */
export const refuse = ({ headers }: Pick<Frame, 'headers'>, code: ErrorCode, detail: string): HoofbeatError => {
  const receipt = headers.get('receipt')
  return fail(code, detail, receipt === undefined ? {} : { headers: { 'receipt-id': receipt } })
}
