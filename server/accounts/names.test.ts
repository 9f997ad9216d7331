import fc from 'fast-check'
import t from 'tap'
import { nameKey, readName } from './names.ts'

void t.test('names that look alike have one key', async t => {
  const alike: [what: string, ...names: string[]][] = [
    ['case', 'ann', 'ANN', 'aNn'],
    [
      'zero width and other things that cannot be seen',
      'ann',
      'a\u200bnn',
      'an\u200dn\u2060',
      '\ufeffann',
      'a\u00adnn',
    ],
    ['variation selectors and fillers', 'ann', 'an\ufe0fn', 'a\u3164nn', 'ann\u{e0041}'],
    ['fullwidth', 'ann.1', 'ａｎｎ．１', 'ＡＮＮ.1'],
    ['ligatures', 'office', 'oﬃce', 'oﬀice', 'OFFICE'],
    ['circled and mathematical letters', 'ann', 'ⓐⓝⓝ', '𝒶𝓃𝓃', '𝐀𝐍𝐍'],
    ['composed and decomposed', 'José', 'Jose\u0301', 'JOSÉ'],
    ['Hangul syllables and their letters', '한나', '한나'],
    ['the two small sigmas', 'ΣΑΣ', 'σας', 'σασ'],
    ['sharp s', 'strasse', 'straße', 'STRASSE'],
    ['half-width kana', 'ガギ', 'ｶﾞｷﾞ'],
  ]
  for (const [what, first, ...others] of alike) {
    for (const other of others) t.equal(readName(other).key, readName(first!).key, `${what}: ${other}`)
  }
  t.not(readName('ann').key, readName('anna').key)
  t.not(readName('a.nn').key, readName('ann').key)
})

void t.test('a name is kept as it was written, without what cannot be seen', async t => {
  t.same(readName('Ann.Lee-1_x'), { name: 'Ann.Lee-1_x', key: 'ann.lee-1_x' })
  t.equal(readName('Ａｎ\u200bn').name, 'Ann')
  t.equal(readName('김하나').name, '김하나')
  t.equal(readName('مريم').name, 'مريم')
})

void t.test('at the limits and one past them', async t => {
  for (const good of ['ab', 'a'.repeat(32), '🄰🄱', '한'.repeat(32)]) t.ok(readName(good))
  const bad = [
    '',
    'a',
    'a'.repeat(33),
    '한'.repeat(33),
    '\u200b\u200b\u200b',
    'a\u200b',
    'ann lee',
    'ann@lee',
    'ann\n',
    '.ann',
    'ann.',
    '-ann',
    'ann_',
    '\u0301ann',
    '🐎🐎',
    'a/b',
    'a\0b',
    '\ud800ab',
    'ﷺ'.repeat(8),
    'a'.repeat(100_000),
    'ß'.repeat(17),
  ]
  for (const name of bad) t.throws(() => readName(name), { code: 'BAD_NAME' }, JSON.stringify(name.slice(0, 40)))
})

void t.test('the key of a key is the key, for any text', async t => {
  const text = fc.string({ unit: 'binary', maxLength: 30 })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(text, value => nameKey(nameKey(value)) === nameKey(value)),
      { numRuns: 2_000 },
    ),
  )
  let checked = 0
  for (let code = 0; code <= 0x10ffff; code++) {
    const letter = String.fromCodePoint(code)
    if (!/[\p{L}\p{M}\p{N}]/u.test(letter)) continue
    const key = nameKey(letter)
    if (nameKey(key) !== key) t.fail(code.toString(16))
    checked++
  }
  t.ok(checked > 100_000)
})
