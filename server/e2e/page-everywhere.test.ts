import { join } from 'node:path'
import axe, { type AxeResults } from 'axe-core'
import t, { type Test } from 'tap'
import { freePort } from '../../scripts/services/process.ts'
import { scratch } from '../testkit/node.ts'
import { PASSWORD } from '../testkit/product.ts'
import { befriend, DESKTOP, makeRoom, PHONE, Site, type Member, type Visitor } from './testkit/site.ts'

t.setTimeout(240_000)
const site = await Site.open(t)

/** What is hard to see, to hear or to reach on the page as it stands. */
const faults = async ({ page }: Visitor): Promise<string[]> => {
  if ((await page.evaluate('typeof axe')) === 'undefined') await page.evaluate(axe.source)
  const { violations } = await page.evaluate<AxeResults>(`axe.run({ resultTypes: ['violations'] })`)
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  )
}

const WIDE = 'W'.repeat(64)
const WIDE_ROOM = 'W'.repeat(80)

/** Somebody who has to do with people and rooms of names as long as they may be, and the places that show them. */
const crowd = async (t: Test): Promise<{ me: Member; places: string[] }> => {
  const me = await site.enter(t, 'ingrid', 'Ingrid of the Very Long Name Indeed', { ...PHONE, reducedMotion: 'reduce' })
  const wide = await site.enter(t, 'w'.repeat(32), WIDE)
  const hangul = await site.enter(t, '가'.repeat(32), '아주긴이름'.repeat(12))
  await befriend(me, wide)
  await hangul.does('PUT', `/friend-requests/${me.id}`)
  const room = await makeRoom(me, WIDE_ROOM, 'public', [wide, hangul])
  await makeRoom(hangul, '말'.repeat(80), 'private', [me])
  await wide.does('POST', '/rooms', { name: 'Wim '.repeat(20), about: WIDE, visibility: 'private', invite: [me.id] })
  await me.does('POST', `/rooms/${room}/links`, {})
  const direct = String((await wide.does('POST', '/direct-rooms', { user: me.id }))['id'])
  await wide.go(`room/${room}`)
  await wide.write(WIDE_ROOM, 'W'.repeat(300))
  await wide.has('img', 'Delivered')
  const plain = ['', 'friends', 'notifications', 'account', 'devices', 'rooms', 'new', 'nowhere', 'join/nothing']
  const ofRoom = ['room', 'members', 'settings', 'invite'].map(place => `${place}/${room}`)
  return { me, places: [...plain, ...ofRoom, `room/${direct}`, 'room/none', `person/${wide.id}`] }
}

/** Waits until a place shows all that it has. */
const arrive = async (visitor: Visitor, place: string): Promise<void> => {
  await visitor.go(place)
  await visitor.page.getByRole('heading', { level: 1 }).waitFor()
  await visitor.page.waitForLoadState('networkidle')
  await visitor.misses('Loading…')
}

t.test('every place fits a phone, and is for everybody, by day and by night', async t => {
  const { me, places } = await crowd(t)
  const desk = await site.again(t, 'ingrid', { ...DESKTOP, reducedMotion: 'reduce' })
  for (const place of places) {
    for (const visitor of [me, desk]) {
      await arrive(visitor, place)
      t.equal(await visitor.sideways(), 0, `/${place} does not scroll sideways`)
      t.same(await faults(visitor), [], `/${place}`)
    }
  }
  await me.go('')
  await me.page.getByRole('button', { name: 'Rooms', exact: true }).click()
  t.same(await faults(me), [], 'the drawer')
})

t.test('so is the door', async t => {
  for (const shape of [{ ...DESKTOP, reducedMotion: 'reduce' as const }, PHONE]) {
    const visitor = await site.visit(t, shape)
    for (const place of ['', 'sign-up', 'sign-in']) {
      await arrive(visitor, place)
      t.equal(await visitor.sideways(), 0)
      t.same(await faults(visitor), [], `/${place}`)
    }
    await visitor.press('Sign in')
    await visitor.reads('Your name goes here.')
    t.same(await faults(visitor), [], 'with what is wrong')
  }
})

t.test('in Korean there is nothing in English', async t => {
  const name = 'jiwoo'
  const visitor = await site.visit(t, { ...PHONE, locale: 'ko-KR' }, 'sign-up')
  await visitor.fillIn({ 아이디: name, 비밀번호: PASSWORD, '표시 이름': '지우' })
  await visitor.press('가입하기')
  await visitor.reads('지우님, 안녕하세요.')
  t.equal(await visitor.page.locator('html').getAttribute('lang'), 'ko')
  await visitor.go('new')
  await visitor.fillIn({ '방 이름': '마구간' })
  await visitor.press('만들기')
  const room = await visitor.room()
  const ofRoom = ['room', 'members', 'settings', 'invite'].map(place => `${place}/${room}`)
  const plain = ['', 'friends', 'notifications', 'account', 'devices', 'rooms', 'new', 'nowhere', 'join/nothing']
  for (const place of [...plain, ...ofRoom]) {
    await visitor.go(place)
    await visitor.page.waitForLoadState('networkidle')
    const text = String(await visitor.page.evaluate('document.body.innerText + document.title'))
    const known = new RegExp(`Hoofbeat|${name}|${WIDE_ROOM}|Chrome|Linux|Enter|Shift`, 'g')
    t.same(text.replaceAll(known, '').match(/[A-Za-z]{2,}/g), null, `/${place}`)
    t.match(text, /\p{Script=Hangul}/u)
  }
})

t.test('it can be gone through by keyboard alone, and the focus is never lost', async t => {
  const kay = await site.visit(t)
  const { keyboard } = kay.page
  const focused = async (): Promise<string> =>
    String(await kay.page.evaluate('document.activeElement.ariaLabel ?? document.activeElement.innerText'))
  const to = async (name: string): Promise<void> => {
    for (let presses = 0; (await focused()) !== name; presses++) {
      if (presses === 40) throw new Error(`${name} cannot be reached by keyboard`)
      await keyboard.press('Tab')
    }
  }
  await kay.has('link', 'Sign up')
  await to('Sign up')
  await keyboard.press('Enter')
  await kay.field('Name').and(kay.page.locator(':focus')).waitFor()
  await keyboard.type('kayleigh')
  await keyboard.press('Tab')
  await keyboard.type(PASSWORD)
  await keyboard.press('Enter')
  await kay.reads('Hello, kayleigh.')
  t.equal(await focused(), 'Home', 'a new place begins at its title')
  const ann = await site.enter(t, 'annabel', 'Annabel')
  await ann.go('friends')
  await ann.page.getByRole('searchbox').fill('kayl')
  await ann.press('Ask to be friends: kayleigh')
  await kay.go('friends')
  await kay.has('button', 'Accept: Annabel')
  await to('Accept: Annabel')
  await keyboard.press('Enter')
  await kay.hasNot('button', 'Accept: Annabel')
  await to('Unfriend: Annabel')
  await keyboard.press('Enter')
  t.equal(await focused(), 'Unfriend: really?: Annabel')
  await keyboard.press('Tab')
  await keyboard.press('Enter')
  t.equal(await focused(), 'Unfriend: Annabel', 'who thinks better of it is where they were')
  await to('Message: Annabel')
  await keyboard.press('Enter')
  await kay.page.getByRole('textbox', { name: 'Message to Annabel' }).and(kay.page.locator(':focus')).waitFor()
  await keyboard.type('by keyboard')
  await keyboard.press('Enter')
  await kay.sees('by keyboard')
  await kay.go('')
  await to('Skip to the message box')
  await keyboard.press('Enter')
  t.equal(await focused(), 'Home')
})

t.test('whoever follows a link of the drawer is where it leads, with the focus too', async t => {
  const lin = await site.enter(t, 'lindsay', 'Lin', PHONE)
  await lin.follow('Friends')
  await lin.page.getByRole('heading', { name: 'Friends', level: 1 }).and(lin.page.locator(':focus')).waitFor()
  await lin.page.getByRole('button', { name: 'Rooms', exact: true }).click()
  await lin.page.keyboard.press('Escape')
  await lin.page.getByRole('button', { name: 'Rooms', exact: true }).and(lin.page.locator(':focus')).waitFor()
})

t.test('what is not there says so', async t => {
  const page = await site.enter(t, 'lotte', 'Lotte')
  const answer = await page.page.goto(`${site.node.url}rooms/7`)
  t.equal(answer?.status(), 404)
  await page.has('heading', 'Nothing here')
  await page.page.getByRole('link', { name: 'To the start' }).click()
  await page.reads('Hello, Lotte.')
  await page.go('nowhere')
  await page.reads('There is nothing at this address.')
  t.match(await page.page.title(), /Nothing here/)
  await page.go('person/nobody')
  await page.reads('There is no such person, or not any more.')
  await page.go('room/nothing')
  await page.reads('There is no such room, or it is not for you to see.')
  await page.page.getByRole('link', { name: 'To the start' }).click()
  await page.reads('Hello, Lotte.')
})

t.test('a server that does not answer is said so, and asked again until it does', async t => {
  const visitor = await site.visit(t, PHONE)
  const { page } = visitor
  for (const what of ['**/access', '**/api/session/refresh']) {
    await page.evaluate(`localStorage.setItem('hoofbeat/signed-in', '1')`)
    await page.route(what, route => route.abort())
    await page.reload()
    await visitor.reads('The server does not answer. The page tries again by itself.')
    await page.unroute(what)
    await visitor.has('heading', 'Hoofbeat')
  }
})

t.test('a server that goes and comes again is waited for, wherever one is', async t => {
  const env = { DATA_DIR: join(await scratch(t), 'data'), PORT: String(await freePort()) }
  const before = await site.another(t, env)
  const mo = await before.enter(t, 'monique', 'Mo', DESKTOP, 'friends')
  const ned = await before.enter(t, 'nedward', 'Ned')
  await mo.reads('Nobody yet. Find somebody by name and ask.')
  await before.node.stop()
  await mo.reads(/^No connection/)
  const after = await site.another(t, env)
  await mo.hasNot('button', 'Try now')
  await befriend(await after.again(t, 'nedward'), mo)
  await mo.has('button', 'Message: Ned')
  await mo.press('Message: Ned')
  await ned.follow(/Mo/)
  await mo.write('Ned', 'here again')
  await ned.sees('here again')
})
