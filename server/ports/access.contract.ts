import { inspect } from 'node:util'
import type { Test } from 'tap'
import { errors, type HoofbeatError } from '../errors.ts'
import { isUser, type Access, type AccessChange, type Credentials } from './access.ts'
import type { Driver } from './driver.ts'
import type { NewRecord } from './room-log.ts'

export interface AccessUnderTest {
  readonly driver: Driver<Access>
  /** Credentials by which `user` may read and send in every room. */
  valid(user: string): Promise<Credentials>
  /** Credentials that nobody has. */
  invalid(): Promise<Credentials>
}

/** What holds for every driver of Access. `open` makes a new one; the suite closes it. */
export const accessContract = (t: Test, open: (t: Test) => Promise<AccessUnderTest>): void => {
  const begin = async (t: Test): Promise<AccessUnderTest & { access: Access }> => {
    const subject = await open(t)
    t.teardown(() => subject.driver.close())
    return { ...subject, access: subject.driver.port }
  }
  identities(t, begin)
  rights(t, begin)
  running(t, begin)
}

type Begin = (t: Test) => Promise<AccessUnderTest & { access: Access }>

export const someRecord: NewRecord = { sender: 'ann', headers: new Map([['x', 'y']]), body: Buffer.from('hello') }

/** What `promise` rejects with. Where it does not reject it is what it resolved with, which looks like no error. */
export const refusedWith = (promise: Promise<unknown>): Promise<HoofbeatError> =>
  promise.catch((error: unknown) => error) as Promise<HoofbeatError>

const identities = (t: Test, begin: Begin): void => {
  void t.test('valid credentials say who it is, each time', async t => {
    const { access, valid } = await begin(t)
    const credentials = await valid('ann')
    const before = Date.now()
    for (const identity of [await access.authenticate(credentials), await access.authenticate(credentials)]) {
      t.equal(identity.user, 'ann')
      t.ok((identity.expires ?? Infinity) > before)
    }
  })

  void t.test('users of any script', async t => {
    const { access, valid } = await begin(t)
    for (const user of ['김 하나', 'Ольга', 'مريم', '🐎🐎', "o'neil: \\ ,;=", 'a'.repeat(128), '🐎'.repeat(128)]) {
      t.equal((await access.authenticate(await valid(user))).user, user)
    }
  })

  void t.test('never a user without the form of a user', async t => {
    const { access, valid } = await begin(t)
    const bad = [
      'a'.repeat(129),
      '🐎'.repeat(129),
      'a\nb',
      'a\rb',
      'a\0b',
      'a\tb',
      'a\u007fb',
      'a\u0085b',
      '\ud800',
      ' a',
      'a\ufeff',
    ]
    for (const user of bad) {
      const answer = await access.authenticate(await valid(user)).catch((error: unknown) => error)
      if (answer instanceof Error) t.match(answer, { code: 'BAD_CREDENTIALS' }, JSON.stringify(user))
      else t.ok(isUser((answer as { user: string }).user), JSON.stringify(user))
    }
  })

  void t.test('invalid credentials are refused, and not repeated in the refusal', async t => {
    const { access, invalid } = await begin(t)
    const credentials = await invalid()
    const error = await refusedWith(access.authenticate(credentials))
    t.equal(error.code, 'BAD_CREDENTIALS')
    t.ok(error.message.startsWith(errors.BAD_CREDENTIALS.message))
    const shown = [error.message, error.stack, ...Object.values(error.headers), inspect(error.cause)].join('\n')
    for (const value of Object.values(credentials) as string[]) t.notOk(shown.includes(value))
  })

  void t.test('many at once: everyone is who they are', async t => {
    const { access, valid } = await begin(t)
    const users = Array.from({ length: 100 }, (_, i) => `user ${i}`)
    const identities = await Promise.all(users.map(async user => access.authenticate(await valid(user))))
    t.same(
      identities.map(identity => identity.user),
      users,
    )
  })
}

const rights = (t: Test, begin: Begin): void => {
  void t.test('who may do everything may read and send in any room', async t => {
    const { access, valid } = await begin(t)
    const who = await access.authenticate(await valid('ann'))
    for (const room of ['general', 'a/b:c.d-e_F', 'r'.repeat(120)]) {
      t.equal(await access.mayRead(who, room), true)
      t.equal(await access.maySend(who, room, someRecord), true)
    }
  })

  void t.test('what somebody writes who is there is not erased', async t => {
    const { access, valid } = await begin(t)
    const { user } = await access.authenticate(await valid('ann'))
    for (const each of [user, 'somebody else', '']) t.equal(access.erased?.(each) ?? false, false)
  })

  void t.test('a listener for rights that end is not called while none ends', async t => {
    const { access, valid } = await begin(t)
    const ended: AccessChange[] = []
    access.changes(change => void ended.push(change))
    const who = await access.authenticate(await valid('ann'))
    t.equal(await access.mayRead(who, 'general'), true)
    t.same(ended, [])
  })
}

const running = (t: Test, begin: Begin): void => {
  void t.test('it says that it works', async t => {
    const { driver } = await begin(t)
    await t.resolves(driver.check(5_000))
  })

  void t.test('after close every call rejects', async t => {
    const { driver, access, valid } = await begin(t)
    const credentials = await valid('ann')
    const who = await access.authenticate(credentials)
    await driver.close()
    await t.rejects(access.authenticate(credentials))
    await t.rejects(async () => access.mayRead(who, 'general'))
    await t.rejects(async () => access.maySend(who, 'general', someRecord))
    await t.rejects(driver.check(5_000))
    await t.resolves(driver.close(), 'closing it again is fine')
  })
}
