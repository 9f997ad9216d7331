import { ask, signIn, signInAll, type Account } from './api.ts'
import { noFaults, type Faults } from './checker.ts'
import { Client, headerOf, type Endpoint } from './client.ts'
import { Latencies, now, paced, settled, type Times } from './clock.ts'

export interface RevokingPlan {
  /** The owner is on the first; the members are spread over all. */
  readonly nodes: readonly Endpoint[]
  readonly owner: Account
  readonly members: readonly Account[]
  readonly room: string
  /** Messages in the room. */
  readonly perSecond: number
  /** Members kicked out. */
  readonly kicksPerSecond: number
}

export interface RevokingResult {
  /** From before a member is kicked out until the last message of the room that they got; 0: none after. */
  readonly delivered: Times
  /** Until they were told that the room is none of theirs any more. */
  readonly told: Times
  readonly faults: Faults
}

const PATIENCE_MS = 5_000
const BODY = 'hoofbeat '.repeat(20)

interface Member {
  readonly user: string
  readonly client: Client
  kicked?: number
  /** When they got the last message, µs. */
  last?: number
  removed?: number
  /** Messages that came after that. */
  late: number
}

const enter = async (endpoint: Endpoint, account: Account, room: string): Promise<Member> => {
  const { user, token } = await signIn(endpoint, account)
  const client = await Client.connect({ ...endpoint, passcode: token })
  const member: Member = { user, client, late: 0 }
  client.onMessage = head => {
    if (headerOf(head, 'destination') === `/topic/${room}`) {
      if (member.removed !== undefined) member.late++
      member.last = now()
    } else if (headerOf(head, 'type') === 'removed') member.removed = now()
  }
  await client.request('SUBSCRIBE', { id: 'q', destination: '/user/queue/events' })
  await client.request('SUBSCRIBE', { id: 'r', destination: `/topic/${room}` })
  return member
}

/** Members of a busy room who are kicked out, one after the other: how long each still gets what is said there. */
export const revoking = async (plan: RevokingPlan): Promise<RevokingResult> => {
  const { nodes, room } = plan
  const [owner] = await signInAll(nodes[0]!, [plan.owner])
  const speaker = await Client.connect({ ...nodes[0]!, passcode: owner!.token })
  const members: Member[] = []
  for (const [i, account] of plan.members.entries()) members.push(await enter(nodes[i % nodes.length]!, account, room))
  const all = members.length
  // Some more seconds for what comes late.
  const seconds = all / plan.kicksPerSecond + 3
  const speaking = paced(plan.perSecond, seconds, count => {
    for (let i = 0; i < count; i++) speaker.send('SEND', { destination: `/topic/${room}` }, BODY)
  })
  const kicks: Promise<unknown>[] = []
  let next = 0
  await paced(plan.kicksPerSecond, all / plan.kicksPerSecond, count => {
    for (const member of members.slice(next, (next += count))) {
      member.kicked = now()
      kicks.push(ask(nodes[0]!, 'DELETE', `/rooms/${room}/members/${member.user}`, { token: owner!.token }))
    }
  })
  await Promise.all(kicks)
  await speaking
  const told = (): number => members.filter(({ removed }) => removed !== undefined).length
  await settled(() => told() === all, told, PATIENCE_MS)
  const [delivered, heard, faults] = [new Latencies(), new Latencies(), noFaults()]
  faults.lost = all - told()
  for (const { kicked, last, removed, late } of members) {
    delivered.add(Math.max(0, last! - kicked!))
    if (removed !== undefined) heard.add(removed - kicked!)
    faults.misrouted += late
  }
  for (const { client } of [...members, { client: speaker }]) client.end()
  return { delivered: delivered.times(), told: heard.times(), faults }
}
