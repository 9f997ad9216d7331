import {
  createLocalJWKSet,
  errors,
  exportJWK,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JSONWebKeySet,
  type JWK,
  type JWTVerifyGetKey,
  type LocalJWKSet,
} from 'jose'
import { sql } from 'kysely'
import { at, transaction, type Db, type Tx } from '../database/database.ts'
import { newId } from '../database/ids.ts'
import type { Row } from '../database/schema.ts'
import type { Logger } from '../ports/logger.ts'
import { seal, unseal } from './sealed.ts'

export const ALGORITHM = 'ES256'
/** Any number that nothing else in the database locks. */
const LOCK = 4_861_703_296
/** A new key is made when the newest is this old, ms; the last so many are published. */
const ROTATE = 30 * 86_400_000
const KEPT = 3
/** A key signs when it has been published for so long, ms: whoever checks tokens may look for keys that seldom. */
const KNOWN_AFTER = 900_000
/** How long keys are used without looking for newer ones, ms. */
const FRESH = 600_000
/** They are looked for at most once in this time, ms, whatever tokens come. */
const LOOK_EVERY = 5_000

interface Signer {
  readonly id: string
  readonly key: CryptoKey
}
interface Loaded {
  readonly verify: LocalJWKSet
  readonly signer: Signer
  readonly at: number
}

export interface KeysOptions {
  readonly db: Db
  /** What private keys are encrypted with. */
  readonly sealing: Buffer
  readonly logger: Logger
  /** Epoch ms. */
  readonly now: () => number
}

/** The keys that access tokens are signed with: in SQL, so that all nodes have the same, and made there when it is time. */
export class Keys {
  readonly #options: KeysOptions
  #loaded: Loaded | undefined
  #triedAt = -Infinity
  #loading: Promise<void> | undefined

  constructor(options: KeysOptions) {
    this.#options = options
  }

  /** The key to sign with now. Rejects with DATABASE_UNAVAILABLE where none is known yet. */
  async signer(): Promise<Signer> {
    return (await this.#current()).signer
  }

  /** The key that a token's header names. Rejects as jose does where there is none. */
  readonly keyFor: JWTVerifyGetKey = async (header, token) => {
    const { verify } = await this.#current()
    try {
      return await verify(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
    }
    // Another node may have made one.
    if (this.#options.now() - this.#triedAt >= LOOK_EVERY) await this.#load()
    return (await this.#current()).verify(header, token)
  }

  /** What anybody may check tokens with. */
  async published(): Promise<JSONWebKeySet> {
    return (await this.#current()).verify.jwks()
  }

  async #current(): Promise<Loaded> {
    const { now } = this.#options
    const known = this.#loaded
    if (known === undefined) await this.#load()
    // While the database is away those that are known go on.
    else if (now() - known.at >= FRESH && now() - this.#triedAt >= LOOK_EVERY) await this.#load().catch(() => undefined)
    return this.#loaded!
  }

  #load(): Promise<void> {
    this.#triedAt = this.#options.now()
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #read(): Promise<void> {
    const { db, now } = this.#options
    const rows = await newest(db)
    const young = this.#opened(rows).some(({ row }) => now() - row.created_at < ROTATE)
    const all = young ? rows : await transaction(db, tx => this.#rotate(tx))
    const opened = this.#opened(all)
    const chosen = opened.find(({ row }) => now() - row.created_at >= KNOWN_AFTER) ?? opened.at(-1)!
    const key = (await importJWK(chosen.jwk, ALGORITHM)) as CryptoKey
    const keys = all.map(({ id, public_key }) => ({ ...public_key, kid: id, alg: ALGORITHM, use: 'sig' }))
    this.#loaded = { verify: createLocalJWKSet({ keys }), signer: { id: chosen.row.id, key }, at: now() }
  }

  /** Those whose private part is ours to use. */
  #opened(rows: readonly Row<'signing_keys'>[]): { readonly row: Row<'signing_keys'>; readonly jwk: JWK }[] {
    const { sealing, logger } = this.#options
    return rows.flatMap(row => {
      const text = unseal(sealing, row.id, row.private_key)
      if (text === undefined) {
        logger.warn({ key: row.id }, 'a signing key cannot be used: it was made with another SESSION_SECRET')
        return []
      }
      return [{ row, jwk: JSON.parse(text) as JWK }]
    })
  }

  /** Makes a key, unless another node has just done that. */
  async #rotate(tx: Tx): Promise<readonly Row<'signing_keys'>[]> {
    const { sealing, now, logger } = this.#options
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx)
    const rows = await newest(tx)
    if (this.#opened(rows).some(({ row }) => now() - row.created_at < ROTATE)) return rows
    const { publicKey, privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
    const id = newId()
    const row = {
      id,
      public_key: JSON.stringify(await exportJWK(publicKey)),
      private_key: seal(sealing, id, JSON.stringify(await exportJWK(privateKey))),
      created_at: at(now()),
    }
    await tx.insertInto('signing_keys').values(row).execute()
    const kept = await newest(tx)
    await tx
      .deleteFrom('signing_keys')
      .where(
        'id',
        'not in',
        kept.map(each => each.id),
      )
      .execute()
    logger.info({ key: id }, 'access tokens get a new signing key')
    return kept
  }
}

const newest = (db: Db | Tx): Promise<Row<'signing_keys'>[]> =>
  db.selectFrom('signing_keys').selectAll().orderBy('created_at', 'desc').orderBy('id').limit(KEPT).execute()
