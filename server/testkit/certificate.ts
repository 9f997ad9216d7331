import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** A certificate that signed itself, for `localhost` and 127.0.0.1, valid from yesterday for a month, and its key: PEM. */
export const selfSigned = (): { cert: Buffer; key: Buffer } => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = der(0x30, der(0x31, der(0x30, oid('550403'), der(0x0c, Buffer.from('localhost')))))
  const localhost = der(0x30, der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])))
  const content = der(
    0x30,
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    der(0x30, time(-DAY), time(30 * DAY)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(0x30, der(0x30, oid('551d11'), der(0x04, localhost)))),
  )
  const signature = der(0x03, Buffer.from([0]), sign('sha256', content, privateKey))
  const cert = der(0x30, content, ecdsaWithSha256, signature)
  return { cert: pem('CERTIFICATE', cert), key: Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })) }
}

const DAY = 86_400_000

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
const ecdsaWithSha256 = der(0x30, oid('2a8648ce3d040302'))

const pem = (label: string, bytes: Buffer): Buffer => {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return Buffer.from([`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n'))
}
