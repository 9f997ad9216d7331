import t from 'tap'
import { PASSWORD } from '../testkit/product.ts'
import { DESKTOP, makeRoom, PHONE, Site } from './testkit/site.ts'

t.setTimeout(240_000)
const site = await Site.open(t)
const SIGNED_OUT = 'You were signed out. Sign in again.'

t.test('somebody signs up, out and in again; what is wrong is said beside what it is about', async t => {
  const gil = await site.visit(t)
  await gil.page.getByRole('link', { name: 'Sign up' }).click()
  await gil.press('Sign up')
  await gil.reads('Your name goes here.')
  await gil.fillIn({ Name: '-', Password: 'short' })
  await gil.press('Sign up')
  await gil.reads(/^A name has 2 to 32 letters/)
  t.equal(await gil.page.evaluate('document.activeElement.autocomplete'), 'username', 'what is wrong has the focus')
  await gil.fillIn({ Name: 'gilbert' })
  await gil.press('Sign up')
  await gil.reads('A password has 8 to 256 characters, and is not the name.')
  t.equal(await gil.page.evaluate('document.activeElement.autocomplete'), 'new-password')
  await gil.fillIn({ Password: PASSWORD, 'Display name': 'Gil' })
  await gil.press('Sign up')
  await gil.reads('Hello, Gil.')
  await gil.page.reload()
  await gil.reads('Hello, Gil.')

  const other = await site.visit(t, PHONE, 'sign-up')
  await other.fillIn({ Name: 'Gilbert', Password: PASSWORD })
  await other.press('Sign up')
  await other.reads('Somebody has this name, or one that looks like it.')

  await gil.follow(/^Account/)
  await gil.press('Sign out')
  await gil.page.getByRole('link', { name: 'I have an account' }).click()
  await gil.press('Sign in')
  await gil.reads('Your name goes here.')
  await gil.fillIn({ Name: 'gilbert' })
  await gil.press('Sign in')
  await gil.reads('Your password goes here.')
  await gil.signIn('gilbert', 'a wrong one')
  await gil.reads('Name or password is wrong.')
  await gil.signIn('nobody at all')
  await gil.reads('Name or password is wrong.')
  await gil.signIn('GILBERT')
  await gil.reads('Hello, Gil.')
})

t.test('an account that was made, but not signed in to, is not asked for again', async t => {
  const ivy = await site.visit(t, PHONE, 'sign-up')
  await ivy.page.route('**/api/session', route => route.abort())
  await ivy.fillIn({ Name: 'ivory', Password: PASSWORD, 'Display name': 'Ivy' })
  await ivy.press('Sign up')
  await ivy.reads('The server does not answer.')
  await ivy.page.unroute('**/api/session')
  await ivy.press('Sign up')
  await ivy.reads('Hello, Ivy.')
})

t.test('whoever followed a link goes on to where it leads, once they are in', async t => {
  const page = await site.visit(t, DESKTOP, 'friends')
  await page.has('heading', 'Sign in')
  await page.page.getByRole('link', { name: 'I have no account yet' }).click()
  await page.fillIn({ Name: 'kate', Password: PASSWORD })
  await page.press('Sign up')
  await page.has('heading', 'Friends')
})

t.test('a profile is changed, and seen on another device', async t => {
  const lea = await site.enter(t, 'leander', 'Lea', DESKTOP, 'account')
  const phone = await site.again(t, 'leander', PHONE)
  await lea.reads('You sign in as leander.')
  await lea.fillIn({ 'Display name': 'Leander the Great', Status: '  riding ' })
  await lea.press('Save')
  await lea.reads('Saved')
  t.equal(await lea.field('Status').inputValue(), 'riding', 'as it was taken')
  await lea.has('link', 'Account: Leander the Great')
  await lea.fillIn({ 'Display name': '' })
  await lea.press('Save')
  await lea.has('link', 'Account: leander')
  t.equal(await lea.field('Display name').inputValue(), 'leander', 'without one the name is shown')
  await phone.page.reload()
  await phone.reads('Hello, leander.')
})

t.test('a password that is changed counts, and signs all others out', async t => {
  const mia = await site.enter(t, 'miranda', 'Mia', DESKTOP, 'account')
  const phone = await site.again(t, 'miranda', PHONE)
  await mia.press('Change password')
  await mia.reads('Your password goes here.')
  await mia.fillIn({ 'Old password': 'not the one', 'New password': 'another horse' })
  await mia.press('Change password')
  await mia.reads('That is not your password.')
  await mia.fillIn({ 'Old password': PASSWORD, 'New password': 'miranda' })
  await mia.press('Change password')
  await mia.reads('A password has 8 to 256 characters, and is not the name.')
  await mia.fillIn({ 'New password': 'another horse' })
  await mia.press('Change password')
  await mia.reads('Changed. All other devices are signed out.')
  await phone.reads(SIGNED_OUT)
  await phone.signIn('miranda')
  await phone.reads('Name or password is wrong.')
  await phone.signIn('miranda', 'another horse')
  await phone.reads('Hello, Mia.')
})

t.test('devices are listed; one, all others, and all are signed out', async t => {
  const nia = await site.enter(t, 'niamh', 'Nia')
  const [phone, tablet, desk] = [
    await site.again(t, 'niamh', PHONE),
    await site.again(t, 'niamh'),
    await site.again(t, 'niamh'),
  ]
  await nia.follow(/^Account/)
  await nia.page.getByRole('link', { name: 'Where you are signed in' }).click()
  await nia.reads('this device')
  const ends = nia.page.getByRole('button', { name: 'Sign out there: Chrome · Linux' })
  t.equal(await ends.count(), 3)
  // The newest one stands first.
  await ends.first().click()
  await desk.reads(SIGNED_OUT)
  await nia.confirm('Sign out all other devices')
  await Promise.all([phone.reads(SIGNED_OUT), tablet.reads(SIGNED_OUT)])
  await ends.first().waitFor({ state: 'hidden' })
  await phone.signIn('niamh')
  await phone.reads('Hello, Nia.')
  await nia.confirm('Sign out everywhere')
  await nia.has('link', 'Sign up')
  await phone.reads(SIGNED_OUT)
})

t.test('an account is deleted by whoever knows its password, and is gone', async t => {
  const ola = await site.enter(t, 'olander', 'Ola', DESKTOP, 'account')
  const phone = await site.again(t, 'olander', PHONE)
  await ola.press('Delete for ever')
  await ola.reads('Your password goes here.')
  await ola.fillIn({ 'Your password, to delete': 'not the one' })
  await ola.press('Delete for ever')
  await ola.reads('That is not your password.')
  await ola.fillIn({ 'Your password, to delete': PASSWORD })
  await ola.press('Delete for ever')
  await ola.has('link', 'Sign up')
  await phone.reads(SIGNED_OUT)
  await phone.signIn('olander')
  await phone.reads('Name or password is wrong.')
})

t.test(
  'what is not sent is lost with signing out, which is said before; whoever comes after finds nothing',
  async t => {
    const pam = await site.enter(t, 'pamela', 'Pam')
    const ron = await site.enter(t, 'ronald', 'Ron')
    const { id } = await pam.does('POST', '/direct-rooms', { user: ron.id })
    await ron.does('PUT', `/blocks/${pam.id}`)
    await pam.go(`room/${String(id)}`)
    await pam.write('Ron', 'a secret')
    await pam.reads('Not sent: You are not allowed to do this.')
    await pam.page.getByRole('textbox', { name: 'Message to Ron' }).fill('half a thought')
    await pam.follow(/^Account/)
    await pam.reads('1 message is not sent yet, and is lost when you sign out.')
    const kept = (): Promise<string> =>
      pam.page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }])')
    t.match(await kept(), /a secret.*half a thought/)
    await pam.confirm('Sign out')
    await pam.has('link', 'Sign up')
    t.notMatch(await kept(), /a secret|half a thought/)
  },
)

t.test('what somebody has left undone is not done in the name of whoever signs in next', async t => {
  const sue = await site.enter(t, 'susanna', 'Sue')
  const tom = await site.enter(t, 'thomasin', 'Tom')
  await site.enter(t, 'ursulina', 'Ursula')
  const room = await makeRoom(sue, 'Riders', 'private', [tom])
  await sue.go(`room/${room}`)
  const { page } = tom
  await page.clock.install()
  await page.route('**/read', route => route.abort())
  const refused = page.waitForEvent('requestfailed', request => request.url().endsWith('/read'))
  await tom.go(`room/${room}`)
  await sue.write('Riders', 'hello')
  await tom.sees('hello')
  await refused
  await tom.follow(/^Account/)
  await tom.press('Sign out')
  await page.getByRole('link', { name: 'I have an account' }).click()
  await tom.signIn('ursulina')
  await tom.reads('Hello, Ursula.')
  const asked: string[] = []
  page.on('request', request => asked.push(new URL(request.url()).pathname))
  // It would be tried again after ten seconds.
  await page.clock.fastForward(11_000)
  await tom.follow('Friends')
  await tom.reads('Nobody yet. Find somebody by name and ask.')
  t.ok(asked.includes('/api/friends'))
  t.notOk(asked.some(path => path.endsWith('/read')))
})

t.test('all tabs of a browser are signed in and out together', async t => {
  const one = await site.enter(t, 'hannah', 'Hannah')
  const two = await one.page.context().newPage()
  await two.goto(site.node.url)
  await two.getByText('Hello, Hannah.').waitFor()
  await two.getByRole('link', { name: /^Account/ }).click()
  await two.getByRole('button', { name: 'Sign out', exact: true }).click()
  await one.has('link', 'Sign up')
  await one.page.getByRole('link', { name: 'I have an account' }).click()
  await one.signIn('hannah')
  await two.getByText('Hello, Hannah.').waitFor()
  await one.page.context().clearCookies()
  await two.reload()
  await two.getByRole('heading', { name: 'Hoofbeat' }).waitFor()
})

t.test('no token is in any place that a script of another page, or the next visitor, could read', async t => {
  const { page, ...visitor } = await site.enter(t, 'julian', 'Julian')
  const tokens: string[] = []
  page.on('response', response => {
    if (/\/api\/session/.test(response.url()) && response.ok()) {
      void response.json().then((body: { accessToken?: string }) => body.accessToken && tokens.push(body.accessToken))
    }
  })
  await page.reload()
  await page.getByText('Hello, Julian.').waitFor()
  t.equal(tokens.length, 1, visitor.name)
  const kept = String(
    await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href])'),
  )
  for (const token of tokens) t.notOk(kept.includes(token))
  t.equal(await page.evaluate('document.cookie'), '', 'the cookie is for no script')
})
