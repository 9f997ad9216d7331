/** What the OpenAPI document says of routes beside their own schemas. */

import { Type, type TSchema } from 'typebox'
import { errors, fail, type ErrorCode } from '../errors.ts'
import { problemOf } from './problem.ts'

/** What a route may say of itself in its `config`. */
export interface RouteNotes {
  /** Anyone may ask, without being signed in. */
  readonly open?: true
  /** It creates something, by `createOnce`. */
  readonly creates?: true
  /** Its own errors; those that any route can have go without saying. */
  readonly errors?: readonly ErrorCode[]
  /** How often a minute it may be asked, per user (where nobody is signed in per address) on a node. */
  readonly perMinute?: number
}

export interface RouteSchema {
  headers?: unknown
  body?: unknown
  params?: unknown
  querystring?: unknown
  response?: unknown
  security?: readonly Record<string, readonly string[]>[]
}

const KEY_LENGTH = 64
const keyHeader = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: KEY_LENGTH,
      description: 'Makes a repeat safe for a day: the same key and request create one thing, and are answered alike',
      examples: ['5f0c9a52'],
    }),
  ),
})

const always: readonly ErrorCode[] = ['BAD_HOST', 'TOO_MANY_REQUESTS', 'DATABASE_UNAVAILABLE', 'INTERNAL']
const signedIn: readonly ErrorCode[] = ['BAD_CREDENTIALS', 'TOKEN_EXPIRED', 'SESSION_ENDED']

const codesOf = (schema: RouteSchema, notes: RouteNotes): Set<ErrorCode> => {
  const takes = schema.body !== undefined || schema.params !== undefined || schema.querystring !== undefined
  return new Set([
    ...(takes ? (['BAD_REQUEST'] as const) : []),
    ...(schema.body === undefined ? [] : (['REQUEST_TOO_LARGE'] as const)),
    ...(notes.open ? [] : signedIn),
    ...(notes.creates ? (['KEY_REUSED'] as const) : []),
    ...(notes.errors ?? []),
    ...always,
  ])
}

const problemSchema = (status: number, codes: readonly ErrorCode[]): TSchema =>
  Type.Object({
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer({ enum: [status] }),
    code: Type.String({ enum: [...codes] }),
    detail: Type.String({ description: 'What happened' }),
    advice: Type.String({ description: 'What to do' }),
  })

const problemExamples = (codes: readonly ErrorCode[]): object =>
  Object.fromEntries(codes.map(code => [code, { value: JSON.parse(problemOf(fail(code))) as object }]))

/** Answers with an error as a route's schema has them: by status, with the codes that have it. */
const problems = (codes: ReadonlySet<ErrorCode>): Record<string, unknown> => {
  const statuses = Map.groupBy(codes, code => errors[code].http)
  const entries = Array.from(statuses, ([status, these]) => [
    status,
    {
      description: these.map(code => `\`${code}\`: ${errors[code].message}`).join('\n\n'),
      content: {
        'application/problem+json': { schema: problemSchema(status, these), examples: problemExamples(these) },
      },
    },
  ])
  return Object.fromEntries(entries) as Record<string, unknown>
}

/** A route's schema with all that its notes say. */
export const complete = <Schema extends RouteSchema>(schema: Schema, notes: RouteNotes): Schema => {
  const { response, ...rest } = schema
  return {
    ...(rest as Schema),
    ...(notes.creates && { headers: keyHeader }),
    ...(!notes.open && { security: [{ token: [] }] }),
    response: { ...problems(codesOf(schema, notes)), ...(response as object) },
  }
}

/** What an answer without a body is in a route's `response`. */
export const nothing = (description: string) => Type.Null({ description })

/** An object of the document, changed in place: OpenAPI 3.0 knows one example of a schema, where JSON Schema has a list. */
export const oneExample = (value: unknown): void => {
  if (typeof value !== 'object' || value === null) return
  const object = value as Record<string, unknown>
  if (Array.isArray(object['examples'])) {
    object['example'] = object['examples'][0]
    delete object['examples']
  }
  for (const each of Object.values(object)) oneExample(each)
}

/** The document itself. */
export const openapi = (version: string) => ({
  openapi: '3.0.3',
  info: {
    title: 'Hoofbeat',
    description:
      'People, rooms and messages over HTTP. Sending and live messages go over STOMP, see PROTOCOL.md. Errors are ' +
      '`application/problem+json` with a `code`. Times are epoch milliseconds; ids are opaque.',
    version,
  },
  components: {
    securitySchemes: {
      token: {
        type: 'http' as const,
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: 'As POST /api/session answers it',
      },
    },
  },
})
