/** Nothing from elsewhere, no inline script, and no talk but with its own host (`'self'` covers ws:). */
const contained = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "form-action 'none'",
].join('; ')

/** The page's policy: moreover no text becomes markup or script, by whatever mistake of ours. */
const policy = `${contained}; require-trusted-types-for 'script'; trusted-types 'none'`

/** That of /docs, whose program makes markup of the descriptions and has its icons in its style sheet. */
export const docsPolicy = contained.replace("img-src 'self'", "img-src 'self' data:")

/** What the page never asks a browser for. */
const denied = 'camera display-capture geolocation hid microphone midi payment serial usb'
  .split(' ')
  .map(feature => `${feature}=()`)
  .join(', ')

/** Headers of every answer. `secure`: this node itself speaks TLS, so browsers may insist on it. */
export const securityHeaders = (secure: boolean): Readonly<Record<string, string>> => ({
  'content-security-policy': policy,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'permissions-policy': denied,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  ...(secure ? { 'strict-transport-security': 'max-age=31536000' } : {}),
})
