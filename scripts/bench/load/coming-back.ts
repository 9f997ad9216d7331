import { Checker } from './checker.ts'
import { Client, type Endpoint } from './client.ts'
import { streamsOf } from './publishers.ts'

/** How many write to the room that somebody comes back to. */
export const PUBLISHERS = 4

/** How far somebody had got in a room. */
export interface Place {
  /** The message-id of the newest message. */
  readonly id: string
  /** What was sent on each stream up to there. */
  readonly sent: readonly number[]
}

export interface ComingBack {
  readonly endpoint: Endpoint
  readonly destination: string
  readonly from: Place
  /** How many messages were sent since. */
  readonly missed: number
}

interface Returned {
  readonly client: Client
  readonly checker: Checker
  /** Resolves when what was missed has come. */
  readonly caughtUp: Promise<void>
}

/** Subscribes anew, after the newest message of `from`. */
export const comeBack = async ({ endpoint, destination, from, missed }: ComingBack): Promise<Returned> => {
  const client = await Client.connect(endpoint)
  const [subscription, streams] = ['sub-0', streamsOf(0, 1, PUBLISHERS)]
  const checker = new Checker({ destination, subscription, streams, ids: true, onLatency: () => {} })
  checker.begin(stream => from.sent[stream]!)
  const caughtUp = new Promise<void>((resolve, reject) => {
    client.onEnd = reject
    client.onMessage = (...message) => {
      checker.take(...message)
      if (checker.messages === missed) resolve()
    }
  })
  await client.request('SUBSCRIBE', { id: subscription, destination, ack: 'auto', after: from.id })
  return { client, checker, caughtUp }
}
