import t from 'tap'
import { transaction, type Tx } from '../database/database.ts'
import { HoofbeatError } from '../errors.ts'
import type { Telling } from '../people/index.ts'
import { testDatabases } from '../testkit/database.ts'
import { deleteAccount } from './closing.ts'
import { makeAdmin } from './admin.ts'
import { readPeople } from './index.ts'
import { signUp } from './sign-up.ts'
import { freshName, openTestAccounts, PASSWORD } from './testkit/accounts.ts'

await testDatabases(t, async (t, { db, another }) => {
  const forgotten: string[] = []
  const forget = async (_tx: Tx, user: string): Promise<void> => void forgotten.push(user)
  const news = (user: string): Telling => ({ user: 'friend', event: { type: 'gone', body: user } })
  const telling = async (_tx: Tx, user: string): Promise<readonly Telling[]> => [news(user)]
  const told: Telling[] = []
  const tell = (all: readonly Telling[]): void => void told.push(...all)
  const node = await openTestAccounts(t, db, { forget: [forget, telling], tell })

  await t.test('sign up, and read', async t => {
    const name = freshName()
    const { status, body } = await node.ask('POST', '/api/users', {
      body: { name: name.toUpperCase(), password: PASSWORD, displayName: '  Ann\n Lee ' },
    })
    t.equal(status, 201)
    t.match(body, {
      id: /^[0-9a-z]{25}$/,
      name: name.toUpperCase(),
      displayName: 'Ann Lee',
      statusText: '',
      isAdmin: false,
    })
    t.ok(Math.abs(Number(body['createdAt']) - Date.now()) < 60_000)
    t.notMatch(JSON.stringify(body), /argon2|password|hash/i)
    const ann = await node.signIn(name)
    const person = { id: body['id'], name: name.toUpperCase(), displayName: 'Ann Lee', statusText: '' }
    const other = await node.newcomer()
    t.same((await node.ask('GET', `/api/users/${ann.id}`, other)).body, person)
    t.same((await node.ask('GET', '/api/me', ann)).body, body)
    t.match(await node.ask('GET', '/api/users/nobody', other), { status: 404, body: { code: 'NO_SUCH_USER' } })
    t.same(await readPeople(db, [ann.id, ann.id, 'nobody']), new Map([[ann.id, person]]))
    t.same(await readPeople(db, []), new Map())
    const some = await node.ask('GET', `/api/people?user=${ann.id}&user=nobody&user=${ann.id}`, other)
    t.same(some, { ...some, status: 200, body: { items: [person] } })
    t.match(await node.ask('GET', `/api/people?user=${other.id}`, ann), { body: { items: [{ id: other.id }] } })
    const ids = (count: number): string => Array.from({ length: count }, (_, i) => `user=${i}`).join('&')
    t.match(await node.ask('GET', `/api/people?${ids(100)}`, ann), { status: 200, body: { items: [] } })
    for (const bad of ['', 'user=', ids(101)]) {
      t.match(await node.ask('GET', `/api/people?${bad}`, ann), { status: 400, body: { code: 'BAD_REQUEST' } })
    }
    t.equal((await node.ask('GET', `/api/people?user=${ann.id}`)).status, 401)
    t.equal((await node.ask('GET', '/api/me', other)).body['displayName'], other.name, 'without one it is the name')
  })

  await t.test('what cannot be a name or a password, and a name that is taken', async t => {
    const { name } = await node.newcomer()
    const bad: [body: object, status: number, code: string][] = [
      [{ name: 'a', password: PASSWORD }, 400, 'BAD_NAME'],
      [{ name: 'two words', password: PASSWORD }, 400, 'BAD_NAME'],
      [{ name: freshName(), password: 'short' }, 400, 'BAD_PASSWORD'],
      [{ name: 'longer.name', password: 'Longer.Name' }, 400, 'BAD_PASSWORD'],
      [{ name, password: PASSWORD }, 409, 'NAME_TAKEN'],
      [{ name: name.toUpperCase(), password: PASSWORD }, 409, 'NAME_TAKEN'],
      [{ name: `${name.slice(0, 3)}\u200b${name.slice(3)}`, password: PASSWORD }, 409, 'NAME_TAKEN'],
      [{ name: freshName() }, 400, 'BAD_REQUEST'],
      [{ password: PASSWORD }, 400, 'BAD_REQUEST'],
      [{ name: freshName(), password: 'x'.repeat(1025) }, 400, 'BAD_REQUEST'],
      [{ name: freshName(), password: PASSWORD, displayName: 'x'.repeat(65) }, 400, 'BAD_REQUEST'],
    ]
    for (const [body, status, code] of bad) {
      t.match(await node.ask('POST', '/api/users', { body }), { status, body: { status, code } }, JSON.stringify(body))
    }
  })

  await t.test('one name signed up at once on two nodes: one has it', async t => {
    const other = await openTestAccounts(t, (await another()).db)
    for (let round = 0; round < 5; round++) {
      const name = freshName()
      const body = { name, password: PASSWORD }
      const answers = await Promise.all([
        node.ask('POST', '/api/users', { body }),
        other.ask('POST', '/api/users', { body }),
      ])
      t.same(answers.map(({ status }) => status).toSorted(), [201, 409])
      t.match(answers.find(({ status }) => status === 409)?.body, { code: 'NAME_TAKEN' })
    }
  })

  await t.test('signing up again with the same Idempotency-Key makes one account', async t => {
    const body = { name: freshName(), password: PASSWORD }
    const headers = { 'idempotency-key': freshName() }
    const answers = await Promise.all([1, 2, 3].map(() => node.ask('POST', '/api/users', { body, headers })))
    t.same(
      answers.map(({ status }) => status),
      [201, 201, 201],
    )
    t.same(new Set(answers.map(each => each.body['id'])).size, 1)
    const reused = { body: { ...body, name: freshName() }, headers }
    t.match(await node.ask('POST', '/api/users', reused), { status: 409, body: { code: 'KEY_REUSED' } })
    t.match(
      await node.ask('POST', '/api/users', { body: { ...body }, headers, address: '192.0.2.9' }),
      { status: 409, body: { code: 'NAME_TAKEN' } },
      'the key of another address is another key',
    )
    const rows = await db
      .selectFrom('idempotency_keys')
      .selectAll()
      .where('key', '=', headers['idempotency-key'])
      .execute()
    t.equal(rows.length, 1)
    t.notMatch(JSON.stringify(rows), new RegExp(PASSWORD))
  })

  await t.test('search by the beginning of a name, page by page', async t => {
    const prefix = freshName().slice(0, 12)
    const names = Array.from({ length: 7 }, (_, i) => `${prefix}${i}`)
    for (const name of names) await node.ask('POST', '/api/users', { body: { name, password: PASSWORD } })
    const asker = await node.newcomer(`x${prefix}`)
    const search = async (query: string) => {
      const { status, body } = await node.ask('GET', `/api/users?${query}`, asker)
      t.equal(status, 200, JSON.stringify(body))
      const { items, next } = body as unknown as { items: { name: string }[]; next?: string }
      return { names: items.map(({ name }) => name), next }
    }
    t.same((await search(`search=${prefix}`)).names, names)
    t.same((await search(`search=${prefix.toUpperCase()}`)).names, names)
    t.same(await search(`search=${prefix}3`), { names: [names[3]], next: undefined })
    t.same((await search(`search=${prefix}_`)).names, [])
    t.same((await search('search=%25%25')).names, [])
    const seen: string[] = []
    let cursor = ''
    for (let page = 0; page < 4; page++) {
      const { names, next } = await search(`search=${prefix}&limit=2${cursor}`)
      seen.push(...names)
      cursor = `&cursor=${next}`
      t.equal(next === undefined, page === 3)
    }
    t.same(seen, names)
    for (const bad of [
      '',
      'search=a',
      `search=${prefix}&limit=0`,
      `search=${prefix}&limit=101`,
      `search=${prefix}&cursor=x`,
    ]) {
      t.match(await node.ask('GET', `/api/users?${bad}`, asker), { status: 400, body: { code: 'BAD_REQUEST' } }, bad)
    }
  })

  await t.test('search is asked so often a minute and no more', async t => {
    const asker = await node.newcomer()
    const asked = () => node.ask('GET', '/api/users?search=zz', asker)
    for (let i = 0; i < 60; i++) t.equal((await asked()).status, 200)
    const refused = await asked()
    t.match(refused, { status: 429, body: { code: 'TOO_MANY_REQUESTS' } })
    t.match(refused.headers['retry-after'], /^([1-9]|[1-5]\d|60)$/)
    t.equal((await node.ask('GET', '/api/users?search=zz', await node.newcomer())).status, 200, 'somebody else')
  })

  await t.test('the profile', async t => {
    const ann = await node.newcomer()
    const patch = async (body: object) => (await node.ask('PATCH', '/api/me', { ...ann, body })).body
    t.match(await patch({ displayName: 'Ann Lee', statusText: ' On a\twalk ' }), {
      displayName: 'Ann Lee',
      statusText: 'On a walk',
    })
    t.match(await patch({ statusText: '' }), { displayName: 'Ann Lee', statusText: '' })
    t.match(await patch({}), { displayName: 'Ann Lee' })
    t.match(await patch({ displayName: ' ' }), { displayName: ann.name })
    t.match(await patch({ isAdmin: true, name: 'another', id: 'another' }), {
      isAdmin: false,
      name: ann.name,
      id: ann.id,
    })
    t.match(await patch({ statusText: 'x'.repeat(141) }), { code: 'BAD_REQUEST' })
    t.match(await patch({ displayName: 'x'.repeat(65) }), { code: 'BAD_REQUEST' })
  })

  await t.test('another password takes the old one, and ends the other sessions', async t => {
    const ann = await node.newcomer()
    const elsewhere = await node.signIn(ann.name)
    const put = (body: object) => node.ask('PUT', '/api/me/password', { ...ann, body })
    t.match(await put({ old: 'wrong wrong', password: 'another horse' }), {
      status: 401,
      body: { code: 'BAD_CREDENTIALS' },
    })
    t.match(await put({ old: PASSWORD, password: 'short' }), { status: 400, body: { code: 'BAD_PASSWORD' } })
    t.match(await put({ old: PASSWORD, password: ann.name }), { status: 400, body: { code: 'BAD_PASSWORD' } })
    t.equal((await node.ask('GET', '/api/me', elsewhere)).status, 200, 'nothing has ended')
    t.match(await put({ old: PASSWORD, password: 'another horse' }), { status: 204, body: {} })
    t.equal((await node.ask('GET', '/api/me', ann)).status, 200)
    t.match(await node.ask('GET', '/api/me', elsewhere), { status: 401, body: { code: 'SESSION_ENDED' } })
    await t.rejects(node.signIn(ann.name), /BAD_CREDENTIALS/)
    t.equal((await node.signIn(ann.name, { password: 'another horse' })).id, ann.id)
  })

  await t.test('the same password changed at once on two nodes: one of both', async t => {
    const other = await openTestAccounts(t, (await another()).db)
    const ann = await node.newcomer()
    const put = (at: typeof node, password: string) =>
      at.ask('PUT', '/api/me/password', { ...ann, body: { old: PASSWORD, password } })
    const [one, two] = await Promise.all([put(node, 'horse number one'), put(other, 'horse number two')])
    t.same([one.status, two.status].toSorted(), [204, 401])
    await node.signIn(ann.name, { password: one.status === 204 ? 'horse number one' : 'horse number two' })
  })

  await t.test('a deleted account: sessions, name and profile are gone, its id stays nobody’s', async t => {
    const ann = await node.newcomer()
    await node.ask('PATCH', '/api/me', { ...ann, body: { displayName: 'Ann Lee', statusText: 'here' } })
    const bob = await node.newcomer()
    const remove = (password: string) => node.ask('POST', '/api/me/deletion', { ...ann, body: { password } })
    t.match(await remove('wrong wrong'), { status: 401, body: { code: 'BAD_CREDENTIALS' } })
    t.same(told, [])
    const removed = await remove(PASSWORD)
    t.equal(removed.status, 204)
    t.match(removed.headers['set-cookie'], /^refresh=; .*Path=\/api\/session.*Expires=Thu, 01 Jan 1970/)
    t.same(forgotten, [ann.id])
    t.same(told, [news(ann.id)], 'when it is done')
    t.match(await node.ask('GET', '/api/me', ann), { status: 401, body: { code: 'SESSION_ENDED' } })
    t.match(await node.ask('GET', `/api/users/${ann.id}`, bob), { status: 404, body: { code: 'NO_SUCH_USER' } })
    t.same((await node.ask('GET', `/api/users?search=${ann.name}`, bob)).body, { items: [] })
    t.same((await node.ask('GET', `/api/people?user=${ann.id}`, bob)).body, { items: [] })
    await t.rejects(node.signIn(ann.name), /BAD_CREDENTIALS/)
    const row = await db.selectFrom('users').selectAll().where('id', '=', ann.id).executeTakeFirstOrThrow()
    t.match(row, {
      name: null,
      name_key: null,
      password_hash: null,
      display_name: '',
      status_text: '',
      last_seen_at: null,
    })
    const changes = await db
      .selectFrom('access_changes')
      .select(['kind', 'session_id'])
      .where('user_id', '=', ann.id)
      .execute()
    t.same(changes, [
      { kind: 'session', session_id: ann.session },
      { kind: 'user', session_id: null },
    ])
    t.not((await node.newcomer(ann.name)).id, ann.id, 'the name is free, for somebody else')
    await t.rejects(deleteAccount(db, ann.id, []), { code: 'NO_SUCH_USER' })
  })

  await t.test('what others do at a deletion is undone with it', async t => {
    const ann = await node.newcomer()
    const failing = async (): Promise<void> => {
      throw new Error('no')
    }
    await t.rejects(deleteAccount(db, ann.id, [failing]), { message: 'no' })
    t.equal((await node.ask('GET', '/api/me', ann)).status, 200)
  })

  await t.test('the last admin cannot go, and of two at once one stays', async t => {
    const other = (await another()).db
    t.equal(await makeAdmin(db, 'first.admin', async () => PASSWORD), 'created')
    const first = await node.signIn('first.admin')
    t.match((await node.ask('GET', '/api/me', first)).body, { isAdmin: true })
    const remove = () => node.ask('POST', '/api/me/deletion', { ...first, body: { password: PASSWORD } })
    t.match(await remove(), { status: 409, body: { code: 'LAST_ADMIN' } })
    for (let round = 0; round < 5; round++) {
      const second = await node.newcomer()
      const asked: string[] = []
      const ask = async (): Promise<string> => (asked.push('asked'), PASSWORD)
      t.equal(await makeAdmin(db, second.name.toUpperCase(), ask), 'promoted')
      t.same(asked, [])
      const admins = await db.selectFrom('users').select('id').where('is_admin', '=', true).execute()
      t.equal(admins.length, 2)
      const [one, two] = admins.map(({ id }) => id) as [string, string]
      const gone = await Promise.allSettled([deleteAccount(db, one, []), deleteAccount(other, two, [])])
      t.same(gone.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
      t.match(
        gone.find(({ status }) => status === 'rejected'),
        { reason: { code: 'LAST_ADMIN' } },
      )
    }
    await t.rejects(
      makeAdmin(db, 'a', async () => PASSWORD),
      { code: 'BAD_NAME' },
    )
    await t.rejects(
      makeAdmin(db, freshName(), async () => 'short'),
      { code: 'BAD_PASSWORD' },
    )
  })

  await t.test('an error of the database is not taken for a name that is taken', async t => {
    const name = { name: 'odd.one', key: 'odd.one' }
    const error: unknown = await transaction(db, tx => signUp(tx, { name, hash: 'a\0b' })).catch(
      (error: unknown) => error,
    )
    t.ok(error instanceof Error && !(error instanceof HoofbeatError))
  })
})
