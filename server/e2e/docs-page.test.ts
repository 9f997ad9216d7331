import { chromium } from 'playwright-core'
import t from 'tap'
import { launchOptions } from '../../scripts/services/chromium.ts'
import { testDatabase } from '../testkit/database.ts'
import { startNode } from '../testkit/node.ts'

t.setTimeout(120_000)

t.test('the page at /docs shows the document and tries it out, within its policy and from this node alone', async t => {
  const database = await testDatabase(t, 'embedded')
  await database.close()
  const node = await startNode(t, { ACCESS: 'accounts', ...database.env })
  const browser = await chromium.launch(launchOptions())
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  const complaints: string[] = []
  const hosts = new Set<string>()
  page.on('pageerror', error => complaints.push(error.message))
  page.on('request', request => hosts.add(new URL(request.url()).host))
  await page.addInitScript(`
    window.kept = []
    addEventListener('securitypolicyviolation', event => window.kept.push(event.effectiveDirective + ' ' + event.blockedURI))`)
  await page.goto(`${node.url}docs`)
  await page.getByRole('heading', { name: 'Hoofbeat' }).waitFor()
  const keys = page.locator('.opblock', { hasText: '/.well-known/jwks.json' })
  await keys.getByRole('button').first().click()
  await keys.getByRole('button', { name: 'Try it out' }).click()
  await keys.getByRole('button', { name: 'Execute' }).click()
  await keys.locator('.live-responses-table').getByText('"ES256"').first().waitFor()
  const kept = new Set(await page.evaluate<string[]>('window.kept'))
  // A few styles that a library of it would add as markup; it does without.
  kept.delete('style-src-elem inline')
  t.same([...kept], [])
  t.same(complaints, [])
  t.same([...hosts].filter(host => host !== '').toSorted(), [new URL(node.url).host])
})
