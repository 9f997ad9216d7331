import { randomBytes } from 'node:crypto'
import { hash, verify, type Options } from '@node-rs/argon2'
import { fail } from '../errors.ts'
import { nameKey } from './names.ts'

const LEAST = 8
const MOST = 256
/** How many wait at most. */
const QUEUE = 32
/** In about this time the queue is done, ms. */
const RETRY_AFTER = 2_000
/** argon2id, which is the library's default: 19 MiB, two passes, one lane. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } satisfies Options

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')
/** The hash of no password: to look at it takes as long as at anybody's. */
const nobodys = `$argon2id$v=19$m=${cost.memoryCost},t=${cost.timeCost},p=${cost.parallelism}$${unpadded(randomBytes(16))}$${unpadded(randomBytes(32))}`

/** The same password from any keyboard. */
const same = (password: string): string => password.normalize('NFKC')

/** Throws BAD_PASSWORD where `password` cannot be the new one of who has the name with this key. */
export const checkPassword = (password: string, key: string): void => {
  const { length } = Array.from(password)
  if (length < LEAST || length > MOST) throw fail('BAD_PASSWORD', `${LEAST} to ${MOST} characters`)
  if (nameKey(password) === key) throw fail('BAD_PASSWORD', 'it is the name')
}

/**
 * Hashes passwords: one at a time, as each takes 19 MiB and all of a core for a while. Rejects with TOO_BUSY where too many
 * wait already.
 */
export class Passwords {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  hash(password: string): Promise<string> {
    return this.#alone(() => hash(same(password), cost))
  }

  /** Whether this is the password of `known`. Where nobody is known that takes the same time. */
  async matches(known: string | undefined, password: string): Promise<boolean> {
    const right = await this.#alone(() => verify(known ?? nobodys, same(password)))
    return right && known !== undefined
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    // One is at work beside those that wait.
    if (this.#waiting > QUEUE) throw fail('TOO_BUSY', undefined, { headers: { 'retry-after-ms': String(RETRY_AFTER) } })
    this.#waiting++
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    try {
      return await done
    } finally {
      this.#waiting--
    }
  }
}
