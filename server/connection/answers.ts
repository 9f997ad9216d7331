import { errors, type HoofbeatError } from '../errors.ts'

/** What an ERROR frame says: headers, and as its body what to do next. */
export const errorFrame = (
  error: HoofbeatError,
  receipt?: string,
): { headers: Record<string, string>; body: Buffer } => ({
  headers: {
    code: error.code,
    message: error.message,
    ...(receipt === undefined ? {} : { 'receipt-id': receipt }),
    ...error.headers,
    // Without a charset stompit takes the body for itself, and dies of it.
    'content-type': 'text/plain;charset=utf-8',
  },
  body: Buffer.from(errors[error.code].advice),
})

/** The WebSocket close code after an ERROR: service restart, internal error, or policy violation (RFC 6455, 7.4.1). */
export const closeCode = ({ code }: HoofbeatError): number =>
  code === 'DRAINING' ? 1012 : code === 'INTERNAL' ? 1011 : 1008
