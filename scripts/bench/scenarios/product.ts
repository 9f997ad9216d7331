import { Passwords } from '../../../server/accounts/passwords.ts'
import { openDatabase } from '../../../server/database/database.ts'
import type { Bench } from '../bench.ts'
import { addFaults, noFaults, type Faults } from '../load/checker.ts'
import type { Times } from '../load/clock.ts'
import type { Account } from '../load/api.ts'
import type { ListingResult } from '../load/listing.ts'
import type { RevokingResult } from '../load/revoking.ts'
import type { SeeingResult } from '../load/seeing.ts'
import type { SigningInResult } from '../load/signing-in.ts'
import type { SubscribingResult } from '../load/subscribing.ts'
import { explained, type Statement } from '../product/plans.ts'
import {
  busy,
  BUSY_ROOMS,
  comers,
  friends,
  listed,
  membersOf,
  PASSWORD,
  populate,
  roomId,
  userName,
} from '../product/population.ts'
import { atMost, digits, shown, type Findings, type Row } from '../report/report.ts'
import { median, ratioOf, spreadOf } from '../report/statistics.ts'
import type { Local } from '../servers/contestants.ts'

const SUBSCRIBERS = 20
const KICKED = 100
/** The most rows that a statement may read one after the other. */
const SCANNED_MOST = 10_000
/** The first private room of those whose members are kicked out; every third one is public. */
const KICKED_FROM = 601
const SHOWN = 12

const accountOf = (user: number): Account => ({ name: userName(user), password: PASSWORD })
const roomsFrom = (first: number, count: number): string[] => Array.from({ length: count }, (_, i) => roomId(first + i))

/** Starts nodes of the product on the database that all share. `kafka`: their rooms too. */
type Nodes = (count: number, kafka?: boolean) => Promise<Local[]>

const nodesOn =
  (bench: Bench, url: string): Nodes =>
  async (count, kafka = false) => {
    const env = {
      ACCESS: 'accounts',
      DATABASE_URL: url,
      REDIS_URL: await bench.redis(),
      SESSION_SECRET: 'of a benchmark that nobody can sign in to',
      TRUST_PROXY: '127.0.0.1',
      REQUESTS_PER_USER: '1000000',
      REQUESTS_PER_ADDRESS: '1000000',
    }
    const brokers = kafka ? await bench.brokers() : undefined
    return Promise.all(Array.from({ length: count }, () => bench.node({ brokers, env })))
  }

/** Runs a load on nodes of its own. */
const on = async <T>(nodes: Promise<Local[]>, work: (first: Local, all: Local[]) => Promise<T>): Promise<T> => {
  const all = await nodes
  const result = await work(all[0]!, all)
  await Promise.all(all.map(node => node.stop()))
  return result
}

const prepare = async (bench: Bench): Promise<{ url: string; log: string; memberships: number }> => {
  const { url, log } = await bench.postgres()
  const ignore = (): void => {}
  const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }
  await (
    await openDatabase({ DATABASE_URL: url, DATABASE_POOL: 1, DATABASE_TIMEOUT: 5_000, DATA_DIR: '' }, logger)
  ).close()
  const begun = performance.now()
  const memberships = await populate(url, await new Passwords().hash(PASSWORD))
  bench.say(`${memberships} memberships made in ${digits((performance.now() - begun) / 1000)} s`)
  return { url, log, memberships }
}

const signIns = (bench: Bench, nodes: Nodes, run: number): Promise<SigningInResult> =>
  on(nodes(1), ({ endpoint, pid }) => {
    const accounts = Array.from({ length: 2_000 }, (_, i) => accountOf(10_000 + run * 2_000 + i))
    return bench.generate('signingIn', { endpoint, pid, accounts, atOnce: 8, seconds: bench.options.quick ? 2 : 6 })
  })

const subscribes = async (bench: Bench, nodes: Promise<Local[]>, named: boolean): Promise<SubscribingResult> =>
  on(nodes, ({ endpoint, pid }) =>
    bench.generate('subscribing', {
      endpoint,
      pid,
      accounts: named ? busy.slice(0, SUBSCRIBERS + 1).map(accountOf) : undefined,
      clients: SUBSCRIBERS,
      rooms: roomsFrom(2, BUSY_ROOMS),
      rounds: 4,
    }),
  )

/** A node where anyone may say to be anyone. */
const openNode = async (bench: Bench): Promise<Local[]> => [await bench.node()]

const lists = (bench: Bench, nodes: Nodes, users: readonly number[]): Promise<ListingResult> =>
  on(nodes(1), ({ endpoint, pid }) =>
    bench.generate('listing', {
      endpoint,
      pid,
      accounts: users.slice(0, 20).map(accountOf),
      path: '/rooms?limit=50',
      items: 50,
      field: 'unread',
      requests: bench.options.quick ? 300 : 2_000,
      atOnce: 4,
    }),
  )

const sights = (bench: Bench, nodes: Nodes): Promise<SeeingResult> =>
  on(nodes(2), (_first, all) =>
    bench.generate('seeing', {
      nodes: all.map(({ endpoint }) => endpoint),
      friends: friends.map(accountOf),
      comers: comers.slice(0, bench.options.quick ? 5 : comers.length).map(accountOf),
    }),
  )

const revocations = (bench: Bench, nodes: Nodes, run: number): Promise<RevokingResult> =>
  on(nodes(2, true), (_first, all) => {
    const room = KICKED_FROM + 3 * run
    const [owner, ...members] = membersOf(room)
    return bench.generate('revoking', {
      nodes: all.map(({ endpoint }) => endpoint),
      owner: accountOf(owner!),
      members: members.slice(0, bench.options.quick ? 20 : KICKED).map(accountOf),
      room: roomId(room),
      perSecond: 100,
      kicksPerSecond: 4,
    })
  })

const tour = (bench: Bench, nodes: Nodes, url: string, log: string): Promise<Statement[]> =>
  explained(url, log, async () => {
    const { requests, refused } = await on(nodes(1), ({ endpoint }) =>
      bench.generate('touring', {
        endpoint,
        accounts: [accountOf(1), accountOf(50_001), accountOf(90_001)],
        great: roomId(1),
        rooms: roomsFrom(2, 50),
        mentioned: userName(2),
      }),
    )
    bench.say(`${requests} requests${refused.length > 0 ? `, refused: ${refused.join(', ')}` : ''}`)
  })

/** All that was measured, of each run. */
interface Measured {
  readonly argon2: number[]
  readonly signingIn: SigningInResult[]
  readonly accounts: SubscribingResult[]
  readonly open: SubscribingResult[]
  readonly few: ListingResult[]
  readonly many: ListingResult[]
  readonly seeing: SeeingResult[]
  readonly revoking: RevokingResult[]
}

const measure = async (bench: Bench, nodes: Nodes): Promise<Measured> => {
  const all: Measured = {
    argon2: [],
    signingIn: [],
    accounts: [],
    open: [],
    few: [],
    many: [],
    seeing: [],
    revoking: [],
  }
  for (let run = 0; run < bench.options.runs; run++) {
    all.argon2.push(await bench.passwords(bench.options.quick ? 2 : 4))
    all.signingIn.push(await signIns(bench, nodes, run))
    bench.say(`signing in: ${digits(all.signingIn[run]!.perSecond)}/s; bare argon2id ${digits(all.argon2[run]!)}/s`)
    all.accounts.push(await subscribes(bench, nodes(1), true))
    all.open.push(await subscribes(bench, openNode(bench), false))
    const [named, open] = [all.accounts[run]!, all.open[run]!]
    bench.say(
      `SUBSCRIBE: rights asked for ${digits(named.first)}/s, known ${digits(median(named.again))}/s; ` +
        `open ${digits(open.first)}/s, ${digits(median(open.again))}/s`,
    )
    all.few.push(await lists(bench, nodes, listed))
    all.many.push(await lists(bench, nodes, busy))
    bench.say(
      `50 of 60 rooms: p99 ${digits(all.few[run]!.latency.p99)} ms; of 500: ${digits(all.many[run]!.latency.p99)} ms`,
    )
    all.seeing.push(await sights(bench, nodes))
    bench.say(`friends see who comes: p99 ${digits(all.seeing[run]!.came.p99)} ms`)
    all.revoking.push(await revocations(bench, nodes, run))
    bench.say(`kicked out until the last message: p99 ${digits(all.revoking[run]!.delivered.p99)} ms`)
  }
  return all
}

const timesRow = (what: string, times: readonly Times[]): Row => ({
  'what': what,
  'p50 ms': shown(spreadOf(times.map(({ p50 }) => p50))),
  'p99 ms': shown(spreadOf(times.map(({ p99 }) => p99))),
  'the longest ms': digits(Math.max(...times.map(({ max }) => max))),
  'times': String(times.reduce((sum, { count }) => sum + count, 0)),
})

const rateRow = (what: string, ours: readonly number[], beside: string, theirs: readonly number[]): Row => ({
  'what': what,
  'a second': shown(spreadOf(ours)),
  'beside': beside,
  'a second ': shown(spreadOf(theirs)),
  'ratio': shown(ratioOf(ours, theirs)),
})

const rates = ({ argon2, signingIn, accounts, open }: Measured): Row[] => {
  const again = (results: readonly SubscribingResult[]): number[] => results.map(result => median(result.again))
  const first = (results: readonly SubscribingResult[]): number[] => results.map(result => result.first)
  const logins = signingIn.map(({ perSecond }) => perSecond)
  return [
    rateRow('signing in', logins, 'bare argon2id', argon2),
    rateRow('SUBSCRIBE, rights asked for', first(accounts), 'ACCESS=open, the first time', first(open)),
    rateRow('SUBSCRIBE, rights known', again(accounts), 'ACCESS=open', again(open)),
  ]
}

const scanRows = (statements: readonly Statement[]): Row[] =>
  statements.slice(0, SHOWN).map(({ text, times, inSequence, tables, slowest }) => ({
    'statement': text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').slice(0, 100),
    'times': String(times),
    'rows in sequence': String(inSequence),
    'of': [...tables].join(', '),
    'slowest ms': digits(slowest),
  }))

/** The chat product on a database of some size. */
export const product = async (bench: Bench): Promise<Findings> => {
  const { url, log, memberships } = await prepare(bench)
  const nodes = nodesOn(bench, url)
  const measured = await measure(bench, nodes)
  const statements = await tour(bench, nodes, url, log)
  const { few, many, seeing, revoking } = measured
  const faults: Faults = noFaults()
  for (const result of [...few, ...many, ...seeing, ...revoking]) addFaults(faults, result.faults)
  const p99 = (times: readonly Times[]) => spreadOf(times.map(each => each.p99))
  const delivered = revoking.map(result => result.delivered)
  const worst = Math.max(...statements.map(({ inSequence }) => inSequence))
  const times = [
    timesRow(
      '50 rooms of 60, with what is unread',
      few.map(({ latency }) => latency),
    ),
    timesRow(
      `50 rooms of ${BUSY_ROOMS}, with what is unread`,
      many.map(({ latency }) => latency),
    ),
    timesRow(
      'somebody comes, until a friend is told',
      seeing.map(({ came }) => came),
    ),
    timesRow(
      'somebody signs out, until a friend is told',
      seeing.map(({ went }) => went),
    ),
    timesRow('a member is kicked out, until their last message', delivered),
    timesRow(
      'the same, until they are told',
      revoking.map(({ told }) => told),
    ),
  ]
  return {
    title: 'The chat product',
    targets: [
      atMost('kicked out until the last message, p99', p99(delivered), 1_000, ' ms'),
      atMost('rows that a statement reads in sequence, the most', spreadOf([worst]), SCANNED_MOST),
    ],
    tables: [
      { title: `How often, with ${memberships} memberships in PostgreSQL`, rows: rates(measured) },
      { title: 'How long', rows: times },
      { title: `Of ${statements.length} statements those that read most in sequence`, rows: scanRows(statements) },
    ],
    notes: [],
    faults,
    measured: { memberships, ...measured, statements: statements.map(each => ({ ...each, tables: [...each.tables] })) },
  }
}
