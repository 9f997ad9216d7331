import { fail, HoofbeatError } from '../errors.ts'

/** The migrations do not fit the database. The message is one line for whoever starts the node. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError'
}

/** The first letters of the SQLSTATEs that say that the server cannot do its work now, not that the statement is wrong. */
const away = [
  '08', // the connection
  '28', // who we are
  '3D', // no such database
  '53', // memory, disk, connections
  '57', // it was ended, is starting, or took too long
  '58', // the system around it
  'XX', // itself
  '25P03', // a transaction that did nothing for too long
  '25006', // it only reads: a standby
]

interface SqlError extends Error {
  readonly code: string
  readonly severity: string
  readonly constraint?: string
}

/** Whether the database itself has said it: pg's and PGlite's errors have classes of their own and the same fields. */
const isSql = (error: unknown): error is SqlError =>
  error instanceof Error && 'severity' in error && 'code' in error && typeof error.code === 'string'

/** Whether `error` says that a row like this exists already: of `constraint`, where that is given. */
export const isUniqueViolation = (error: unknown, constraint?: string): boolean =>
  isSql(error) && error.code === '23505' && (constraint === undefined || error.constraint === constraint)

/** Whether others were in the way, so that the same transaction may do when it is run again. */
export const isConflict = (error: unknown): boolean => isSql(error) && ['40001', '40P01'].includes(error.code)

/** Whether it may be another time: what is not the database's own word is the connection's, mistakes aside. */
export const isAway = (error: unknown): boolean =>
  isSql(error)
    ? away.some(state => error.code.startsWith(state))
    : !(error instanceof TypeError || error instanceof RangeError || error instanceof MigrationError)

/** What is wrong, in words for an operator. */
export const reason = (error: unknown): string => {
  // Where a name has several addresses, what was wrong with the first.
  const first = error instanceof AggregateError ? error.errors[0] : error
  return first instanceof Error ? first.message : String(first)
}

/** Of what PostgreSQL and PGlite add to an error, what may hold what somebody wrote. */
const telling = ['detail', 'where', 'query', 'params', 'queryOptions', 'internalQuery']

/** `error` as the rest of the server sees it: DATABASE_UNAVAILABLE, or the database's own, without anybody's data. */
export const translate = (error: unknown): unknown => {
  if (error instanceof HoofbeatError) return error
  if (isAway(error)) return fail('DATABASE_UNAVAILABLE', undefined, { cause: error })
  for (const field of telling) if (Object.hasOwn(error as Error, field)) Reflect.deleteProperty(error as Error, field)
  return error
}
