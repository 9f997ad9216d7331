import t from 'tap'
import { Checker, noFaults } from './checker.ts'
import { frame, Template } from './frames.ts'

const DESTINATION = '/topic/room'
const STREAMS = [3, 4]

const sentBody = (stream: number, number: number): Buffer => {
  const template = new Template(stream, { destination: DESTINATION }, false)
  const bytes = Buffer.alloc(template.length)
  template.write(bytes, 0, number, 1)
  return bytes.subarray(bytes.indexOf('\n\n') + 2, -1)
}

/** A checker and a way to show it messages; ids grow by themselves. */
const checked = () => {
  const latencies: number[] = []
  const options = { destination: DESTINATION, subscription: 'sub-0', streams: STREAMS, ids: true }
  const checker = new Checker({ ...options, onLatency: latency => void latencies.push(latency) })
  let offset = 7
  const show = (
    stream: number,
    number: number,
    changes: Record<string, string> = {},
    body = sentBody(stream, number),
  ) => {
    const headers = { 'subscription': 'sub-0', 'destination': DESTINATION, 'message-id': `e-${offset++}`, ...changes }
    const head = frame('MESSAGE', headers).toString().slice(0, -1)
    const buffer = Buffer.concat([Buffer.from('before'), body, Buffer.from('\0after')])
    checker.take(head, buffer, 6, 6 + body.length)
  }
  return { checker, show, latencies }
}

t.test('what comes as it was sent has no fault', async t => {
  const { checker, show, latencies } = checked()
  for (let number = 0; number < 5; number++) for (const stream of STREAMS) show(stream, number)
  checker.countLost(() => 5)
  t.same(checker.faults, noFaults())
  t.equal(checker.messages, 10)
  t.equal(latencies.length, 10)
  t.equal(checker.newest, 'e-16')
})

t.test('each fault is counted as what it is', async t => {
  const { checker, show } = checked()
  show(3, 0)
  show(3, 0)
  t.same(checker.faults, { ...noFaults(), repeated: 1 })
  show(3, 3)
  show(3, 2)
  t.same(checker.faults, { ...noFaults(), repeated: 1, reordered: 1 })
  show(5, 0)
  show(4, 0, { destination: '/topic/another' })
  show(4, 0, { subscription: 'sub-1' })
  t.equal(checker.faults.misrouted, 3)
  const cut = sentBody(4, 0).subarray(1)
  const changed = Buffer.from(sentBody(4, 0))
  changed[150]! ^= 1
  show(4, 0, {}, cut)
  show(4, 0, {}, changed)
  t.equal(checker.faults.damaged, 2)
  show(4, 0, { 'message-id': 'e-1' })
  t.equal(checker.faults.reordered, 2, 'an id that does not grow')
  t.equal(checker.faults.lost, 0)
  checker.countLost(stream => (stream === 3 ? 6 : 2))
  t.equal(checker.faults.lost, 1 + 2 + 1, 'one between, two at the end, and one of the other stream')
  checker.countLost(stream => (stream === 3 ? 6 : 2))
  t.equal(checker.faults.lost, 4, 'counted once')
})

t.test('two who saw the same messages with other ids, or in another order, are told apart', async t => {
  const [one, same, other] = [checked(), checked(), checked()]
  for (const { show } of [one, same]) {
    show(3, 0)
    show(4, 0)
  }
  other.show(4, 0)
  other.show(3, 0)
  t.equal(one.checker.order, same.checker.order)
  t.not(one.checker.order, other.checker.order)
})

t.test('it can begin anew in the middle', async t => {
  const { checker, show } = checked()
  show(3, 0)
  checker.begin(stream => (stream === 3 ? 10 : 20))
  show(3, 10)
  show(4, 20)
  checker.countLost(stream => (stream === 3 ? 11 : 21))
  t.same(checker.faults, noFaults())
  t.equal(checker.messages, 2)
})
