/** What keeps us from a broker, for whoever runs the node. */
export interface Trouble {
  readonly reason: string
  /** What to do about it, where that is known. */
  readonly advice?: string
}

/** What a connection is made with, as far as it matters here. */
interface Means {
  readonly tls?: unknown
  readonly sasl?: unknown
}

const UNTRUSTED = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]

/** By the codes of Node.js and of Kafka. */
const known: Readonly<Record<string, Trouble>> = {
  SASL_AUTHENTICATION_FAILED: {
    reason: 'the broker refuses this user or this password',
    advice: 'check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD, and that the user has one for KAFKA_SASL_MECHANISM',
  },
  UNSUPPORTED_SASL_MECHANISM: {
    reason: 'the broker does not take passwords in this form',
    advice: 'set KAFKA_SASL_MECHANISM to one that it has enabled',
  },
  ILLEGAL_SASL_STATE: {
    reason: 'the broker asks for no password on this port',
    advice:
      'leave out KAFKA_SASL_MECHANISM, _USERNAME and _PASSWORD, or name the port that asks for one in KAFKA_BROKERS',
  },
  CERT_HAS_EXPIRED: { reason: "the broker's certificate has expired", advice: 'renew it on the broker' },
  CERT_NOT_YET_VALID: {
    reason: "the broker's certificate is not valid yet",
    advice: 'check the clocks of this machine and of the one that made it',
  },
  ERR_TLS_CERT_ALTNAME_INVALID: {
    reason: "the broker's certificate is for another host",
    advice: 'KAFKA_BROKERS and advertised.listeners of the broker must use a name that is in its certificate',
  },
  ECONNREFUSED: {
    reason: 'nobody listens there',
    advice: 'check that Kafka runs, KAFKA_BROKERS, and advertised.listeners of the broker',
  },
  ENOTFOUND: {
    reason: 'there is no host of this name',
    advice: 'check KAFKA_BROKERS, and advertised.listeners of the broker',
  },
  ...Object.fromEntries(
    UNTRUSTED.map(code => [
      code,
      {
        reason: "nobody that this node trusts has signed the broker's certificate",
        advice: 'name the authority that has in KAFKA_TLS_CA',
      },
    ]),
  ),
}

const needsTls: Trouble = { reason: 'the broker speaks TLS on this port', advice: 'set KAFKA_TLS=on' }
const speaksNoTls: Trouble = {
  reason: 'the broker does not speak TLS on this port',
  advice: 'name the port that does in KAFKA_BROKERS, or set KAFKA_TLS=off',
}
const refusedCertificate: Trouble = {
  reason: "the broker refuses this node's certificate, or that it has none",
  advice: 'set KAFKA_TLS_CERT and KAFKA_TLS_KEY to one that the broker trusts',
}

/** A broker that is asked in a way that it does not expect hangs up. */
const hungUp = ({ tls, sasl }: Means): Trouble => ({
  reason: 'the broker ended the connection',
  advice: tls
    ? `check that it speaks TLS on this port, and ${sasl ? 'KAFKA_SASL_MECHANISM' : 'whether it asks for a password: KAFKA_SASL_MECHANISM'}`
    : `check whether it speaks TLS on this port (KAFKA_TLS=on)${sasl ? '' : ' or asks for a password (KAFKA_SASL_MECHANISM)'}`,
})

/** An error and all that lies behind it, from the outside in. */
const allOf = (error: unknown): Error[] => {
  const found: Error[] = []
  const add = (each: unknown): void => {
    if (!(each instanceof Error) || found.includes(each)) return
    found.push(each)
    add(each.cause)
    if (each instanceof AggregateError) for (const one of each.errors) add(one)
  }
  add(error)
  return found
}

const codesOf = (error: Error): string[] =>
  ['code', 'apiId'].map(key => String((error as unknown as Record<string, unknown>)[key]))

/** What `error` says about the connection to a broker. Nothing of the password is in it. */
export const explain = (error: unknown, means: Means): Trouble => {
  const errors = allOf(error)
  const codes = errors.flatMap(codesOf)
  const code = codes.find(each => Object.hasOwn(known, each))
  if (code) return known[code]!
  const messages = [...new Set(errors.map(({ message }) => message))]
  if (messages.includes('Broker requires TLS.')) return needsTls
  if (codes.some(each => /^ERR_SSL_.*(ALERT|CERTIFICATE)/.test(each))) return refusedCertificate
  if (
    codes.some(each => each.startsWith('ERR_SSL_')) ||
    messages.some(each => each.startsWith('TLS handshake failed'))
  ) {
    return speaksNoTls
  }
  if (messages.includes('Connection closed') || codes.includes('ECONNRESET')) return hungUp(means)
  return { reason: messages.join(' ') }
}
