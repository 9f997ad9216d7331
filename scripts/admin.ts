import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { makeAdmin } from '../server/accounts/index.ts'
import { ConfigError, readConfig } from '../server/config.ts'
import { FolderError, openDatabase } from '../server/database/database.ts'
import { HoofbeatError } from '../server/errors.ts'
import { runScript, ScriptError } from './launch.ts'

const quiet = (): void => undefined
const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet }
const FIND_WITHIN = 10_000
/** What tells where the database is: nothing else that a node is given is needed here, such as SESSION_SECRET. */
const needed = ['DATA_DIR', 'DATABASE_URL', 'DATABASE_POOL', 'DATABASE_TIMEOUT'] as const

/** Asks for a password without showing it; where nobody can be asked, one line of input is taken. */
const ask = async (question: string): Promise<string> => {
  process.stdout.write(question)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: process.stdin.isTTY })
  try {
    return await terminal.question('')
  } finally {
    terminal.close()
    process.stdout.write('\n')
  }
}

/** What is for whoever runs this to change: a line is enough. */
const explained = (error: unknown): unknown => {
  const own = [HoofbeatError, ConfigError, FolderError].some(type => error instanceof type)
  return own ? new ScriptError((error as Error).message) : error
}

/** Makes the account NAME an admin, and the account itself where there is none yet. */
const run = async (): Promise<void> => {
  const name = process.env['NAME']
  if (!name)
    throw new ScriptError('Usage: make admin NAME=ann   (the password is asked for, or taken from ADMIN_PASSWORD)')
  const given = Object.fromEntries(needed.map(key => [key, process.env[key]]))
  const database = await openDatabase(readConfig({ ...given, ACCESS: 'open' }), logger)
  try {
    await database.check(FIND_WITHIN).catch((error: Error) => {
      throw new ScriptError(`The database does not answer: ${error.message}`)
    })
    const password = async (): Promise<string> =>
      process.env['ADMIN_PASSWORD'] || (await ask(`A password for ${name}, who has no account yet: `))
    const made = await makeAdmin(database.db, name, password)
    process.stdout.write(made === 'created' ? `${name} has an account, as an admin\n` : `${name} is an admin\n`)
  } finally {
    await database.close()
  }
}

await runScript(() =>
  run().catch((error: unknown) => {
    throw explained(error)
  }),
)
