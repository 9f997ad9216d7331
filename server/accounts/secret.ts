import { hkdfSync, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'

/** What is derived from SESSION_SECRET, each for one purpose. */
export interface Secrets {
  /** Makes refresh tokens. */
  readonly refresh: Buffer
  /** Encrypts the private keys in SQL. */
  readonly sealing: Buffer
}

const LENGTH = 32

export const derive = (secret: string): Secrets => {
  const key = (purpose: string): Buffer => Buffer.from(hkdfSync('sha256', secret, '', `hoofbeat ${purpose}`, LENGTH))
  return { refresh: key('refresh tokens'), sealing: key('signing keys') }
}

/**
 * SESSION_SECRET, or for a node that runs alone what is in its folder, made at the first start: readable by its owner only.
 * The folder is this process's own already.
 */
export const readSecrets = async ({
  SESSION_SECRET,
  DATA_DIR,
}: Pick<Config, 'SESSION_SECRET' | 'DATA_DIR'>): Promise<Secrets> => {
  if (SESSION_SECRET !== undefined) return derive(SESSION_SECRET)
  const file = join(DATA_DIR, 'session-secret')
  const known = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  // One that was not written to its end has made no session.
  if (known !== undefined && known.length > LENGTH) return derive(known)
  const made = randomBytes(LENGTH).toString('base64url')
  await writeFile(file, made, { mode: 0o600, flush: true })
  return derive(made)
}
