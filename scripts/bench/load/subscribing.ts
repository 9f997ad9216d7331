import { signInAll, type Account } from './api.ts'
import { Client, type Endpoint } from './client.ts'
import { Watch } from './clock.ts'

export interface SubscribingPlan {
  readonly endpoint: Endpoint
  readonly pid: number
  /** Who subscribes; the last one only sees to it that the rooms are there and followed. Without any: `clients` unnamed ones. */
  readonly accounts: readonly Account[] | undefined
  readonly clients: number
  readonly rooms: readonly string[]
  readonly rounds: number
}

export interface SubscribingResult {
  /** SUBSCRIBEs a second: where nobody has asked for these rights before, and each time after that. */
  readonly first: number
  readonly again: readonly number[]
  readonly busy: number
  readonly load: number
}

/** Clients that subscribe to many rooms at once, and wait for all RECEIPTs. */
export const subscribing = async (plan: SubscribingPlan): Promise<SubscribingResult> => {
  const { endpoint, accounts, rooms } = plan
  const tokens = accounts && (await signInAll(endpoint, accounts)).map(({ token }) => token)
  const connect = (token: string | undefined): Promise<Client> =>
    Client.connect(token === undefined ? endpoint : { ...endpoint, passcode: token })
  const clients = await Promise.all(Array.from({ length: plan.clients + 1 }, (_, i) => connect(tokens?.[i])))
  const each = (client: Client, command: string): Promise<unknown> =>
    Promise.all(
      rooms.map((room, i) =>
        client.request(command, {
          id: `s${i}`,
          ...(command === 'SUBSCRIBE' && { destination: `/topic/${room}` }),
        }),
      ),
    )
  const holder = clients.pop()!
  await each(holder, 'SUBSCRIBE')
  const watch = new Watch(plan.pid)
  const perSecond: number[] = []
  for (let round = 0; round < plan.rounds; round++) {
    const begun = performance.now()
    await Promise.all(clients.map(client => each(client, 'SUBSCRIBE')))
    perSecond.push((clients.length * rooms.length * 1000) / (performance.now() - begun))
    await Promise.all(clients.map(client => each(client, 'UNSUBSCRIBE')))
  }
  const { seconds, serverCpu, load } = watch
  for (const client of [holder, ...clients]) client.end()
  const [first = NaN, ...again] = perSecond
  return { first, again, busy: serverCpu / seconds, load }
}
