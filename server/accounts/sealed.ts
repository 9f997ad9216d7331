import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/*
  sealed := iv(12) tag(16) text     AES-256-GCM; `name` is authenticated with it
*/
const CIPHER = 'aes-256-gcm'
const IV = 12
const TAG = 16

/** `text`, readable only with `key` and under the same name. */
export const seal = (key: Buffer, name: string, text: string): Buffer => {
  const iv = randomBytes(IV)
  const cipher = createCipheriv(CIPHER, key, iv).setAAD(Buffer.from(name))
  const encrypted = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), encrypted])
}

/** What was sealed; undefined: with another key, under another name, or it was changed. */
export const unseal = (key: Buffer, name: string, sealed: Buffer): string | undefined => {
  try {
    const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, IV))
      .setAAD(Buffer.from(name))
      .setAuthTag(sealed.subarray(IV, IV + TAG))
    return Buffer.concat([decipher.update(sealed.subarray(IV + TAG)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}
