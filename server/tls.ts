import { unwatchFile, watchFile } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { ConfigError, type Config } from './config.ts'
import type { Logger } from './ports/logger.ts'

/** How often the files are looked at, ms. */
const LOOK_MS = 2_000

/** A certificate (with its chain) and its key, PEM. */
export interface Tls {
  readonly cert: Buffer
  readonly key: Buffer
}

/** What TLS_CERT and TLS_KEY name, for HTTP and for plain STOMP; undefined where they are not set. Throws ConfigError. */
export const readTls = async (config: Pick<Config, 'TLS_CERT' | 'TLS_KEY'>): Promise<Tls | undefined> => {
  if (config.TLS_CERT === undefined || config.TLS_KEY === undefined) return undefined
  const tls = { cert: await readPem('TLS_CERT', config.TLS_CERT), key: await readPem('TLS_KEY', config.TLS_KEY) }
  try {
    createSecureContext(tls)
  } catch (error) {
    throw new ConfigError(`TLS_CERT and TLS_KEY cannot be used: ${codeOf(error)}`)
  }
  return tls
}

/**
 * Calls `use` with what TLS_CERT and TLS_KEY hold whenever one of the files has changed and the two fit; until then what
 * was there before stays. Answers how to end that.
 */
export const followTls = (
  config: Pick<Config, 'TLS_CERT' | 'TLS_KEY'>,
  use: (tls: Tls) => void,
  logger: Logger,
): (() => void) => {
  const files = [config.TLS_CERT ?? [], config.TLS_KEY ?? []].flat()
  const look = async (): Promise<void> => {
    try {
      use((await readTls(config))!)
      logger.info({}, 'new connections get the renewed certificate')
    } catch (error) {
      logger.warn(
        { reason: (error as Error).message },
        'the certificate was changed and cannot be used: the old one stays',
      )
    }
  }
  const changed = (): void => void look()
  for (const file of files) watchFile(file, { interval: LOOK_MS, persistent: false }, changed)
  return () => {
    for (const file of files) unwatchFile(file, changed)
  }
}

/** What trusts and names us to Kafka's brokers, PEM; undefined without KAFKA_TLS=on. Throws ConfigError. */
export const readKafkaTls = async (
  config: Pick<Config, 'KAFKA_TLS' | 'KAFKA_TLS_CA' | 'KAFKA_TLS_CERT' | 'KAFKA_TLS_KEY'>,
): Promise<Partial<Tls & { readonly ca: Buffer }> | undefined> => {
  if (config.KAFKA_TLS === 'off') return undefined
  const read = async (key: 'KAFKA_TLS_CA' | 'KAFKA_TLS_CERT' | 'KAFKA_TLS_KEY'): Promise<Buffer | undefined> =>
    config[key] === undefined ? undefined : readPem(key, config[key])
  const [ca, cert, key] = await Promise.all([read('KAFKA_TLS_CA'), read('KAFKA_TLS_CERT'), read('KAFKA_TLS_KEY')])
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) }
  try {
    createSecureContext(tls)
  } catch (error) {
    throw new ConfigError(`KAFKA_TLS_CA, KAFKA_TLS_CERT and KAFKA_TLS_KEY cannot be used: ${codeOf(error)}`)
  }
  return tls
}

const readPem = async (key: string, file: string): Promise<Buffer> => {
  try {
    return await readFile(file)
  } catch (error) {
    throw new ConfigError(`${key}=${JSON.stringify(file)} cannot be read: ${codeOf(error)}`)
  }
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException).code)
