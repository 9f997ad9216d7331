import { assert, constantFrom, property, string } from 'fast-check'
import t from 'tap'
import { PATTERN_LENGTH_MAX, PATTERNS_MAX, rightsOf } from './rights.ts'

const reads = (pattern: string, room: string): boolean | undefined => rightsOf({ read: [pattern] })?.mayRead(room)

void t.test('no claim: every room', async t => {
  t.equal(rightsOf(undefined)?.mayRead('general'), true)
  t.equal(rightsOf(undefined)?.maySend('general'), true)
})

void t.test('a list that is not there allows nothing', async t => {
  const none = rightsOf({})
  t.equal(none?.mayRead('general'), false)
  t.equal(none?.maySend('general'), false)
  t.equal(rightsOf({ read: ['*'] })?.maySend('general'), false, 'reading is not sending')
  t.equal(rightsOf({ send: ['*'] })?.mayRead('general'), false, 'nor the other way round')
  t.equal(rightsOf({ read: [], send: [] })?.mayRead('general'), false)
})

void t.test('names and patterns, whichever fits', async t => {
  const rights = rightsOf({ read: ['general', 'team.*', '*/public'], send: ['team.a'] })
  t.same(
    ['general', 'team.', 'team.a', 'x/public', 'generals', 'Team.a', 'a.team.b', 'x/publics'].map(rights!.mayRead),
    [true, true, true, true, false, false, false, false],
  )
  t.same(['team.a', 'team.b', 'general'].map(rights!.maySend), [true, false, false])
})

void t.test('* is any run of characters, none included', async t => {
  const cases: [string, string, boolean][] = [
    ['*', 'a', true],
    ['**', 'a', true],
    ['a*', 'a', true],
    ['*a', 'a', true],
    ['a*a', 'a', false],
    ['a*a', 'aa', true],
    ['a*b*c', 'abc', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'acb', false],
    ['a*bc*bc', 'abc', false],
    ['a*bc*bc', 'abcbc', true],
    ['*.*', 'ab', false],
    ['a.c', 'abc', false],
    ['a+', 'aa', false],
    ['[a-z]*', 'a', false],
  ]
  for (const [pattern, room, fits] of cases) t.equal(reads(pattern, room), fits, `${pattern} and ${room}`)
})

void t.test('* against the same thing as a regular expression', async t => {
  const text = string({ unit: constantFrom('a', 'b', '.'), maxLength: 12 })
  const pattern = string({ unit: constantFrom('a', 'b', '.', '*'), minLength: 1, maxLength: 8 })
  const agrees = property(pattern, text, (pattern, room) => {
    const same = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`)
    return reads(pattern, room) === same.test(room)
  })
  t.doesNotThrow(() => assert(agrees, { numRuns: 5_000 }))
})

void t.test('a pattern that would keep a backtracking matcher busy for ever', async t => {
  t.equal(reads('a*'.repeat(PATTERN_LENGTH_MAX / 2 - 1) + 'b', 'a'.repeat(120)), false)
})

void t.test('at most so many patterns of at most such a length', async t => {
  const rooms = (count: number, length: number): unknown => new Array<string>(count).fill('x'.repeat(length))
  for (const list of ['read', 'send']) {
    t.ok(rightsOf({ [list]: rooms(PATTERNS_MAX, PATTERN_LENGTH_MAX) }))
    t.notOk(rightsOf({ [list]: rooms(PATTERNS_MAX + 1, 1) }))
    t.notOk(rightsOf({ [list]: rooms(1, PATTERN_LENGTH_MAX + 1) }))
  }
})

void t.test('anything else is malformed', async t => {
  for (const claim of [null, 'general', 1, true, [], ['general']]) t.notOk(rightsOf(claim), JSON.stringify(claim))
  for (const list of [null, 'general', { 0: 'general' }, [''], [1], [null], [['general']]]) {
    t.notOk(rightsOf({ read: list }), JSON.stringify(list))
    t.notOk(rightsOf({ send: list }), JSON.stringify(list))
  }
})
