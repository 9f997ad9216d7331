import { parseOptions } from '@node-rs/argon2'
import t from 'tap'
import { checkPassword, Passwords } from './passwords.ts'

void t.test('8 to 256 characters of any kind, and not the name', async t => {
  for (const good of ['x'.repeat(8), 'x'.repeat(256), '한'.repeat(8), '🐎'.repeat(256), '        ', 'annannann']) {
    t.doesNotThrow(() => checkPassword(good, 'ann'))
  }
  for (const bad of ['x'.repeat(7), 'x'.repeat(257), '🐎'.repeat(7), '']) {
    t.throws(() => checkPassword(bad, 'ann'), { code: 'BAD_PASSWORD', message: /8 to 256 characters$/ })
  }
  for (const name of ['ann.lee.1', 'ANN.lee.1', 'ann\u200b.lee.1', 'ａｎｎ.lee.1']) {
    t.throws(() => checkPassword(name, 'ann.lee.1'), { code: 'BAD_PASSWORD', message: /it is the name$/ })
  }
})

void t.test('argon2id; each hash has a salt of its own, and only its password matches', async t => {
  const passwords = new Passwords()
  const [one, two] = await Promise.all([passwords.hash('correct horse'), passwords.hash('correct horse')])
  t.not(one, two)
  t.match(one, /^\$argon2id\$v=19\$/)
  t.match(parseOptions(one!), { memoryCost: 19_456, timeCost: 2, parallelism: 1 })
  t.equal(await passwords.matches(one, 'correct horse'), true)
  t.equal(await passwords.matches(one, 'correct horsf'), false)
  t.equal(await passwords.matches(await passwords.hash('Jose\u0301 1234'), 'José 1234'), true, 'from any keyboard')
})

void t.test('nobody has no password, and is looked at as anybody is', async t => {
  const passwords = new Passwords()
  t.equal(await passwords.matches(undefined, 'correct horse'), false)
  t.equal(await passwords.matches(undefined, ''), false)
})

void t.test('one at a time, 32 wait, the next one is told to come later', async t => {
  const passwords = new Passwords()
  const ended: number[] = []
  const running = Array.from({ length: 33 }, (_, i) => passwords.hash('correct horse').then(() => ended.push(i)))
  const refused = { code: 'TOO_BUSY', headers: { 'retry-after-ms': '2000' } }
  await t.rejects(passwords.hash('correct horse'), refused)
  await t.rejects(passwords.matches(undefined, 'correct horse'), refused)
  await running[0]
  const late = passwords.hash('correct horse')
  await Promise.all(running)
  t.same(
    ended,
    Array.from({ length: 33 }, (_, i) => i),
    'in order',
  )
  t.match(await late, /^\$argon2id/)
})

void t.test('one that fails does not stop the next', async t => {
  const passwords = new Passwords()
  const broken = passwords.matches('no hash', 'x')
  const next = passwords.hash('correct horse')
  await t.rejects(broken)
  t.match(await next, /^\$argon2id/)
})
