/** Makes client/screenshot.png and client/screenshot-phone.png: the page of a node of its own, on which people talk. */

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from '@stomp/stompjs'
import { chromium, type BrowserContextOptions, type Page } from 'playwright-core'
import { end, launch, nodeArgs, root, runScript, ScriptError, unconfigured } from './launch.ts'
import { listening } from './listening.ts'
import { buildPage } from './page.ts'
import { launchOptions } from './services/chromium.ts'

const PASSWORD = randomBytes(9).toString('base64url')
const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 }, locale: 'en-GB' }
const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  hasTouch: true,
  isMobile: true,
  colorScheme: 'dark',
  locale: 'en-GB',
}

type Json = Readonly<Record<string, unknown>>

/** Somebody with an account. */
class Person {
  readonly name: string
  readonly #url: string
  #id = ''
  #token = ''
  #client: Client | undefined

  private constructor(url: string, name: string) {
    this.#url = url
    this.name = name
  }

  static async signUp(url: string, displayName: string): Promise<Person> {
    const person = new Person(url, displayName.split(' ')[0]!.toLowerCase())
    const account = { name: person.name, password: PASSWORD }
    person.#id = (await person.does('POST', '/users', { ...account, displayName }))['id'] as string
    person.#token = (await person.does('POST', '/session', { ...account, keep: 'body' }))['accessToken'] as string
    return person
  }

  async does(method: string, path: string, body?: object): Promise<Json> {
    const response = await fetch(`${this.#url}api${path}`, {
      method,
      headers: {
        ...(this.#token && { authorization: `Bearer ${this.#token}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new ScriptError(`${method} ${path}: ${response.status} ${text}`)
    return text === '' ? {} : (JSON.parse(text) as Json)
  }

  async befriends(other: Person): Promise<void> {
    await this.does('PUT', `/friend-requests/${other.#id}`)
    await other.does('PUT', `/friend-requests/${this.#id}`)
  }

  /** Resolves with the id of a new room, which all of them are in. */
  async opens(name: string, others: readonly Person[]): Promise<string> {
    const room = { name, visibility: 'private', invite: others.map(each => each.#id) }
    const { id } = await this.does('POST', '/rooms', room)
    for (const other of others) {
      const { items } = await other.does('GET', '/invitations')
      for (const invitation of items as { id: string }[])
        await other.does('POST', `/invitations/${invitation.id}/accept`)
    }
    return id as string
  }

  /** Resolves with the id of the room of just the two. */
  async opensDirect(other: Person): Promise<string> {
    return (await this.does('POST', '/direct-rooms', { user: other.#id }))['id'] as string
  }

  /** Is there from now on. */
  async comes(): Promise<void> {
    const connectHeaders = { login: this.name, passcode: PASSWORD }
    const client = new Client({ brokerURL: `${this.#url.replace('http', 'ws')}ws`, connectHeaders })
    await new Promise<void>((resolve, reject) => {
      client.onConnect = () => resolve()
      client.onStompError = ({ headers }) => reject(new ScriptError(`${this.name}: ${headers['message']}`))
      client.activate()
    })
    this.#client = client
  }

  /** Resolves when it is in the room's log. */
  says(room: string, body: string): Promise<void> {
    return new Promise(resolve => {
      const receipt = randomBytes(6).toString('hex')
      this.#client!.watchForReceipt(receipt, () => resolve())
      this.#client!.publish({ destination: `/topic/${room}`, body, headers: { receipt } })
    })
  }

  types(room: string): void {
    this.#client!.publish({ destination: `/signal/${room}`, headers: { type: 'typing' } })
  }

  async leaves(): Promise<void> {
    await this.#client?.deactivate()
  }
}

const signIn = async (page: Page, url: string, name: string): Promise<void> => {
  await page.goto(`${url}#/sign-in`)
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByText(/^Hello, /).waitFor()
}

const writes = async (page: Page, text: string): Promise<void> => {
  const box = page.getByRole('textbox')
  await box.fill(text)
  await box.press('Enter')
  await page.getByRole('log').getByText(text, { exact: true }).waitFor()
}

const take = async (url: string): Promise<void> => {
  const [mina, ada, joon, ilse, tomas] = (await Promise.all(
    ['Mina', 'Ada', 'Joon', 'Ilse', 'Tomás'].map(name => Person.signUp(url, name)),
  )) as [Person, Person, Person, Person, Person]
  const all = [ada, joon, ilse, tomas]
  for (const other of all) await mina.befriends(other)
  const riders = await mina.opens('Trail riders', all)
  const feed = await ada.opens('Feed orders', [mina, joon])
  await ilse.opens('Lost and found', [mina, tomas])
  const direct = await Promise.all([ada, joon, ilse].map(other => other.opensDirect(mina)))
  for (const other of [ada, joon, tomas]) await other.comes()

  const browser = await chromium.launch(launchOptions())
  try {
    const open = async (options: BrowserContextOptions): Promise<Page> => {
      const page = await (await browser.newContext(options)).newPage()
      await signIn(page, url, mina.name)
      return page
    }
    const desktop = await open(DESKTOP)
    await desktop.goto(`${url}#/room/${riders}`)
    await desktop.getByRole('log').waitFor()
    await ada.says(riders, 'The farrier comes tomorrow at eight. Who brings the horses in?')
    await joon.says(riders, 'I do, I’m there from seven anyway.')
    await writes(desktop, 'And I bring coffee ☕')
    await tomas.says(riders, '내일 아침에는 비가 온대요. 우비 챙기세요!')
    await ada.says(riders, 'Perfect. Who needs new shoes:\n\n1. Clover\n2. Big Red\n3. Pepper (front only)')
    await writes(desktop, 'Pepper lost the left one yesterday, so please do her first.')
    await joon.says(riders, 'ok')
    await ada.says(feed, 'Two bales short this week.')
    await joon.says(feed, 'I’ll ask.')
    await ada.says(direct[0]!, 'Do you have a minute?')
    const phone = await open(PHONE)
    await phone.goto(`${url}#/room/${riders}`)
    for (const page of [desktop, phone]) await page.getByText('ok', { exact: true }).waitFor()
    ada.types(riders)
    for (const page of [desktop, phone]) await page.getByText('Ada is writing…').waitFor()
    // In two other rooms there is something new.
    await desktop.locator('.badge').nth(1).waitFor()
    await desktop.screenshot({ path: join(root, 'client/screenshot.png') })
    await phone.screenshot({ path: join(root, 'client/screenshot-phone.png') })
  } finally {
    await browser.close()
    for (const other of [ada, joon, tomas]) await other.leaves()
  }
}

await runScript(async () => {
  await buildPage()
  const folder = await mkdtemp(join(tmpdir(), 'hoofbeat-screenshots-'))
  const env = { ...unconfigured, PORT: '0', STOMP_PORT: 'off', DATA_DIR: folder, LOG_LEVEL: 'info' }
  const node = launch('node', nodeArgs, { env, output: 'kept' })
  try {
    await take((await listening(node)).url)
  } finally {
    await end(node)
    await rm(folder, { recursive: true, force: true })
  }
})
