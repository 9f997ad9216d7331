/** What an error code means, to whoever meets it: the STOMP client, an HTTP client, a log reader. */
export interface ErrorSpec {
  /** One line, the same every time; the detail of a case follows it in the ERROR frame's `message`. */
  readonly message: string
  /** What to do next: the ERROR frame's body. */
  readonly advice: string
  /** The status of an HTTP answer. */
  readonly http: number
  /** Whether the same client may try the same thing again and expect success. */
  readonly retry: boolean
}

/** Every error that a client can be told of. PROTOCOL.md has the same list, and a test holds the two together. */
export const errors = {
  BAD_CREDENTIALS: {
    message: 'the credentials were refused',
    advice: 'Connect again with a valid token or login.',
    http: 401,
    retry: false,
  },
  TOKEN_EXPIRED: {
    message: 'the token has expired',
    advice: 'Get a new token and connect again, or renew in time by SEND to /session/renew.',
    http: 401,
    retry: false,
  },
  LOGIN_TIMEOUT: {
    message: 'no CONNECT frame came in time',
    advice: 'Send CONNECT as soon as the transport is open.',
    http: 408,
    retry: true,
  },
  NOT_CONNECTED: {
    message: 'the first frame must be CONNECT or STOMP, and only the first',
    advice: 'Send CONNECT once, wait for CONNECTED, then send other frames.',
    http: 400,
    retry: false,
  },
  UNSUPPORTED_VERSION: {
    message: 'no common STOMP version',
    advice: 'Offer 1.0, 1.1 or 1.2 in accept-version.',
    http: 400,
    retry: false,
  },
  BAD_FRAME: {
    message: 'the frame is malformed',
    advice: 'See the STOMP specification for the form of a frame.',
    http: 400,
    retry: false,
  },
  BAD_HEADER: {
    message: 'a header is malformed',
    advice: 'See PROTOCOL.md for the form of each header.',
    http: 400,
    retry: false,
  },
  BAD_ESCAPE: {
    message: 'undefined escape sequence in a header',
    advice: 'STOMP 1.2 knows \\r \\n \\c \\\\, STOMP 1.1 knows \\n \\c \\\\.',
    http: 400,
    retry: false,
  },
  BAD_ENCODING: { message: 'a header is not valid UTF-8', advice: 'Encode headers as UTF-8.', http: 400, retry: false },
  FRAME_TOO_LARGE: {
    message: 'the frame is larger than this server takes',
    advice: 'Send less in one frame.',
    http: 413,
    retry: false,
  },
  TOO_MANY_HEADERS: {
    message: 'the frame has too many headers',
    advice: 'Send fewer headers.',
    http: 431,
    retry: false,
  },
  UNKNOWN_COMMAND: {
    message: 'unknown command',
    advice: 'Use a client command of STOMP 1.2; commands are case-sensitive.',
    http: 400,
    retry: false,
  },
  MISSING_HEADER: {
    message: 'a required header is missing',
    advice: 'Add the header that the message names.',
    http: 400,
    retry: false,
  },
  BAD_DESTINATION: {
    message: 'no such kind of destination',
    advice: 'Use /topic/<room>, with a room name of 1 to 120 of A-Z a-z 0-9 . _ - / :',
    http: 400,
    retry: false,
  },
  NO_SUCH_ROOM: {
    message: 'there is no such room',
    advice: 'Check the name, or have the room made first.',
    http: 404,
    retry: false,
  },
  TOO_MANY_ROOMS: {
    message: 'no more rooms can be made',
    advice: 'Use a room that exists, or try again later.',
    http: 429,
    retry: true,
  },
  FORBIDDEN: { message: 'not allowed', advice: 'Ask whoever can give you the right to it.', http: 403, retry: false },
  DUPLICATE_SUBSCRIPTION: {
    message: 'this subscription id is in use on this connection',
    advice: 'Choose another id, or UNSUBSCRIBE first.',
    http: 409,
    retry: false,
  },
  TOO_MANY_SUBSCRIPTIONS: {
    message: 'too many subscriptions on this connection',
    advice: 'UNSUBSCRIBE from what is no longer needed.',
    http: 429,
    retry: false,
  },
  UNKNOWN_SUBSCRIPTION: {
    message: 'no such subscription on this connection',
    advice: 'Use the id that was given to SUBSCRIBE.',
    http: 404,
    retry: false,
  },
  UNKNOWN_TRANSACTION: {
    message: 'no such transaction is open on this connection',
    advice: 'BEGIN it first.',
    http: 404,
    retry: false,
  },
  DUPLICATE_TRANSACTION: {
    message: 'this transaction is open already',
    advice: 'Choose another name, or COMMIT or ABORT it first.',
    http: 409,
    retry: false,
  },
  TOO_MANY_TRANSACTIONS: {
    message: 'too many open transactions on this connection',
    advice: 'COMMIT or ABORT some first.',
    http: 429,
    retry: false,
  },
  UNKNOWN_ACK: {
    message: 'no such message waits for an acknowledgement',
    advice: 'Acknowledge each delivery once, with the id of its ack header.',
    http: 404,
    retry: false,
  },
  TOO_MANY_CONNECTIONS: {
    message: 'too many connections',
    advice: 'Close other connections, or try again later.',
    http: 429,
    retry: true,
  },
  RATE_LIMITED: {
    message: 'too many frames for too long',
    advice: 'Wait for retry-after-ms, then send more slowly.',
    http: 429,
    retry: true,
  },
  LOG_UNAVAILABLE: {
    message: 'the log cannot be reached; whether the message was kept is unknown',
    advice: 'Connect again and repeat with the same idempotency-key.',
    http: 503,
    retry: true,
  },
  DATABASE_UNAVAILABLE: {
    message: 'the database cannot be reached; whether a change was made is unknown',
    advice: 'Try again; repeat what creates something with the same Idempotency-Key.',
    http: 503,
    retry: true,
  },
  STALLED: {
    message: 'nothing could be written to this connection for too long',
    advice: 'Connect again with after:<last message-id> and read what comes.',
    http: 408,
    retry: true,
  },
  HEART_BEAT_LOST: {
    message: 'no sign of life from the client',
    advice: 'Send heart-beats as agreed in CONNECTED.',
    http: 408,
    retry: true,
  },
  DRAINING: {
    message: 'this node is going away',
    advice: 'Connect to another node after retry-after-ms, with after:<last message-id>.',
    http: 503,
    retry: true,
  },
  BAD_REQUEST: {
    message: 'the request is malformed',
    advice: 'Correct what the message names: /docs has the form of every request.',
    http: 400,
    retry: false,
  },
  NOT_FOUND: {
    message: 'there is nothing at this address',
    advice: 'See /docs for the addresses that there are.',
    http: 404,
    retry: false,
  },
  REQUEST_TOO_LARGE: {
    message: 'the request is larger than this server takes',
    advice: 'Send less in one request.',
    http: 413,
    retry: false,
  },
  BAD_HOST: {
    message: 'this server is not asked for by this host name',
    advice: 'Use a name that the operators have put on HOSTS.',
    http: 421,
    retry: false,
  },
  TOO_MANY_REQUESTS: {
    message: 'too many requests',
    advice: 'Wait for the time that Retry-After gives, then ask less often.',
    http: 429,
    retry: true,
  },
  TOO_BUSY: {
    message: 'too many others are signing in right now',
    advice: 'Wait for the time that Retry-After gives, then try again.',
    http: 429,
    retry: true,
  },
  TOO_MANY_LOGINS: {
    message: 'too many tries to sign in',
    advice: 'Wait for the time that Retry-After gives, then try again.',
    http: 429,
    retry: true,
  },
  KEY_REUSED: {
    message: 'this Idempotency-Key was used for another request',
    advice: 'Choose a new key for each request that is not a repeat.',
    http: 409,
    retry: false,
  },
  SESSION_ENDED: {
    message: 'the session has ended',
    advice: 'Sign in again.',
    http: 401,
    retry: false,
  },
  NO_SUCH_SESSION: {
    message: 'there is no such session of yours',
    advice: 'Read the list of sessions again.',
    http: 404,
    retry: false,
  },
  NO_SUCH_USER: {
    message: 'there is no such user',
    advice: 'Check the id, or search by name.',
    http: 404,
    retry: false,
  },
  NAME_TAKEN: {
    message: 'somebody has this name, or one that looks like it',
    advice: 'Choose another name.',
    http: 409,
    retry: false,
  },
  BAD_NAME: {
    message: 'this cannot be a name',
    advice: 'Use 2 to 32 letters, digits and . _ - with a letter or digit at both ends.',
    http: 400,
    retry: false,
  },
  BAD_PASSWORD: {
    message: 'this cannot be a password',
    advice: 'Use 8 to 256 characters, and not the name.',
    http: 400,
    retry: false,
  },
  LAST_ADMIN: {
    message: 'there must be an admin left',
    advice: 'Make somebody else an admin first.',
    http: 409,
    retry: false,
  },
  ROOM_FULL: {
    message: 'the room has as many members as it takes',
    advice: 'Ask an owner to make room, or try again later.',
    http: 409,
    retry: true,
  },
  OWNER_STAYS: {
    message: 'an owner cannot leave the room',
    advice: 'Hand the room on to another member, or delete it.',
    http: 409,
    retry: false,
  },
  NO_SUCH_INVITATION: {
    message: 'there is no such invitation',
    advice: 'Ask to be invited.',
    http: 404,
    retry: false,
  },
  INVITATION_OVER: {
    message: 'the invitation does not hold any more',
    advice: 'Ask for a new one.',
    http: 409,
    retry: false,
  },
  TOO_MANY_LINKS: {
    message: 'the room has as many links as it takes',
    advice: 'Revoke one that is no longer needed.',
    http: 409,
    retry: false,
  },
  QUOTA_REACHED: {
    message: 'no more of this within the hour',
    advice: 'Try again later.',
    http: 429,
    retry: true,
  },
  ENDED_BY_ADMIN: {
    message: 'an admin has ended this connection',
    advice: 'Ask the admins before you connect again.',
    http: 403,
    retry: false,
  },
  PRESENCE_UNAVAILABLE: {
    message: 'who is there cannot be told now',
    advice: 'Try again later.',
    http: 503,
    retry: true,
  },
  NO_SUCH_REQUEST: {
    message: 'there is no such request for friendship',
    advice: 'Read the list of requests again.',
    http: 404,
    retry: false,
  },
  INTERNAL: {
    message: 'something went wrong in the server',
    advice: 'Connect again; if it goes on, tell the operators the session id.',
    http: 500,
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
