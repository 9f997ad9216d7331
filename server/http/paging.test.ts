import fc from 'fast-check'
import t from 'tap'
import { Type } from 'typebox'
import { Paging, TimePlace } from './paging.ts'

const numbers = new Paging('numbers', Type.Tuple([Type.Integer(), Type.String()]))
const place = (n: number): [number, string] => [n, `of ${n}`]
const cut = (rows: number[], limit: number) => numbers.page(rows, { limit }, n => ({ n }), place)

void t.test('a page is what fits, and says where the next one begins if there is more', async t => {
  t.same(cut([], 2), { items: [] })
  t.same(cut([1], 2), { items: [{ n: 1 }] })
  t.same(cut([1, 2], 2), { items: [{ n: 1 }, { n: 2 }] })
  const { items, next } = cut([1, 2, 3], 2)
  t.same(items, [{ n: 1 }, { n: 2 }])
  t.same(numbers.after({ cursor: next! }), place(2))
  t.equal(numbers.after({}), undefined)
})

void t.test('what is no cursor of this list is BAD_REQUEST', async t => {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const bad = [
    '',
    'x',
    '한',
    encode(['others', place(1)]),
    encode(['numbers', [1]]),
    encode(['numbers', ['1', 'of 1']]),
    encode(['numbers', [1.5, 'x']]),
    encode(['numbers', place(1), 'more']),
    encode(['numbers']),
    encode(['numbers', [1, 'a\0b']]),
    encode(['numbers', [1, '\ud83d']]),
    encode({ 0: 'numbers', 1: place(1) }),
    encode(null),
    new Paging('others', Type.String()).page(['a', 'b'], { limit: 1 }, String, String).next!,
  ]
  for (const cursor of bad) t.throws(() => numbers.after({ cursor }), { code: 'BAD_REQUEST' }, cursor)
})

void t.test('a time that nobody means is no place', async t => {
  const times = new Paging('times', TimePlace)
  const encode = (time: number): string => Buffer.from(JSON.stringify(['times', [time, 'x']])).toString('base64url')
  for (const time of [0, 253_402_300_799_999]) t.same(times.after({ cursor: encode(time) }), [time, 'x'])
  for (const time of [-1, 253_402_300_800_000, 9e15, 0.5]) {
    t.throws(() => times.after({ cursor: encode(time) }), { code: 'BAD_REQUEST' }, String(time))
  }
})

void t.test('whatever the place, it comes back as it was', async t => {
  const texts = new Paging('texts', Type.String())
  const same = fc.property(
    fc.string({ unit: 'grapheme' }).filter(text => !text.includes('\0')),
    text => {
      const { next } = texts.page([text, 'more'], { limit: 1 }, String, String)
      return texts.after({ cursor: next! }) === text
    },
  )
  t.doesNotThrow(() => fc.assert(same))
})
