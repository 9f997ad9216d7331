import t from 'tap'
import type { Breach, Delivered, Kept } from './ledger.ts'
import { Ledger } from './ledger.ts'
import { ATTEMPT, bodyOf } from './message.ts'

const ROOM = 'room'
/** A ledger, two senders, one who may not send, and what a reader was given. */
const begin = () => {
  const ledger = new Ledger()
  const [ann, bob, eve] = ['ann', 'bob', 'eve'].map(name => ledger.enter({ name, barred: name === 'eve' })) as [
    number,
    number,
    number,
  ]
  const reader: Delivered = { name: 'reader', room: ROOM, from: 0, list: [] }
  const kept = (offset: number, sender: number, n: number, attempt = 1): Kept => ({
    offset,
    headers: new Map([[ATTEMPT, String(attempt)]]),
    body: Buffer.from(bodyOf({ sender, n })),
  })
  const give = (offset: number, sender: number, n: number): void => void reader.list.push({ offset, sender, n })
  const acknowledge = (offset: number, sender: number, n: number, attempt = 1): void =>
    ledger.acknowledged(ROOM, { epoch: 'e', offset }, { sender, n, attempt })
  const breaches = (): Breach[] => ledger.broken.map(({ breach }) => breach)
  return { tally: ledger.tally, ledger, ann, bob, eve, reader, kept, give, acknowledge, breaches }
}

t.test('nothing is broken where all is well, also with places that no message has, and in several steps', async t => {
  const { ledger, ann, bob, reader, kept, give, acknowledge, breaches, tally } = begin()
  acknowledge(0, ann, 1)
  acknowledge(3, ann, 2)
  ledger.learn(ROOM, [kept(0, ann, 1), kept(1, bob, 1), kept(3, ann, 2)], 5)
  for (const [offset, sender, n] of [
    [0, ann, 1],
    [1, bob, 1],
    [3, ann, 2],
    [5, bob, 2],
  ] as const) {
    give(offset, sender, n)
  }
  ledger.compare(reader, 5)
  t.same(reader, { name: 'reader', room: ROOM, from: 5, list: [{ offset: 5, sender: bob, n: 2 }] })
  acknowledge(5, bob, 2)
  t.notOk(ledger.settled)
  ledger.learn(ROOM, [kept(5, bob, 2)], 6)
  acknowledge(1, bob, 1)
  ledger.compare(reader, 6)
  ledger.reread(ROOM, [kept(0, ann, 1), kept(1, bob, 1), kept(3, ann, 2), kept(5, bob, 2)])
  t.ok(ledger.settled)
  t.same(breaches(), [])
  t.equal(tally.of('acknowledged'), 4)
  t.equal(tally.of('kept'), 4)
})

t.test('an acknowledged message that the log does not have is lost', async t => {
  const { ledger, ann, bob, kept, acknowledge, breaches } = begin()
  acknowledge(0, ann, 1)
  acknowledge(1, ann, 2)
  ledger.learn(ROOM, [kept(0, bob, 1)], 2)
  t.same(breaches(), ['lost', 'lost'])
  t.match(ledger.broken[0]?.what, "ann's 1 was acknowledged as room 0, where the log has bob's 1")
  t.match(ledger.broken[1]?.what, 'where the log has nothing')
  acknowledge(0, ann, 3)
  t.same(breaches().length, 3, 'also where its RECEIPT comes late')
})

t.test('a log that changes afterwards has lost what it had', async t => {
  const { ledger, ann, kept, breaches } = begin()
  ledger.learn(ROOM, [kept(0, ann, 1), kept(1, ann, 2)], 2)
  ledger.reread(ROOM, [kept(0, ann, 2)])
  t.same(breaches(), ['lost', 'lost'])
})

t.test('a reader who was not given everything, or something else', async t => {
  for (const [given, breach] of [
    [[1, 2], 'lost'],
    [[0, 2], 'lost'],
    [[0, 1], 'lost'],
    [[], 'lost'],
  ] as const) {
    const { ledger, ann, reader, kept, give, breaches } = begin()
    ledger.learn(ROOM, [kept(0, ann, 0), kept(1, ann, 1), kept(2, ann, 2)], 3)
    for (const offset of given) give(offset, ann, offset)
    ledger.compare(reader, 3)
    t.same(breaches(), [breach], given.join())
  }
  const { ledger, ann, reader, kept, give, breaches } = begin()
  ledger.learn(ROOM, [kept(0, ann, 1)], 1)
  give(0, ann, 2)
  ledger.compare(reader, 1)
  t.same(breaches(), ['wrong'])
})

t.test('a message that is in the log twice', async t => {
  const { ledger, ann, kept, breaches } = begin()
  ledger.learn(ROOM, [kept(0, ann, 1), kept(1, ann, 1, 2)], 2)
  t.same(breaches(), ['twice'])
})

t.test('a repeat that was recognised is told by the connection on which the message in the log went out', async t => {
  const { ledger, ann, kept, acknowledge, breaches, tally } = begin()
  acknowledge(0, ann, 1, 2)
  ledger.learn(ROOM, [kept(0, ann, 1, 1)], 1)
  t.same(breaches(), [])
  t.equal(tally.of('repeats recognised'), 1)
})

t.test('messages of one connection that changed places', async t => {
  const { ledger, bob, kept, breaches } = begin()
  ledger.learn(ROOM, [kept(0, bob, 2, 1), kept(1, bob, 1, 2), kept(2, bob, 3, 2)], 3)
  t.same(breaches(), [], 'those of two connections may')
  ledger.learn(ROOM, [kept(3, bob, 5, 2), kept(4, bob, 4, 2)], 5)
  t.same(breaches(), ['disorder'])
})

t.test('what nobody sent, what nobody may send, and another life of a room', async t => {
  const { ledger, eve, kept, breaches, acknowledge } = begin()
  ledger.learn(
    ROOM,
    [kept(0, eve, 1), { offset: 1, headers: new Map(), body: Buffer.from('0 1 not as it was sent') }],
    2,
  )
  t.same(breaches(), ['forbidden', 'wrong'])
  acknowledge(0, eve, 1)
  ledger.acknowledged(ROOM, { epoch: 'f', offset: 0 }, { sender: eve, n: 1, attempt: 1 })
  t.same(breaches(), ['forbidden', 'wrong', 'wrong'])
})
