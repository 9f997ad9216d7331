import { fail } from '../errors.ts'
import type { Frame, Version } from '../stomp/frame.ts'

/** The value of a header that must be there; throws MISSING_HEADER. */
export const required = (frame: Frame, name: string): string => {
  const value = frame.headers.get(name)
  if (value === undefined) throw fail('MISSING_HEADER', `${frame.command} needs ${name}`)
  return value
}

/** A header that is to come back to the client; throws BAD_HEADER where `version` cannot say it. */
export const echoed = (frame: Frame, name: string, version: Version): string | undefined => {
  const value = frame.headers.get(name)
  if (version !== '1.2' && value?.includes('\r')) throw fail('BAD_HEADER', `${name} holds a carriage return`)
  return value
}

/** A header that holds a whole number from 1 to `most`; throws BAD_HEADER. */
export const count = (frame: Frame, name: string, most: number): number | undefined => {
  const value = frame.headers.get(name)
  if (value === undefined) return undefined
  const number = /^\d{1,9}$/.test(value) ? Number(value) : 0
  if (number < 1 || number > most) throw fail('BAD_HEADER', `${name} takes a whole number from 1 to ${most}`)
  return number
}
