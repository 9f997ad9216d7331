import t from 'tap'
import { cleanName, namedAccount, tokenAccount } from './account.ts'
import type { Message, Outgoing, RoomView } from './chat/index.ts'
import { partsOf } from './components/links.ts'
import { rowsOf, unreadOf } from './components/rows.ts'
import { piecesOf, shorten } from './components/shorten.ts'
import { fragmentOf, roomIn } from './hooks/use-route.ts'
import { Remembered, withRoom } from './remembered.ts'
import { passing } from './testkit/storage.ts'
import { en } from './text/en.ts'
import { ko } from './text/ko.ts'
import { explain, formatBrief, formatDay, tableFor } from './text/text.ts'

const noon = new Date(2026, 4, 5, 12).getTime()
const MINUTE = 60_000
const message = (id: string, sender: string, time: number, more: Partial<Message> = {}): Message => ({
  id,
  sender,
  time,
  body: id,
  ...more,
})
const view = (messages: Message[], outgoing: Outgoing[] = [], broken = false): RoomView => ({
  is: 'joined',
  messages,
  outgoing,
  broken,
})
const mine = (key: string, created: number): Outgoing => ({ key, room: 'r', body: key, created })
const drawn = (room: RoomView): string[] =>
  rowsOf(room, 'me').map(row =>
    row.kind === 'message' ? `${row.first ? '[' : ''}${row.own ? '>' : ''}${row.id}${row.last ? ']' : ''}` : row.kind,
  )

t.test('both languages say everything, in the same way', async t => {
  t.same(Object.keys(ko), Object.keys(en))
  for (const [key, said] of Object.entries<unknown>(en)) {
    const translated: unknown = ko[key as keyof typeof ko]
    t.equal(typeof translated, typeof said, key)
    if (key !== 'lang') t.not(String(translated), String(said), `${key} is translated`)
    if (typeof said === 'function' && typeof translated === 'function') t.equal(translated.length, said.length, key)
  }
})

t.test('the browser’s first language that we speak is spoken', async t => {
  for (const languages of [['ko'], ['ko-KR', 'en'], ['fr', 'ko-KR']]) t.equal(tableFor(languages), ko)
  for (const languages of [['en'], ['en-GB', 'ko'], ['fr'], [], ['kok-IN']]) t.equal(tableFor(languages), en)
  t.equal(explain('FORBIDDEN'), en['error.FORBIDDEN'])
  t.equal(explain('SOMETHING_NEW'), en['error.other'])
  t.equal(explain('toString', 'as you like'), 'as you like')
})

t.test('days are named as people name them', async t => {
  const DAY = 24 * 60 * MINUTE
  t.equal(formatDay(noon, noon + 6 * 60 * MINUTE), en.today)
  t.equal(formatDay(noon, noon + DAY), en.yesterday)
  t.match(formatDay(noon, noon + 3 * DAY), /May/)
  t.notMatch(formatDay(noon, noon + 3 * DAY), /2026/)
  t.match(formatDay(noon, noon + 400 * DAY), /2026/)
})

t.test('a moment beside others is said in few words', async t => {
  const DAY = 24 * 60 * MINUTE
  t.match(formatBrief(noon, noon + 6 * 60 * MINUTE), /^12:00/)
  t.match(formatBrief(noon, noon + DAY), /^May 5.*12:00/)
  t.notMatch(formatBrief(noon, noon + DAY), /2026/)
  t.match(formatBrief(noon, noon + 400 * DAY), /^May 5, 2026$/)
})

t.test('messages by one sender, soon one after the other, stand together', async t => {
  const said = [
    message('1', 'ada', noon),
    message('2', 'ada', noon + MINUTE),
    message('3', 'joon', noon + MINUTE),
    message('4', 'joon', noon + 7 * MINUTE),
    message('5', 'me', noon + 7 * MINUTE),
  ]
  t.same(drawn(view(said, [mine('k', noon + 8 * MINUTE)])), ['day', '[1', '2]', '[3]', '[4]', '[>5', '>k]'])
})

t.test('days and breaks divide them', async t => {
  const said = [
    message('1', 'ada', new Date(2026, 4, 5, 23, 59).getTime()),
    message('2', 'ada', new Date(2026, 4, 6, 0, 1).getTime()),
    message('3', 'ada', new Date(2026, 4, 6, 0, 2).getTime(), { gap: true }),
  ]
  t.same(drawn(view(said)), ['day', '[1]', 'day', '[2]', 'gap', '[3]'])
  t.same(drawn(view([message('1', 'ada', noon)], [], true)), ['day', '[1]', 'gap'])
  t.same(drawn(view([message('1', 'me', noon)], [mine('k', noon)], true)), ['day', '[>1]', 'gap', '[>k]'])
  t.same(drawn(view([])), [])
})

t.test('a message is the same row from pending to delivered', async t => {
  const [pending] = rowsOf(view([], [mine('k', noon)]), 'me').slice(-1)
  const [delivered] = rowsOf(view([message('e-1', 'me', noon, { key: 'k' })]), 'me').slice(-1)
  t.equal(pending?.id, delivered?.id)
})

t.test('unread is what others said after the last one seen', async t => {
  const said = [message('1', 'ada', 1), message('2', 'me', 2), message('3', 'ada', 3), message('4', 'joon', 4)]
  t.equal(unreadOf(said, '2', 'me'), 2)
  t.equal(unreadOf(said, '4', 'me'), 0)
  t.equal(unreadOf(said, 'long gone', 'me'), 3)
  t.equal(unreadOf(said, undefined, 'me'), 0, 'a room never seen has nothing unread')
})

t.test('addresses lead to where they say, and nothing else leads anywhere', async t => {
  const hrefs = (text: string, cut = false) =>
    partsOf(text, cut).flatMap(({ href }) => (href === undefined ? [] : [href]))
  t.same(hrefs('see https://example.org/a?b=c#d, and http://example.net.'), [
    'https://example.org/a?b=c#d',
    'http://example.net',
  ])
  t.same(hrefs('(https://example.org/a) “https://example.org/b”'), ['https://example.org/a', 'https://example.org/b'])
  t.same(hrefs('https://en.wikipedia.org/wiki/Hoof_(disambiguation)'), [
    'https://en.wikipedia.org/wiki/Hoof_(disambiguation)',
  ])
  t.same(hrefs('주소는 https://example.org/말 입니다'), ['https://example.org/말'])
  const nowhere = [
    'javascript:alert(1)',
    'data:text/html,x',
    'https://bank.example@evil.example',
    'https://',
    'ftp://a.b',
  ]
  for (const text of nowhere) t.same(hrefs(text), [], text)
  t.same(hrefs('https://example.org/lon', true), [], 'cut off, it would lead elsewhere')
  t.same(hrefs('https://example.org/a and more', true), ['https://example.org/a'])
})

t.test('no character of a text is lost or moved by looking for addresses', async t => {
  const texts = [
    '',
    'a',
    'https://a.b',
    ' https://a.b, https://c.d!',
    'x https:// y http://a@b/ z',
    '<https://a.b>\n\n',
  ]
  for (const text of texts)
    t.equal(
      partsOf(text)
        .map(part => part.text)
        .join(''),
      text,
    )
  const long = 'https://a.b/ '.repeat(8000)
  t.equal(partsOf(long).length, 16_000)
})

t.test('long texts are shortened, short ones are left alone', async t => {
  t.equal(shorten('short'), undefined)
  t.equal(shorten('x'.repeat(1000)), undefined)
  t.equal(shorten('x'.repeat(100_000))?.length, 800)
  t.equal(shorten('line\n'.repeat(15) + 'line'), undefined)
  t.equal(shorten('line\n'.repeat(100))?.split('\n').length, 14)
  const emoji = shorten('x'.repeat(799) + '🐴'.repeat(500))
  t.equal(emoji, 'x'.repeat(799), 'no half of a character')
})

t.test('pieces of a text make up the text', async t => {
  t.same(piecesOf('short'), ['short'])
  t.same(piecesOf('x'.repeat(5000)), ['x'.repeat(5000)])
  const words = piecesOf('word '.repeat(20_000))
  t.equal(words.join(' '), 'word '.repeat(20_000))
  const lines = piecesOf('a line of words\n'.repeat(6000))
  t.equal(lines.join('\n'), 'a line of words\n'.repeat(6000))
  t.ok(lines.length > 20 && lines.every(piece => piece.length <= 5000))
  const horses = piecesOf('x' + '🐴'.repeat(50_000))
  t.equal(horses.join(''), 'x' + '🐴'.repeat(50_000))
  t.ok(horses.every(piece => piece.isWellFormed()))
})

t.test('the fragment of the URL names the room', async t => {
  for (const room of ['general', 'a/b:c.d_e-f']) t.equal(roomIn(fragmentOf(room)), room)
  t.equal(roomIn('#/room/a%2Fb'), 'a/b')
  for (const other of ['', '#', '#/', '#/room/', '#/room/a b', '#/room/%', '#/room/방', '#/other/x']) {
    t.equal(roomIn(other), undefined, other)
  }
})

t.test('a name is cleaned, or not taken', async t => {
  t.equal(cleanName('  Ada   Lovelace '), 'Ada Lovelace')
  t.equal(cleanName('민수'.normalize('NFD')), '민수')
  t.equal(cleanName('🐴'.repeat(40)), '🐴'.repeat(40))
  for (const name of ['', '   ', 'x'.repeat(41), 'a\\b', 'a\u0000b', 'a\uD83D']) t.equal(cleanName(name), undefined)
  t.same(namedAccount(' Ada '), { user: 'Ada', credentials: { login: 'Ada' } })
  t.equal(namedAccount(''), undefined)
})

t.test('a token says whose it is', async t => {
  const token = (claims: unknown): string =>
    `head.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.signature`
  t.same(tokenAccount(` ${token({ sub: '민수?>' })}\n`), {
    user: '민수?>',
    credentials: { token: token({ sub: '민수?>' }) },
  })
  for (const claims of [{}, { sub: '' }, { sub: 7 }, null, 'sub']) t.equal(tokenAccount(token(claims)), undefined)
  for (const text of ['', 'a.b', 'a.b.c.d', 'a.!.c', 'a.bm90IGpzb24.c']) t.equal(tokenAccount(text), undefined)
})

t.test('a tab goes on as who it was told last', async t => {
  const lasting = passing(t)
  const first = new Remembered(lasting, passing(t))
  t.equal(first.account(), undefined)
  first.signedIn(namedAccount('Ada')!)
  t.match(first.account(), { user: 'Ada' })
  const second = new Remembered(lasting, passing(t))
  t.match(second.account(), { user: 'Ada' }, 'a new tab begins as the last name used')
  second.signedIn(namedAccount('Joon')!)
  t.match(first.account(), { user: 'Ada' })
  t.match(second.account(), { user: 'Joon' })
  second.signedOut()
  t.equal(second.account(), undefined)
  t.equal(second.name(), 'Joon', 'offered again')
})

t.test('a token is remembered by its tab alone', async t => {
  const lasting = passing(t)
  const tab = new Remembered(lasting, passing(t))
  const account = tokenAccount(`a.${Buffer.from('{"sub":"ada"}').toString('base64url')}.c`)!
  tab.signedIn(account)
  t.same(tab.account(), account)
  t.equal(new Remembered(lasting, passing(t)).account(), undefined)
  tab.signedIn(namedAccount('Joon')!)
  t.match(tab.account(), { credentials: { login: 'Joon' } })
  tab.signedOut()
  t.equal(tab.account(), undefined)
})

t.test('rooms, marks and drafts are remembered', async t => {
  const lasting = passing(t)
  const tab = new Remembered(lasting, passing(t))
  t.same(tab.rooms(), [])
  tab.keepRooms(['b', 'a'])
  tab.setMark('a', 'e-1')
  tab.keepDraft('a', 'half a thou')
  const later = new Remembered(lasting, passing(t))
  t.same(later.rooms(), ['b', 'a'])
  t.equal(later.mark('a'), 'e-1')
  t.equal(later.mark('b'), undefined)
  t.equal(later.draft('a'), '', 'another tab has its own')
  t.equal(tab.draft('a'), 'half a thou')
  tab.keepDraft('a', '')
  t.equal(tab.draft('a'), '')
  tab.keepDraft('b', 'x')
  tab.setMark('b', 'e-2')
  tab.forget('b')
  t.equal(tab.draft('b'), '')
  t.equal(later.mark('b'), undefined)
})

t.test('a new room goes to the top, and the list stays bounded', async t => {
  t.same(withRoom(['a', 'b'], 'b'), ['a', 'b'])
  t.same(withRoom(['a', 'b'], 'c'), ['c', 'a', 'b'])
  const many = Array.from({ length: 20 }, (_, i) => `r${i}`)
  t.equal(withRoom(many, 'new').length, 20)
  t.notOk(withRoom(many, 'new').includes('r19'))
})

t.test('a browser that forbids its storage does not stop the page', async t => {
  const full: Storage = {
    ...passing(t),
    setItem: () => {
      throw new DOMException('full', 'QuotaExceededError')
    },
  }
  const tab = new Remembered(full, full)
  tab.signedIn(namedAccount('Ada')!)
  tab.keepRooms(['a'])
  t.equal(tab.account(), undefined)
})
