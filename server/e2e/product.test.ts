import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchOptions } from '../../scripts/services/chromium.ts'
import { startNode } from '../testkit/node.ts'

t.setTimeout(240_000)
await access(join(import.meta.dirname, '../../client/dist/index.html'))
const node = await startNode(t, { ACCESS: 'accounts' })
const browser: Browser = await chromium.launch(launchOptions())
t.teardown(() => browser.close())

const DESKTOP: BrowserContextOptions = { viewport: { width: 1200, height: 800 }, locale: 'en-US' }
const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  hasTouch: true,
  colorScheme: 'dark',
  locale: 'en-US',
}
const PASSWORD = 'correct horse'

/** Opens the page in a browser of its own. What it throws, and what its policy keeps from happening, fails the test. */
const visit = async (t: Test, options: BrowserContextOptions, fragment = ''): Promise<Page> => {
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  page.on('pageerror', error => t.fail(`the page threw ${error.message}`))
  page.on('console', message => {
    if (message.type() === 'error' && !/WebSocket|ERR_|status of 40[149]/.test(message.text())) t.fail(message.text())
  })
  await page.goto(node.url + fragment)
  return page
}

const field = (page: Page, name: string) => page.getByLabel(name, { exact: true })
const press = (page: Page, name: string | RegExp): Promise<void> =>
  page.getByRole('button', { name, exact: true }).click()

const signUp = async (t: Test, name: string, displayName: string, options = DESKTOP): Promise<Page> => {
  const page = await visit(t, options)
  await page.getByRole('link', { name: 'Sign up' }).click()
  await field(page, 'Name').fill(name)
  await field(page, 'Display name').fill(displayName)
  await field(page, 'Password').fill(PASSWORD)
  await press(page, 'Sign up')
  await page.getByText(`Hello, ${displayName}.`).waitFor()
  return page
}

const signIn = async (page: Page, name: string, password = PASSWORD): Promise<void> => {
  await field(page, 'Name').fill(name)
  await field(page, 'Password').fill(password)
  await press(page, 'Sign in')
}

/** Follows a link of the side, which a phone has in a drawer. */
const follow = async (page: Page, name: string | RegExp): Promise<void> => {
  const menu = page.getByRole('button', { name: 'Rooms', exact: true })
  if (await menu.isVisible()) await menu.click()
  await page.getByRole('link', { name }).first().click()
}

const go = (page: Page, fragment: string): Promise<void> => page.evaluate(`location.hash = ${JSON.stringify(fragment)}`)

const write = async (page: Page, room: string, text: string): Promise<void> => {
  const box = page.getByRole('textbox', { name: `Message to ${room}` })
  await box.fill(text)
  await box.press('Enter')
}
const sees = (page: Page, text: string): Promise<void> =>
  page.getByRole('log').getByText(text, { exact: true }).waitFor()

/** Resolves with the id of the room that is shown. */
const roomOf = async (page: Page): Promise<string> => {
  await page.getByRole('log').waitFor()
  return String(await page.evaluate('location.hash')).replace('#/room/', '')
}

const noSideways = async (t: Test, page: Page, where: string): Promise<void> => {
  t.equal(
    await page.evaluate('document.documentElement.scrollWidth - innerWidth'),
    0,
    `${where} does not scroll sideways`,
  )
}

t.test('two people become friends, make a room and chat; one is removed, and sees it', async t => {
  const ann = await signUp(t, 'anna', 'Anna Lee')
  const bob = await signUp(t, 'boris', 'Boris', PHONE)
  await follow(ann, 'Friends')
  await ann.getByRole('searchbox').fill('bor')
  await press(ann, 'Ask Boris to be your friend')
  await ann.getByRole('button', { name: 'Take back the request to Boris' }).first().waitFor()
  await follow(bob, /Notifications/)
  await bob.getByText('Anna Lee asks to be your friend').click()
  await press(bob, 'Accept: Anna Lee')
  await bob.getByRole('img', { name: 'online' }).first().waitFor()
  await ann.getByRole('button', { name: 'Remove Boris from your friends' }).first().waitFor()
  await ann.getByRole('img', { name: 'online' }).first().waitFor()

  await follow(ann, 'New room')
  await field(ann, 'Name of the room').fill('Riders')
  await press(ann, 'Add Boris')
  await press(ann, 'Make the room')
  const room = await roomOf(ann)
  await follow(bob, 'Home')
  await press(bob, 'Accept: Riders')
  t.equal(await roomOf(bob), room)
  await sees(ann, 'Boris joined')

  await write(ann, 'Riders', 'hello Boris')
  await sees(bob, 'hello Boris')
  await ann.getByText('Read by Boris').waitFor()
  await bob.getByRole('textbox', { name: 'Message to Riders' }).fill('hello yourself')
  await ann.getByText('Boris is writing…').waitFor()
  await press(bob, 'Send')
  await sees(ann, 'hello yourself')
  t.match(await ann.getByRole('log').innerText(), /Boris/, 'the sender has a name')
  await noSideways(t, bob, 'the room')

  await go(ann, `#/members/${room}`)
  await press(ann, 'Options for Boris')
  await press(ann, 'Remove Boris from the room')
  await press(ann, 'Remove Boris from the room: really?')
  await bob.getByRole('alert').getByText('You are no longer in this room.').waitFor()
  await ann.getByText('1 of at most 100').waitFor()
  t.equal(await bob.getByRole('textbox').count(), 0, 'there is nowhere left to write')
  await follow(bob, 'Home')
  await go(bob, `#/room/${room}`)
  await bob.getByRole('heading', { name: 'Nothing here', level: 2 }).waitFor()
})

t.test('a direct message comes to who did not wait for one, and stays after a reload', async t => {
  const cho = await signUp(t, 'choi', 'Choi')
  const dan = await signUp(t, 'daniel', 'Daniel', PHONE)
  await follow(cho, 'Friends')
  await cho.getByRole('searchbox').fill('daniel')
  await press(cho, 'Write to Daniel')
  await write(cho, 'Daniel', 'psst')
  await cho.getByRole('img', { name: 'Delivered' }).waitFor()
  await dan.reload()
  await dan.getByText('Hello, Daniel.').waitFor()
  await follow(dan, /Choi/)
  await sees(dan, 'psst')
  await write(dan, 'Choi', 'what is it?')
  await sees(cho, 'what is it?')
  await cho.reload()
  await sees(cho, 'psst')
})

t.test('a public room is found, read, joined by whoever likes, and left; its owner changes and deletes it', async t => {
  const eve = await signUp(t, 'evelyn', 'Evelyn')
  const fay = await signUp(t, 'fayette', 'Fay', PHONE)
  await follow(eve, 'New room')
  await field(eve, 'Name of the room').fill('Stables')
  await eve.getByRole('radio', { name: /Public/ }).check()
  await press(eve, 'Make the room')
  const room = await roomOf(eve)
  await write(eve, 'Stables', 'open to all')
  await follow(fay, 'Public rooms')
  await fay.getByRole('searchbox').fill('stab')
  await fay.getByRole('link', { name: 'Stables' }).click()
  await sees(fay, 'open to all')
  t.equal(await fay.getByRole('textbox').count(), 0, 'who only reads cannot write')
  await press(fay, 'Join the room')
  await write(fay, 'Stables', 'here I am')
  await sees(eve, 'here I am')

  await go(eve, `#/settings/${room}`)
  await field(eve, 'Name of the room').fill('Barn')
  await press(eve, 'Save')
  await sees(fay, 'Evelyn named the room Barn')
  await fay.getByRole('heading', { name: 'Barn' }).waitFor()
  await go(fay, `#/settings/${room}`)
  await press(fay, 'Leave the room')
  await press(fay, 'Leave the room: really?')
  await fay.getByText('Hello, Fay.').waitFor()

  await go(eve, `#/invite/${room}`)
  await press(eve, 'Make a link')
  const link = await field(eve, 'New link').inputValue()
  await go(fay, new URL(link).hash)
  await press(fay, 'Join the room')
  t.equal(await roomOf(fay), room)
  await go(eve, `#/settings/${room}`)
  await press(eve, 'Delete the room')
  await press(eve, 'Delete the room: really?')
  await fay.getByText('You are no longer in this room.').first().waitFor()
})

t.test('another device is listed and signed out; a password that is changed counts', async t => {
  const gil = await signUp(t, 'gilbert', 'Gil')
  const phone = await visit(t, PHONE, '#/sign-up')
  await field(phone, 'Name').fill('Gilbert')
  await field(phone, 'Password').fill(PASSWORD)
  await press(phone, 'Sign up')
  await phone.getByText('Somebody has this name, or one that looks like it.').waitFor()
  await phone.getByRole('link', { name: 'I have an account' }).click()
  await signIn(phone, 'gilbert', 'a wrong one')
  await phone.getByText('Name or password is wrong.').waitFor()
  await signIn(phone, 'GILBERT')
  await phone.getByText('Hello, Gil.').waitFor()
  await follow(gil, /^Account/)
  await gil.getByRole('link', { name: 'Where you are signed in' }).click()
  await gil.getByText('this device').waitFor()
  await press(gil, /^Sign out Chrome/)
  await phone.getByText('You were signed out. Sign in again.').waitFor()

  await follow(gil, /^Account/)
  await field(gil, 'Old password').fill(PASSWORD)
  await field(gil, 'New password').fill('another horse')
  await press(gil, 'Change password')
  await gil.getByText('Changed. All other devices are signed out.').waitFor()
  await field(gil, 'Display name').fill('Gilbert the Great')
  await field(gil, 'Status').fill('riding')
  await press(gil, 'Save')
  await gil.getByRole('link', { name: 'Account: Gilbert the Great' }).waitFor()
  await signIn(phone, 'gilbert', 'another horse')
  await phone.getByText('Hello, Gilbert the Great.').waitFor()
  await field(gil, 'Your password, to delete').fill('another horse')
  await press(gil, 'Delete for ever')
  await gil.getByRole('link', { name: 'Sign up' }).waitFor()
  await phone.getByText('You were signed out. Sign in again.').waitFor()
})

t.test('all tabs of a browser are signed in and out together', async t => {
  const one = await signUp(t, 'hannah', 'Hannah')
  const two = await one.context().newPage()
  await two.goto(node.url)
  await two.getByText('Hello, Hannah.').waitFor()
  await follow(two, /^Account/)
  await press(two, 'Sign out')
  await one.getByRole('link', { name: 'Sign up' }).waitFor()
  await two.getByRole('link', { name: 'I have an account' }).click()
  await signIn(two, 'hannah')
  await one.getByText('Hello, Hannah.').waitFor()
  await one.context().clearCookies()
  await two.reload()
  await two
    .getByRole('link', { name: /account/ })
    .first()
    .waitFor()
})

t.test('a server that does not answer is said so, and asked again', async t => {
  const page = await visit(t, PHONE)
  await page.route('**/access', route => route.abort())
  await page.reload()
  await page.getByText('The server does not answer. Try again in a moment.').waitFor()
  await page.unroute('**/access')
  await press(page, 'Try again')
  await page.getByRole('link', { name: 'Sign up' }).waitFor()
})

t.test('no screen scrolls sideways on a phone, and what is not there says so', async t => {
  const page = await signUp(t, 'ingrid', 'Ingrid of the Very Long Name Indeed', PHONE)
  for (const place of ['', 'friends', 'notifications', 'account', 'devices', 'rooms', 'new', 'nowhere', 'room/none']) {
    await go(page, `#/${place}`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await noSideways(t, page, place)
  }
  await go(page, '#/nowhere')
  await page.getByText('There is nothing at this address.').waitFor()
  t.match(await page.title(), /Nothing here/)
})

t.test('no token is in any place that a script of another page, or the next visitor, could read', async t => {
  const page = await visit(t, DESKTOP)
  const tokens: string[] = []
  page.on('response', response => {
    if (/\/api\/session/.test(response.url()) && response.ok()) {
      void response.json().then((body: { accessToken?: string }) => body.accessToken && tokens.push(body.accessToken))
    }
  })
  await page.getByRole('link', { name: 'Sign up' }).click()
  await field(page, 'Name').fill('julian')
  await field(page, 'Password').fill(PASSWORD)
  await press(page, 'Sign up')
  await page.getByText('Hello, julian.').waitFor()
  await page.reload()
  await page.getByText('Hello, julian.').waitFor()
  t.equal(tokens.length, 2)
  const kept = String(
    await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])'),
  )
  for (const token of tokens) t.notOk(kept.includes(token))
  t.equal(await page.evaluate('document.cookie'), '', 'the cookie is for no script')
})
