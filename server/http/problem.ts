import { STATUS_CODES } from 'node:http'

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

/** The body of an HTTP error (RFC 9457): what the status says and nothing of the inside. */
export const problem = (status: number): string =>
  JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status })
