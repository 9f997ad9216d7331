import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { followChanges } from '../database/access-changes.ts'
import { openDatabase, transaction } from '../database/database.ts'
import { openLevelLog } from '../drivers/level/room-log.ts'
import { openAccess } from '../drivers/open.ts'
import type { AccessChange } from '../ports/access.ts'
import { freshPostgres, silent } from '../testkit/database.ts'
import { scratch, startBridge } from '../testkit/node.ts'
import { Probe } from '../testkit/probe.ts'
import { ownPostgres } from '../testkit/services.ts'
import { kick } from './coming-and-going.ts'
import { logOfRooms, roomRights } from './index.ts'
import { people, roomOf } from './testkit/people.ts'

// A bridge with the rooms' rights, where whoever says an id is that user, on a PostgreSQL that goes away.
const postgres = await ownPostgres(t)
const { db, close } = await openDatabase(
  { DATABASE_URL: await freshPostgres(t, postgres.url), DATA_DIR: '', DATABASE_POOL: 3, DATABASE_TIMEOUT: 500 },
  silent,
)
t.teardown(close)
const { port: log, close: closeLog } = await openLevelLog({
  folder: await scratch(t),
  roomsMax: 100,
  idempotencyWindow: 1000,
  logger: silent,
})
t.teardown(closeLog)
const rights = roomRights({ db, log, cached: 1_000 })
const listeners = new Set<(change: AccessChange) => void>()
const following = followChanges({ db, every: 50, logger: silent }, change => {
  rights.ended(change)
  for (const listener of listeners) listener({ user: change.user!, room: change.room! })
})
t.teardown(() => following.close())
const bridge = await startBridge(
  t,
  {},
  {
    access: {
      authenticate: openAccess().port.authenticate,
      mayRead: rights.mayRead,
      maySend: rights.maySend,
      changes: listener => void listeners.add(listener),
    },
    log: logOfRooms(db, log),
  },
)

const to = (room: string) => ({ destination: `/topic/${room}` })
const connect = (login: string): Promise<Probe> => Probe.connect(t, 'tcp', bridge, { login })

await t.test(
  '[S-74] PostgreSQL away: who is known chats on, who is not is refused, and a kick counts as soon as it is back',
  async t => {
    const [ann, bob, cem] = await people(db, 'ann', 'bob', 'cem')
    const room = await roomOf(db, ann, { members: [bob, cem] })
    const [host, guest] = [await connect(ann), await connect(bob)]
    for (const each of [host, guest]) {
      await each.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
      await each.request('SUBSCRIBE', { id: 'r', ...to(room) })
      await each.request('SEND', to(room), 'before')
    }
    postgres.signal('SIGSTOP')
    await guest.request('SEND', to(room), 'meanwhile')
    t.same(await host.bodiesUntil('meanwhile'), ['before', 'before', 'meanwhile'])
    const refused = await connect(cem)
    refused.send('SUBSCRIBE', { id: 'r', ...to(room) })
    t.match((await refused.error()).headers, { code: 'DATABASE_UNAVAILABLE' })
    const unwritten = await connect(cem)
    unwritten.send('SEND', { ...to(room), receipt: 's' }, 'no')
    t.match((await unwritten.error()).headers, { 'code': 'DATABASE_UNAVAILABLE', 'receipt-id': 's' })
    postgres.signal('SIGCONT')
    // Refused as long as the node has not found out that it is back.
    for (let kicked = false; !kicked;) {
      kicked = await transaction(db, tx => kick(tx, room, ann, bob)).then(
        () => true,
        () => setImmediate(false),
      )
    }
    await guest.take(({ headers }) => headers['type'] === 'removed', 'removed')
    await host.request('SEND', to(room), 'after')
    await guest.settled()
    t.notOk(guest.frames.some(({ body }) => body.toString() === 'after'))
    await (await connect(cem)).request('SUBSCRIBE', { id: 'r', ...to(room) })
  },
)
