import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium, type Browser, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchOptions } from '../../scripts/services/chromium.ts'
import { startBalancer } from '../testkit/balancer.ts'
import { startFleet, type FleetNode } from '../testkit/fleet.ts'
import { Probe } from '../testkit/probe.ts'
import { freshRoom, kafkaBrokers } from '../testkit/services.ts'
import { connectStompit, listen, say } from '../testkit/stompit.ts'

t.setTimeout(240_000)
await access(join(import.meta.dirname, '../../client/dist/index.html'))
const brokers = await kafkaBrokers(t)
const nodes = await startFleet(t, 3, brokers)
const [one, two, three] = nodes as [FleetNode, FleetNode, FleetNode]
const browser: Browser = await chromium.launch(launchOptions())
t.teardown(() => browser.close())

/** Opens the page as a new visitor, who takes `name` and joins `room`. What the browser complains of fails the test. */
const visit = async (t: Test, port: number, name: string, room: string, locale = 'en-US'): Promise<Page> => {
  const context = await browser.newContext({ locale })
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.on('pageerror', error => t.fail(`the page threw ${error.message}`))
  page.on('console', message => {
    if (message.type() === 'error' && !/WebSocket|ERR_/.test(message.text())) t.fail(message.text())
  })
  await page.goto(`http://localhost:${port}/#/room/${encodeURIComponent(room)}`)
  await page.getByRole('textbox', { name: locale === 'ko-KR' ? '이름' : 'Your name' }).fill(name)
  await page.keyboard.press('Enter')
  return page
}

const write = async (page: Page, room: string, text: string): Promise<void> => {
  const box = page.getByRole('textbox', { name: `Message to ${room}` })
  await box.fill(text)
  await box.press('Enter')
}

const sees = (page: Page, text: string): Promise<void> =>
  page.getByRole('log').getByText(text, { exact: true }).waitFor({ timeout: 30_000 })

/** The texts of the log that look like ours, in order. */
const shown = async (page: Page, pattern: RegExp): Promise<string[]> => {
  const text = await page.getByRole('log').innerText()
  return Array.from(text.matchAll(pattern), match => match[0])
}

t.test('two browsers and stompit, on three nodes, chat in one room', async t => {
  const room = freshRoom('page')
  const ann = await visit(t, one.port, 'ann', room)
  const cho = await visit(t, three.port, 'cho', room)
  const bob = await connectStompit(t, two, 'bob')
  const heard: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  listen(bob, `/topic/${room}`, text => heard.push(text) === 3 && resolve())
  await say(bob, `/topic/${room}`, 'hello from TCP')
  await Promise.all([sees(ann, 'hello from TCP'), sees(cho, 'hello from TCP')])
  await write(ann, room, 'hello from a browser')
  await Promise.all([sees(ann, 'hello from a browser'), sees(cho, 'hello from a browser')])
  await ann.getByRole('img', { name: 'Delivered' }).first().waitFor()
  await write(cho, room, '다른 노드에서 안녕')
  await Promise.all([sees(ann, '다른 노드에서 안녕'), sees(cho, '다른 노드에서 안녕'), promise])
  t.same(heard, ['hello from TCP', 'hello from a browser', '다른 노드에서 안녕'])
  t.match(await ann.getByRole('log').innerText(), /bob/, 'the sender is shown')
})

t.test('the last 50 on joining', async t => {
  const room = freshRoom('history')
  const probe = await Probe.connect(t, 'tcp', one, { login: 'bob' })
  for (let i = 0; i < 60; i++) await probe.request('SEND', { destination: `/topic/${room}` }, `note-${i}.`)
  const page = await visit(t, two.port, 'ann', room)
  await sees(page, 'note-59.')
  t.same(
    await shown(page, /note-\d+\./g),
    Array.from({ length: 50 }, (_, i) => `note-${i + 10}.`),
  )
})

t.test(
  'behind a balancer a node is killed: the page goes on at another, without a gap or a repeat, and sends what was kept',
  async t => {
    const room = freshRoom('failover')
    const pair = await startFleet(t, 2, brokers)
    let alive = [pair[0]!]
    const port = await startBalancer(t, () => alive.map(node => node.port))
    const page = await visit(t, port, 'ann', room)
    const bob = await Probe.connect(t, 'tcp', one, { login: 'bob' })
    const destination = `/topic/${room}`
    for (let i = 0; i < 5; i++) await bob.request('SEND', { destination }, `note-${i}.`)
    await sees(page, 'note-4.')
    alive = []
    await pair[0]!.kill()
    await page
      .getByText(/No connection|Connecting/)
      .first()
      .waitFor()
    for (let i = 5; i < 10; i++) await bob.request('SEND', { destination }, `note-${i}.`)
    await write(page, room, 'written while away')
    alive = [pair[1]!]
    await sees(page, 'note-9.')
    await bob.request('SUBSCRIBE', { id: 'sub-0', destination, last: 1 })
    await bob.take(frame => frame.body.toString() === 'written while away', 'the kept message')
    await page.getByRole('img', { name: 'Delivered' }).first().waitFor()
    t.same(await shown(page, /note-\d+\.|written while away/g), [
      ...Array.from({ length: 10 }, (_, i) => `note-${i}.`),
      'written while away',
    ])
  },
)

t.test('Korean by the browser’s language, at the width of a phone, without scrolling sideways', async t => {
  const room = freshRoom('ko')
  const page = await visit(t, one.port, '지우', room, 'ko-KR')
  await page.setViewportSize({ width: 390, height: 844 })
  await page.getByRole('log').waitFor()
  t.equal(await page.locator('html').getAttribute('lang'), 'ko')
  t.equal(await page.evaluate('document.documentElement.scrollWidth'), 390)
})
