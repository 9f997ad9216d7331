import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContextOptions, type Locator, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { launchOptions } from '../../../scripts/services/chromium.ts'
import { startNode, type TestNode } from '../../testkit/node.ts'
import { call, PASSWORD, productEnv, type Json } from '../../testkit/product.ts'

/** Both at the width that people have them; whether they are dark or touched is no matter of width. */
export const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 }, locale: 'en-US' }
export const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  hasTouch: true,
  colorScheme: 'dark',
  locale: 'en-US',
}

const PATIENCE = 20_000
/** What a browser says of answers and connections that a test brings about. */
const EXPECTED = /WebSocket|ERR_|status of (40[0-9]|409|429|503)/

/** Somebody in front of the page, in a browser of their own. */
export class Visitor {
  readonly page: Page

  constructor(page: Page) {
    this.page = page
  }

  field(label: string): Locator {
    return this.page.getByLabel(label, { exact: true })
  }

  async fillIn(fields: Readonly<Record<string, string>>): Promise<void> {
    for (const [label, value] of Object.entries(fields)) await this.field(label).fill(value)
  }

  press(name: string | RegExp): Promise<void> {
    return this.page.getByRole('button', { name, exact: true }).click()
  }

  /** Presses what asks whether one is sure, and says so. */
  async confirm(name: string): Promise<void> {
    const [act = '', whom] = name.split(': ')
    await this.press(name)
    await this.press(whom === undefined ? `${act}: really?` : `${act}: really?: ${whom}`)
  }

  /** Follows a link of the side, which a phone has in a drawer. */
  async follow(name: string | RegExp): Promise<void> {
    const menu = this.page.getByRole('button', { name: 'Rooms', exact: true })
    if (await menu.isVisible()) await menu.click()
    await this.page.locator('.side').getByRole('link', { name }).click()
  }

  /** Goes to a place of the page, such as `friends`. */
  async go(place: string): Promise<void> {
    await this.page.evaluate(`location.hash = ${JSON.stringify(`#/${place}`)}`)
  }

  /** Resolves when this stands on the page. */
  reads(text: string | RegExp): Promise<void> {
    return this.page.getByText(text).first().waitFor()
  }

  /** Resolves when this does not stand on the page any more. */
  async misses(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).first().waitFor({ state: 'hidden' })
  }

  has(role: 'button' | 'link' | 'heading' | 'img', name: string | RegExp): Promise<void> {
    return this.page.getByRole(role, { name }).first().waitFor()
  }

  async hasNot(role: 'button' | 'link' | 'heading' | 'img', name: string | RegExp): Promise<void> {
    await this.page.getByRole(role, { name }).first().waitFor({ state: 'hidden' })
  }

  async signIn(name: string, password = PASSWORD): Promise<void> {
    await this.fillIn({ Name: name, Password: password })
    await this.press('Sign in')
  }

  /** Says something in the room that is shown. */
  async write(room: string, text: string): Promise<void> {
    const box = this.page.getByRole('textbox', { name: `Message to ${room}` })
    await box.fill(text)
    await box.press('Enter')
  }

  /** Resolves when the room that is shown has this message. */
  sees(text: string): Promise<void> {
    return this.page.getByRole('log').getByText(text, { exact: true }).waitFor()
  }

  /** Resolves with the id of the room that is shown. */
  async room(): Promise<string> {
    await this.page.getByRole('log').waitFor()
    return String(await this.page.evaluate('location.hash')).replace('#/room/', '')
  }

  /** By how many pixels the page is wider than its window. */
  async sideways(): Promise<number> {
    return Number(await this.page.evaluate('document.documentElement.scrollWidth - innerWidth'))
  }
}

/** Somebody who is signed in. */
export class Member extends Visitor {
  readonly id: string
  readonly name: string
  readonly #node: TestNode
  readonly #token: string

  constructor(page: Page, node: TestNode, name: string, signed: Json) {
    super(page)
    this.#node = node
    this.id = (signed['user'] as { id: string }).id
    this.name = name
    this.#token = String(signed['accessToken'])
  }

  /** Does something below /api as another program of theirs, which must succeed. */
  async does(method: string, path: string, body?: object): Promise<Json> {
    const answer = await call(this.#node, method, `/api${path}`, { token: this.#token, body })
    if (answer.status >= 400) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
}

const start = (t: Test, env: Readonly<Record<string, string>>): Promise<TestNode> =>
  startNode(t, { ...productEnv, LOGIN_TRIES: '1000', ...env })

/** A node with its page, and a browser to look at it with. */
export class Site {
  readonly node: TestNode
  readonly browser: Browser

  private constructor(node: TestNode, browser: Browser) {
    this.node = node
    this.browser = browser
  }

  static async open(t: Test, env: Readonly<Record<string, string>> = {}): Promise<Site> {
    await access(join(import.meta.dirname, '../../../client/dist/index.html'))
    const browser = await chromium.launch(launchOptions())
    t.teardown(() => browser.close())
    return new Site(await start(t, env), browser)
  }

  /** Another node, looked at with the same browser. */
  async another(t: Test, env: Readonly<Record<string, string>>): Promise<Site> {
    return new Site(await start(t, env), this.browser)
  }

  /** Opens the page. What it throws, and what its policy keeps from happening, fails the test. */
  async visit(t: Test, options: BrowserContextOptions = DESKTOP, place = ''): Promise<Visitor> {
    const visitor = new Visitor(await this.#blank(t, options))
    await visitor.page.goto(`${this.node.url}#/${place}`)
    return visitor
  }

  /** Signs somebody up, and opens the page as who they are. */
  async enter(t: Test, name: string, displayName: string, options = DESKTOP, place = ''): Promise<Member> {
    await call(this.node, 'POST', '/api/users', { body: { name, password: PASSWORD, displayName } })
    return this.again(t, name, options, place)
  }

  /** The same person, on another device. */
  async again(t: Test, name: string, options = DESKTOP, place = ''): Promise<Member> {
    const page = await this.#blank(t, options)
    // As the page does it: its cookie is in the browser then.
    const answer = await page.context().request.post(`${this.node.url}api/session`, {
      headers: { 'x-hoofbeat': 'page', origin: new URL(this.node.url).origin },
      data: { name, password: PASSWORD, keep: 'cookie', device: 'Chrome · Linux' },
    })
    if (!answer.ok()) throw new Error(`${name} could not sign in: ${await answer.text()}`)
    const member = new Member(page, this.node, name, (await answer.json()) as Json)
    await page.addInitScript(`
      if (!sessionStorage.begun) localStorage.setItem('hoofbeat/signed-in', '1')
      sessionStorage.begun = '1'`)
    await page.goto(`${this.node.url}#/${place}`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    return member
  }

  async #blank(t: Test, options: BrowserContextOptions): Promise<Page> {
    const context = await this.browser.newContext(options)
    t.teardown(() => context.close())
    const page = await context.newPage()
    page.setDefaultTimeout(PATIENCE)
    page.on('pageerror', error => t.fail(`the page threw ${error.message}`))
    page.on('console', message => {
      if (message.type() === 'error' && !EXPECTED.test(message.text())) t.fail(message.text())
    })
    return page
  }
}

/** Makes two people friends. */
export const befriend = async (one: Member, other: Member): Promise<void> => {
  await one.does('PUT', `/friend-requests/${other.id}`)
  await other.does('POST', `/friend-requests/${one.id}/accept`)
}

/** A room of `owner` that the others are members of. Resolves with its id. */
export const makeRoom = async (
  owner: Member,
  name: string,
  visibility: 'public' | 'private',
  members: readonly Member[] = [],
): Promise<string> => {
  const room = await owner.does('POST', '/rooms', { name, visibility, invite: members.map(({ id }) => id) })
  for (const member of members) {
    const { items } = await member.does('GET', '/invitations')
    const mine = (items as { id: string; room: { id: string } }[]).find(each => each.room.id === room['id'])
    await member.does('POST', `/invitations/${mine?.id}/accept`)
  }
  return String(room['id'])
}
