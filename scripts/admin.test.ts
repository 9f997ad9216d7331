import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { verify } from '@node-rs/argon2'
import type { Database } from '../server/database/database.ts'
import { testDatabase } from '../server/testkit/database.ts'
import { freePort } from './services/process.ts'

t.setTimeout(120_000)
const PASSWORD = 'correct horse battery'

const admin = async (env: Record<string, string>, input = '') => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'admin.ts')], { env: { ...process.env, ...env } })
  child.stdin.end(input)
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code: code as number, out, err }
}

/** Whether `name` is an admin, with this password. */
const isAdmin = async ({ db }: Database, name: string, password: string): Promise<boolean> => {
  const row = await db.selectFrom('users').selectAll().where('name_key', '=', name).executeTakeFirstOrThrow()
  return row.is_admin && verify(row.password_hash!, password)
}

void t.test('the first admin is made by a script, with a password that is asked for or in the environment', async t => {
  const database = await testDatabase(t, 'postgres')
  const { env } = database
  t.match(await admin({ ...env, NAME: 'ann', ADMIN_PASSWORD: PASSWORD }), {
    code: 0,
    out: 'ann has an account, as an admin\n',
    err: '',
  })
  const asked = await admin({ ...env, NAME: 'bob' }, `${PASSWORD} of bob\n`)
  t.match(asked, { code: 0, out: /^A password for bob, .*: \nbob has an account, as an admin\n$/, err: '' })
  t.notMatch(asked.out, new RegExp(PASSWORD))
  t.match(await admin({ ...env, NAME: 'BOB' }), { code: 0, out: 'BOB is an admin\n', err: '' })
  t.equal(await isAdmin(database, 'ann', PASSWORD), true)
  t.equal(await isAdmin(database, 'bob', `${PASSWORD} of bob`), true)
})

void t.test('what is wrong is said in one line', async t => {
  const database = await testDatabase(t, 'embedded')
  const { env } = database
  const away = `postgres://127.0.0.1:${await freePort()}/chat`
  const wrong: [Record<string, string>, RegExp][] = [
    [{}, /^Usage: make admin NAME=ann .*\n$/],
    [{ NAME: 'ann' }, /^.* is in use by another node: .*\n$/],
    [{ NAME: 'ann', DATABASE_POOL: 'x' }, /^DATABASE_POOL="x" is not allowed: .*\n$/],
    [{ NAME: 'ann', DATABASE_URL: away }, /^The database does not answer: PostgreSQL chat at .*ECONNREFUSED.*\n$/],
  ]
  const said = await Promise.all(wrong.map(([each]) => admin({ NAME: '', ...env, ...each })))
  for (const [i, [, err]] of wrong.entries()) t.match(said[i], { code: 1, err })
  await database.close()
  t.match(await admin({ ...env, NAME: 'a', ADMIN_PASSWORD: PASSWORD }), { code: 1, err: /^this cannot be a name\n$/ })
  t.match(await admin({ ...env, NAME: 'ann', ADMIN_PASSWORD: 'short' }), {
    code: 1,
    err: /^this cannot be a password: .*\n$/,
  })
})
