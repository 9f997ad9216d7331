import t from 'tap'
import { StillTransport } from '../testkit/still-transport.ts'
import { Outbox } from './outbox.ts'
import { Timeouts, type Standing } from './timeouts.ts'
import { Turn } from './turn.ts'

const config = { HEART_BEAT: 1_000, LOGIN_TIMEOUT: 5_000, STALL_SECONDS: 8 }
const meter = { add: () => {}, observe: () => {} }

/** The times of a connection whose system still holds `held` bytes for it, and of whose writes it has taken all but `buffered`. */
const setUp = ({ pings = false, held = 0, buffered = 0 } = {}) => {
  const transport = new StillTransport({ pings, held: () => held })
  transport.buffered = buffered
  const outlet = new Outbox({ transport, turn: new Turn(), meter, highWater: 1_000_000 })
  const timeouts = new Timeouts({ transport, outlet, config, grain: 10 })
  const start = Date.now()
  const due = (after: number, part: Partial<Standing> = {}) =>
    timeouts.due(start + after, { loggedIn: true, authenticating: false, paused: false, ...part })
  return { transport, timeouts, outlet, start, due }
}

t.test('[S-18] [S-26] the time to log in, which does not run while nothing is read', async t => {
  const { due, timeouts, start } = setUp()
  const before = { loggedIn: false }
  t.equal(due(4_900, before), undefined)
  t.equal(due(4_950, { ...before, paused: true }), undefined)
  t.equal(due(9_900, before), undefined)
  t.equal(due(10_500, { ...before, authenticating: true, paused: true }), 'LOGIN_TIMEOUT')
  timeouts.overslept(start + 20_000)
  t.equal(due(20_500, before), undefined)
  t.equal(due(60_000), undefined, 'once it is logged in')
})

t.test('[S-23] [S-24] heart-beats as agreed; what waits to be written is one already', async t => {
  const { due, timeouts, start, transport, outlet } = setUp()
  timeouts.agree(1_000, 2_000)
  t.equal(due(500), undefined)
  t.equal(due(1_200), 'beat')
  transport.buffered = 10
  outlet.progress = start + 1_200
  t.equal(due(1_200), undefined)
  transport.buffered = 0
  timeouts.heard(start + 1_300)
  outlet.lastWrite = start + 5_000
  t.equal(due(5_300), undefined)
  t.equal(due(5_400), 'HEART_BEAT_LOST')
})

t.test(
  '[S-25] a ping; who is silent for twice the time is dead, unless the ping waits behind what they have to read',
  async t => {
    const turn = (): Promise<void> => new Promise(setImmediate)
    const { due } = setUp({ pings: true })
    t.equal(due(999), undefined)
    t.equal(due(1_100), 'ping')
    t.equal(due(1_200), undefined, 'once')
    t.equal(due(2_100), 'HEART_BEAT_LOST')
    const slow = setUp({ pings: true, held: 100_000 })
    t.equal(slow.due(1_600), 'ping')
    await turn()
    t.equal(slow.due(2_100), undefined, 'the system holds what comes before the ping')
  },
)

t.test('[S-45] STALLED: nothing of what waits was taken for all of STALL_SECONDS', async t => {
  const { due, transport, timeouts, start } = setUp({ buffered: 10 })
  t.equal(due(7_000), undefined)
  t.equal(due(9_000), 'STALLED')
  timeouts.overslept(start + 9_000)
  t.equal(due(9_500), undefined)
  transport.buffered = 0
  t.equal(due(20_000), undefined)
})
