import helmet from '@fastify/helmet'
import fastify from 'fastify'

/** How long browsers are to insist on TLS, s. */
const INSISTED = 31_536_000

/** Nothing from elsewhere, no inline script, and no talk but with its own host (`'self'` covers ws:). */
const contained = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'"],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'frame-ancestors': ["'none'"],
  'form-action': ["'none'"],
}

/** That of the page at /docs, whose program makes markup of the descriptions and has its icons in its style sheet. */
export const docsPolicy = { ...contained, 'img-src': ["'self'", 'data:'] }

/** The policy is the page's: moreover no text becomes markup or script there, by whatever mistake of ours. */
const options = {
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { ...contained, 'require-trusted-types-for': ["'script'"], 'trusted-types': ["'none'"] },
  },
  strictTransportSecurity: { maxAge: INSISTED, includeSubDomains: false },
  xFrameOptions: { action: 'deny' },
} as const

/** What the page never asks a browser for. Helmet has no word for it. */
const denied = 'camera display-capture geolocation hid microphone midi payment serial usb'
  .split(' ')
  .map(feature => `${feature}=()`)
  .join(', ')

/**
 * Asks helmet once what it says: it would make that anew for each request, which costs a crowd that comes back, and where a
 * request cannot be read there is none that it could be asked for.
 */
const ask = async (): Promise<Record<string, string>> => {
  const app = fastify()
  await app.register(helmet, options)
  app.get('/', async (_request, reply) => reply.raw.getHeaders())
  const said = (await app.inject('/')).json<Record<string, string>>()
  await app.close()
  return { ...said, 'permissions-policy': denied }
}
const overTls = await ask()
const { 'strict-transport-security': _insisted, ...plain } = overTls

/** Headers of every answer. `secure`: this node itself speaks TLS, so browsers may insist on it, of this host alone. */
export const securityHeaders = (secure: boolean): Readonly<Record<string, string>> => (secure ? overTls : plain)
