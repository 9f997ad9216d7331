import { ask, signIn, signInAll, type Account } from './api.ts'
import { noFaults, type Faults } from './checker.ts'
import { Client, headerOf, type Endpoint } from './client.ts'
import { Latencies, now, settled, type Times } from './clock.ts'

export interface SeeingPlan {
  /** Nodes over which those who see are spread. */
  readonly nodes: readonly Endpoint[]
  /** They see everyone who comes. */
  readonly friends: readonly Account[]
  /** One after the other, each on the next node. */
  readonly comers: readonly Account[]
}

export interface SeeingResult {
  /** From before they connect until each friend is told. */
  readonly came: Times
  /** From before they sign out until each friend is told. */
  readonly went: Times
  readonly faults: Faults
}

const PATIENCE_MS = 10_000
const QUEUE = '/user/queue/events'

/** What is being waited for: that all friends are told that `user` is there, or not. */
interface Expected {
  readonly user: string
  readonly online: boolean
  readonly since: number
  readonly latencies: Latencies
  readonly heard: Set<number>
}

/** People who come and go, seen by their friends. */
export const seeing = async ({ nodes, friends, comers }: SeeingPlan): Promise<SeeingResult> => {
  const [came, went, faults] = [new Latencies(), new Latencies(), noFaults()]
  const endpointOf = (i: number): Endpoint => nodes[i % nodes.length]!
  const people = await signInAll(nodes[0]!, friends)
  let expected: Expected | undefined
  const hear = (friend: number, body: string): void => {
    const { user, online } = JSON.parse(body) as { user?: string; online?: boolean }
    if (!expected || user !== expected.user) return
    if (online !== expected.online) faults.misrouted++
    else if (expected.heard.has(friend)) faults.repeated++
    else expected.latencies.add(now() - expected.since)
    expected.heard.add(friend)
  }
  const watchers = await Promise.all(
    people.map(async ({ token }, i) => {
      const client = await Client.connect({ ...endpointOf(i), passcode: token })
      client.onMessage = (head, buffer, from, to) => {
        if (headerOf(head, 'type') === 'presence') hear(i, buffer.toString('utf8', from, to))
      }
      await client.request('SUBSCRIBE', { id: 'q', destination: QUEUE })
      return client
    }),
  )
  const seen = async (user: string, online: boolean, act: () => Promise<unknown>): Promise<void> => {
    const latencies = online ? came : went
    const wait: Expected = { user, online, since: now(), latencies, heard: new Set() }
    expected = wait
    await act()
    const heard = (): number => wait.heard.size
    await settled(() => heard() === people.length, heard, PATIENCE_MS)
    faults.lost += people.length - heard()
  }
  for (const [i, account] of comers.entries()) {
    const endpoint = endpointOf(i)
    const { user, token } = await signIn(endpoint, account)
    await seen(user, true, () => Client.connect({ ...endpoint, passcode: token }))
    await seen(user, false, () => ask(endpoint, 'DELETE', '/session', { token }))
  }
  for (const watcher of watchers) watcher.end()
  return { came: came.times(), went: went.times(), faults }
}
