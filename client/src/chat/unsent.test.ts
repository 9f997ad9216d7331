import t from 'tap'
import { newKey } from './key.ts'
import { type Store, Unsent } from './unsent.ts'

/** A store as a browser has it. `room`: how many characters fit. */
const storage = (room = Infinity): Store => {
  const items = new Map<string, string>()
  return {
    get length() {
      return items.size
    },
    key: index => [...items.keys()][index] ?? null,
    getItem: name => items.get(name) ?? null,
    setItem: (name, value) => {
      if (value.length > room) throw new DOMException('full', 'QuotaExceededError')
      items.set(name, value)
    },
    removeItem: name => void items.delete(name),
  }
}
const bodies = (unsent: Unsent): string[] => unsent.waiting().map(({ body }) => body)
const forbidden = { code: 'FORBIDDEN', message: 'not allowed', advice: 'ask' }

t.test('what is unsent outlives a reload, with its keys and in its order', async t => {
  const store = storage()
  const before = new Unsent('ada', store, () => 1000)
  const keys = ['one', 'two', 'three'].map(body => before.add('r', body).key)
  const after = new Unsent('ada', store, () => 1000)
  t.same(bodies(after), ['one', 'two', 'three'])
  t.same(
    after.waiting().map(({ key }) => key),
    keys,
  )
  after.add('r', 'four')
  t.same(bodies(new Unsent('ada', store)), ['one', 'two', 'three', 'four'], 'although the clock stood still')
})

t.test('what is delivered or discarded is gone from the store too', async t => {
  const store = storage()
  const unsent = new Unsent('ada', store)
  const { key } = unsent.add('r', 'one')
  unsent.add('r', 'two')
  unsent.remove(key)
  unsent.remove('unknown')
  t.same(bodies(unsent), ['two'])
  t.same(bodies(new Unsent('ada', store)), ['two'])
})

t.test('each user has their own, also where names contain each other', async t => {
  const store = storage()
  for (const user of ['a', 'a/b', 'a%2Fb', '민수']) new Unsent(user, store).add('r', user)
  for (const user of ['a', 'a/b', 'a%2Fb', '민수']) t.same(bodies(new Unsent(user, store)), [user])
})

t.test('two tabs do not overwrite each other', async t => {
  const store = storage()
  const [left, right] = [new Unsent('ada', store, () => 1), new Unsent('ada', store, () => 2)]
  left.add('r', 'left')
  right.add('r', 'right')
  t.same(bodies(new Unsent('ada', store)), ['left', 'right'])
})

t.test('whatever else is in the store does no harm', async t => {
  const store = storage()
  new Unsent('ada', store).add('r', 'mine')
  for (const [index, value] of ['', '{', 'null', '7', '{"key":"k"}', '{"key":1,"room":2}'].entries()) {
    store.setItem(`hoofbeat/unsent/ada/${index}`, value)
  }
  store.setItem('something else', '{}')
  t.same(bodies(new Unsent('ada', store)), ['mine'])
})

t.test('a full store, a forbidden one and none at all: memory keeps it', async t => {
  const forbids: Store = {
    ...storage(),
    length: 1,
    key: () => {
      throw new DOMException('no', 'SecurityError')
    },
  }
  for (const store of [storage(10), forbids, undefined]) {
    const unsent = new Unsent('ada', store)
    const { key } = unsent.add('r', 'kept')
    t.same(bodies(unsent), ['kept'])
    unsent.remove(key)
    t.same(bodies(unsent), [])
  }
})

t.test('a failed message waits for a decision', async t => {
  const store = storage()
  const unsent = new Unsent('ada', store)
  const { key } = unsent.add('r', 'one')
  unsent.fail(key, forbidden)
  unsent.fail('unknown', forbidden)
  t.same(unsent.waiting(), [])
  t.match(new Unsent('ada', store).inRoom('r'), [{ key, failed: forbidden }])
  t.match(unsent.retry(key), { key, body: 'one' })
  t.same(bodies(unsent), ['one'])
  t.equal(unsent.retry(key), undefined, 'it is under way')
  t.equal(unsent.retry('unknown'), undefined)
})

t.test('long after its first try a message is not simply sent again', async t => {
  let now = 1000
  const unsent = new Unsent('ada', undefined, () => now)
  const { key } = unsent.add('r', 'one')
  t.equal(unsent.attempt(unsent.get(key)!), true)
  now += 600_000
  t.equal(unsent.attempt(unsent.get(key)!), true, 'the server still knows its key')
  now += 1
  t.equal(unsent.attempt(unsent.get(key)!), false)
  t.match(unsent.get(key), { failed: { code: 'UNCERTAIN' }, attempted: 1000 })
  unsent.retry(key)
  t.equal(unsent.attempt(unsent.get(key)!), true, 'the writer has decided')
  t.equal(unsent.get(key)?.attempted, now)
})

t.test('a refusal does not make the first try forgotten', async t => {
  const unsent = new Unsent('ada', undefined, () => 5)
  const { key } = unsent.add('r', 'one')
  unsent.attempt(unsent.get(key)!)
  unsent.fail(key, forbidden)
  t.match(unsent.retry(key), { attempted: 5 })
})

t.test('what no server takes is not tried', async t => {
  const unsent = new Unsent('ada', undefined)
  unsent.add('r', '말'.repeat(349_525))
  t.equal(unsent.waiting().length, 1, '1 MiB at most')
  const { key } = unsent.add('r', '말'.repeat(349_526))
  t.equal(unsent.waiting().length, 1)
  t.match(unsent.get(key), { failed: { code: 'FRAME_TOO_LARGE' } })
  t.equal(unsent.retry(key), undefined)
})

t.test('half a surrogate pair becomes what the wire makes of it', async t => {
  t.equal(new Unsent('ada', undefined).add('r', 'a\uD83Db').body, 'a\uFFFDb')
})

t.test('a room’s list stays the same array until it changes', async t => {
  const unsent = new Unsent('ada', undefined)
  const list = unsent.inRoom('r')
  unsent.add('other', 'x')
  t.equal(unsent.inRoom('r'), list)
  unsent.add('r', 'x')
  t.not(unsent.inRoom('r'), list)
  t.same(list, [])
})

t.test('keys are UUIDs, with and without the browser’s help', async t => {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  const plain = { getRandomValues: crypto.getRandomValues.bind(crypto) }
  const keys = new Set(Array.from({ length: 100 }, (_, i) => (i % 2 ? newKey() : newKey(plain))))
  t.equal(keys.size, 100)
  for (const key of keys) t.match(key, uuid)
})
