import { Client, type Endpoint } from './client.ts'
import { Watch } from './clock.ts'

export interface ConnectingPlan {
  readonly endpoint: Endpoint
  readonly pid: number
  readonly destination: string
  /** The server sends back what it gets, and knows no STOMP. */
  readonly echo: boolean
  /** How many connect at any time. */
  readonly atOnce: number
  readonly seconds: number
}

export interface ConnectingResult {
  readonly perSecond: number
  readonly busy: number
  readonly load: number
}

/** Clients that connect, log in, subscribe, have their RECEIPT, and go; as many a second as there can be. */
export const connecting = async (plan: ConnectingPlan): Promise<ConnectingResult> => {
  const { endpoint, destination, echo } = plan
  const once = async (): Promise<void> => {
    const client = await Client.connect(endpoint, echo)
    const headers = { id: 'sub-0', destination, ack: 'auto' }
    if (echo) {
      await client.echo('CONNECT', { 'accept-version': '1.2,1.1', 'host': 'bench', 'heart-beat': '0,0' })
      await client.echo('SUBSCRIBE', { ...headers, receipt: 'r0' })
    } else await client.request('SUBSCRIBE', headers)
    client.end()
  }
  const during = async (seconds: number): Promise<number> => {
    let done = 0
    const until = performance.now() + seconds * 1000
    const visitor = async (): Promise<void> => {
      for (; performance.now() < until; done++) await once()
    }
    await Promise.all(Array.from({ length: plan.atOnce }, visitor))
    return done
  }
  await during(1)
  const watch = new Watch(plan.pid)
  const done = await during(plan.seconds)
  const { seconds, serverCpu, load } = watch
  return { perSecond: done / seconds, busy: serverCpu / seconds, load }
}
