/** A node that opens the database which its environment names, says how that went, and then waits to be ended. */

import { readConfig } from '../../config.ts'
import { openDatabase } from '../database.ts'

const write = (_fields: object, message: string): void => void process.stdout.write(`${message}\n`)
try {
  // What else a node with accounts is given, such as SESSION_SECRET, is not needed here.
  const config = readConfig({ ...process.env, ACCESS: 'open' })
  const { db } = await openDatabase(config, { debug: write, info: write, warn: write, error: write })
  await db.selectFrom('users').select('id').execute()
  process.stdout.write('open\n')
  setInterval(() => {}, 60_000)
} catch (error) {
  process.stdout.write(`refused: ${(error as Error).message}\n`)
}
