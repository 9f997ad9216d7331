/** What an error code means, to whoever meets it: the STOMP client, an HTTP client, a log reader. */
export interface ErrorSpec {
  /** One line, the same every time; the detail of a case follows it in the ERROR frame's `message`. */
  readonly message: string
  /** What to do next: the ERROR frame's body. */
  readonly advice: string
  /** Whether the same client may try the same thing again and expect success. */
  readonly retry: boolean
}

/** Every error that a client can be told of. PROTOCOL.md has the same list, and a test holds the two together. */
export const errors = {
  BAD_CREDENTIALS: {
    message: 'the credentials were refused',
    advice: 'Connect again with a valid token or login.',
    retry: false,
  },
  TOKEN_EXPIRED: {
    message: 'the token has expired',
    advice: 'Get a new token and connect again, or renew in time by SEND to /session/renew.',
    retry: false,
  },
  LOGIN_TIMEOUT: {
    message: 'no CONNECT frame came in time',
    advice: 'Send CONNECT as soon as the transport is open.',
    retry: true,
  },
  NOT_CONNECTED: {
    message: 'the first frame must be CONNECT or STOMP, and only the first',
    advice: 'Send CONNECT once, wait for CONNECTED, then send other frames.',
    retry: false,
  },
  UNSUPPORTED_VERSION: {
    message: 'no common STOMP version',
    advice: 'Offer 1.0, 1.1 or 1.2 in accept-version.',
    retry: false,
  },
  BAD_FRAME: {
    message: 'the frame is malformed',
    advice: 'See the STOMP specification for the form of a frame.',
    retry: false,
  },
  BAD_HEADER: {
    message: 'a header is malformed',
    advice: 'See PROTOCOL.md for the form of each header.',
    retry: false,
  },
  BAD_ESCAPE: {
    message: 'undefined escape sequence in a header',
    advice: 'STOMP 1.2 knows \\r \\n \\c \\\\, STOMP 1.1 knows \\n \\c \\\\.',
    retry: false,
  },
  BAD_ENCODING: { message: 'a header is not valid UTF-8', advice: 'Encode headers as UTF-8.', retry: false },
  FRAME_TOO_LARGE: {
    message: 'the frame is larger than this server takes',
    advice: 'Send less in one frame.',
    retry: false,
  },
  TOO_MANY_HEADERS: { message: 'the frame has too many headers', advice: 'Send fewer headers.', retry: false },
  UNKNOWN_COMMAND: {
    message: 'unknown command',
    advice: 'Use a client command of STOMP 1.2; commands are case-sensitive.',
    retry: false,
  },
  MISSING_HEADER: {
    message: 'a required header is missing',
    advice: 'Add the header that the message names.',
    retry: false,
  },
  BAD_DESTINATION: {
    message: 'no such kind of destination',
    advice: 'Use /topic/<room>, with a room name of 1 to 120 of A-Z a-z 0-9 . _ - / :',
    retry: false,
  },
  NO_SUCH_ROOM: {
    message: 'there is no such room',
    advice: 'Check the name, or have the room made first.',
    retry: false,
  },
  TOO_MANY_ROOMS: {
    message: 'no more rooms can be made',
    advice: 'Use a room that exists, or try again later.',
    retry: true,
  },
  FORBIDDEN: { message: 'not allowed', advice: 'Ask for the right to this room.', retry: false },
  DUPLICATE_SUBSCRIPTION: {
    message: 'this subscription id is in use on this connection',
    advice: 'Choose another id, or UNSUBSCRIBE first.',
    retry: false,
  },
  TOO_MANY_SUBSCRIPTIONS: {
    message: 'too many subscriptions on this connection',
    advice: 'UNSUBSCRIBE from what is no longer needed.',
    retry: false,
  },
  UNKNOWN_SUBSCRIPTION: {
    message: 'no such subscription on this connection',
    advice: 'Use the id that was given to SUBSCRIBE.',
    retry: false,
  },
  UNKNOWN_TRANSACTION: {
    message: 'no such transaction is open on this connection',
    advice: 'BEGIN it first.',
    retry: false,
  },
  DUPLICATE_TRANSACTION: {
    message: 'this transaction is open already',
    advice: 'Choose another name, or COMMIT or ABORT it first.',
    retry: false,
  },
  TOO_MANY_TRANSACTIONS: {
    message: 'too many open transactions on this connection',
    advice: 'COMMIT or ABORT some first.',
    retry: false,
  },
  UNKNOWN_ACK: {
    message: 'no such message waits for an acknowledgement',
    advice: 'Acknowledge each delivery once, with the id of its ack header.',
    retry: false,
  },
  TOO_MANY_CONNECTIONS: {
    message: 'too many connections',
    advice: 'Close other connections, or try again later.',
    retry: true,
  },
  RATE_LIMITED: {
    message: 'too many frames for too long',
    advice: 'Wait for retry-after-ms, then send more slowly.',
    retry: true,
  },
  LOG_UNAVAILABLE: {
    message: 'the log cannot be reached; whether the message was kept is unknown',
    advice: 'Connect again and repeat with the same idempotency-key.',
    retry: true,
  },
  DATABASE_UNAVAILABLE: {
    message: 'the database cannot be reached; whether a change was made is unknown',
    advice: 'Try again; repeat what creates something with the same Idempotency-Key.',
    retry: true,
  },
  STALLED: {
    message: 'nothing could be written to this connection for too long',
    advice: 'Connect again with after:<last message-id> and read what comes.',
    retry: true,
  },
  HEART_BEAT_LOST: {
    message: 'no sign of life from the client',
    advice: 'Send heart-beats as agreed in CONNECTED.',
    retry: true,
  },
  DRAINING: {
    message: 'this node is going away',
    advice: 'Connect to another node after retry-after-ms, with after:<last message-id>.',
    retry: true,
  },
  INTERNAL: {
    message: 'something went wrong in the server',
    advice: 'Connect again; if it goes on, tell the operators the session id.',
    retry: true,
  },
} as const satisfies Record<string, ErrorSpec>

export type ErrorCode = keyof typeof errors

/** An error that the other side is told of. Its text holds no secret and nothing internal; `cause` is for the log only. */
export class HoofbeatError extends Error {
  readonly code: ErrorCode
  /** More headers for the ERROR frame, such as `retry-after-ms` or `version`. */
  readonly headers: Readonly<Record<string, string>>
  constructor(code: ErrorCode, detail?: string, options: { headers?: Record<string, string>; cause?: unknown } = {}) {
    super(detail ? `${errors[code].message}: ${detail}` : errors[code].message, { cause: options.cause })
    this.name = 'HoofbeatError'
    this.code = code
    this.headers = options.headers ?? {}
  }
}

/** Makes the error of `code`; `detail` names the case and is shown to the client. */
export const fail = (
  code: ErrorCode,
  detail?: string,
  options?: { headers?: Record<string, string>; cause?: unknown },
): HoofbeatError => new HoofbeatError(code, detail, options)

/** `error` as one that a client can be told of: what is not ours becomes INTERNAL, with the original as cause. */
export const toHoofbeatError = (error: unknown): HoofbeatError =>
  error instanceof HoofbeatError ? error : fail('INTERNAL', undefined, { cause: error })
