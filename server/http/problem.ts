import { STATUS_CODES } from 'node:http'
import { errors, type HoofbeatError } from '../errors.ts'

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** The body of an HTTP error (RFC 9457): what the status says and nothing of the inside. */
export const problem = (status: number): string =>
  JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status })

/** The same for an error that has a code: what happened, and what to do. */
export const problemOf = ({ code, message }: HoofbeatError): string => {
  const { http: status, advice } = errors[code]
  return JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, code, detail: message, advice })
}
