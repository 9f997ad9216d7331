import t from 'tap'
import { testDatabase } from '../testkit/database.ts'
import { drawnIn, erd } from './testkit/erd.ts'

await t.test('README.md draws the tables as they are (node server/database/testkit/erd.ts)', async t => {
  const { db } = await testDatabase(t, 'embedded')
  const { is, shouldBe } = await drawnIn(await erd(db))
  t.equal(is, shouldBe)
})

await t.test('PostgreSQL has the same tables', async t => {
  const [one, other] = [await testDatabase(t, 'embedded'), await testDatabase(t, 'postgres')]
  t.equal(await erd(one.db), await erd(other.db))
})
