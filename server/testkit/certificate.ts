import { createPrivateKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'

const DAY = 86_400_000

/** A certificate and its key: PEM. */
export interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}
/** One that can sign others. */
export interface Authority extends Certificate {
  readonly name: string
}
export interface CertificateOptions {
  /** Its common name. */
  readonly name: string
  /** Host names and IPv4 addresses that it is for. None: it may sign others. */
  readonly hosts?: readonly string[]
  /** Who signs it. Absent: itself. */
  readonly issuer?: Authority
  /** How long it is valid from now, ms; it has been since a day before that, or before now. */
  readonly validFor?: number
}

export const makeCertificate = ({ name, hosts = [], issuer, validFor = 30 * DAY }: CertificateOptions): Certificate => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const content = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    commonName(issuer?.name ?? name),
    der(0x30, time(Math.min(0, validFor) - DAY), time(validFor)),
    commonName(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(0x30, hosts.length > 0 ? alternativeNames(hosts) : mayIssue)),
  )
  const signer = issuer ? createPrivateKey(issuer.key) : privateKey
  const signature = der(0x03, Buffer.from([0]), sign('sha256', content, signer))
  const cert = der(0x30, content, ecdsaWithSha256, signature)
  return { cert: pem('CERTIFICATE', cert), key: Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })) }
}

/** A certificate that signed itself, for `localhost` and 127.0.0.1. */
export const selfSigned = (): Certificate => makeCertificate({ name: 'localhost', hosts: ['localhost', '127.0.0.1'] })

/** One that is for no host, and signs others. */
export const makeAuthority = (name: string): Authority => ({ name, ...makeCertificate({ name }) })

/** One value of ASN.1, in DER: its tag, the length of its parts (as short as can be), the parts. */
const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const value = Buffer.concat(parts)
  const { length } = value
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), value])
}
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))
const time = (fromNow: number): Buffer => {
  const digits = new Date(Date.now() + fromNow).toISOString().replace(/\.\d+|[-:T]/g, '')
  return der(0x17, Buffer.from(digits.slice(2)))
}
const commonName = (name: string): Buffer =>
  der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from(name)))))
const alternativeNames = (hosts: readonly string[]): Buffer => {
  const names = hosts.map(host =>
    isIPv4(host) ? der(0x87, Buffer.from(host.split('.').map(Number))) : der(0x82, Buffer.from(host)),
  )
  return der(0x30, oid('551d11'), der(0x04, der(0x30, ...names)))
}
/** Basic constraints, critical: an authority. */
const mayIssue = der(
  0x30,
  oid('551d13'),
  der(0x01, Buffer.from([0xff])),
  der(0x04, der(0x30, der(0x01, Buffer.from([0xff])))),
)
const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'))

const pem = (label: string, bytes: Buffer): Buffer => {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return Buffer.from([`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n'))
}
